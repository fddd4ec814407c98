"""Arrays inside `jax.shard_map`, which knows over which axes of its mesh each of them varies."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

T = TypeVar("T")
# One axis of a mesh, several, or none: what is on this device is all there is.
AxisName = str | tuple[str, ...] | None


def varying(*arrays: Any) -> frozenset[str]:
    """The axes over which any of the arrays, or of trees of them, varies."""
    return frozenset().union(
        *(jax.typeof(x).manual_axis_type.varying for x in jax.tree.leaves(arrays))
    )


def varying_over(axes: frozenset[str], arrays: T) -> T:
    """The same arrays, each varying over these axes, too.

    A rule that makes gradients itself makes those of its own part of the batch. An array that is
    the same everywhere has the sum of all parts': saying that it varies has JAX take that sum.
    """

    def vary(x):
        missing = tuple(axes - varying(x))
        return lax.pcast(x, missing, to="varying") if missing else x

    return jax.tree.map(vary, arrays)


def select(condition: Array, x: ArrayLike, y: ArrayLike) -> Array:
    """`jnp.where` that keeps the axes over which its result varies.

    For empty arrays `jnp.where` returns x, and forgets the axes of the other two.
    """
    return varying_over(varying(condition, x, y), jnp.where(condition, x, y))


def summed_to_vary_like(like: Array, x: Array) -> Array:
    """Σ x over the axes over which x varies and the other array does not."""
    axes = tuple(varying(x) - varying(like))
    return lax.psum(x, axes) if axes else x


def sum_over(axis_name: AxisName, x: Array) -> Array:
    """Σ x over the devices along an axis."""
    return x if axis_name is None else lax.psum(x, axis_name)


def max_over(axis_name: AxisName, x: Array) -> Array:
    """The largest x of the devices along an axis. Held constant in derivatives."""
    x = lax.stop_gradient(x)
    # It may pass a NaN over, which the sums over the devices then hold.
    return x if axis_name is None else lax.pmax(x, axis_name)


def count_over(axis_name: AxisName, n: int) -> int:
    """How many there are on all devices along an axis, of which each has n."""
    return n if axis_name is None else n * lax.axis_size(axis_name)


def first_over(axis_name: AxisName, n: int) -> Array | int:
    """The number of this device's first one among all those."""
    return 0 if axis_name is None else n * lax.axis_index(axis_name)
