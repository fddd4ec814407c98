"""Collectives, and the axes of a mesh over which an array varies inside `jax.shard_map`."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

T = TypeVar("T")
# One axis of a mesh, several, or None where nothing is sharded.
AxisName = str | tuple[str, ...] | None


def names_of(axis_name: AxisName) -> frozenset[str]:
    """The mesh axes that an argument names."""
    return frozenset({axis_name} if isinstance(axis_name, str) else axis_name or ())


def varying(*arrays: Any) -> frozenset[str]:
    """The mesh axes over which any of these trees of arrays varies."""
    return frozenset().union(
        *(jax.typeof(x).manual_axis_type.varying for x in jax.tree.leaves(arrays))
    )


def varying_over(axes: frozenset[str], arrays: T) -> T:
    """The same arrays, marked as varying over these axes as well.

    A rule that computes gradients itself computes those of its shard of the batch. The gradient of
    a replicated array is the sum over shards. The transpose of this mark takes that sum.
    """

    def vary(x):
        missing = tuple(axes - varying(x))
        return lax.pcast(x, missing, to="varying") if missing else x

    return jax.tree.map(vary, arrays)


def select(condition: Array, x: ArrayLike, y: ArrayLike) -> Array:
    """`jnp.where` whose result varies over the axes of all three arguments.

    For empty arrays `jnp.where` returns x, and drops the axes of the other two.
    """
    return varying_over(varying(condition, x, y), jnp.where(condition, x, y))


def summed_to_vary_like(like: Array, x: Array) -> Array:
    """Σ x over the axes over which x varies and the other array does not."""
    axes = tuple(varying(x) - varying(like))
    return lax.psum(x, axes) if axes else x


def sum_over(axis_name: AxisName, x: Array) -> Array:
    """Σ x over the devices along an axis."""
    return x if axis_name is None else lax.psum(x, axis_name)


def max_over(axis_name: AxisName, x: T) -> T:
    """The largest x of the devices along an axis. Held constant in derivatives."""
    x = lax.stop_gradient(x)
    # A maximum may skip a NaN. The sums over the devices propagate it.
    return x if axis_name is None else lax.pmax(x, axis_name)


def count_over(axis_name: AxisName, n: int) -> int:
    """The size of an axis whose shards have size n."""
    return n if axis_name is None else n * lax.axis_size(axis_name)


def first_over(axis_name: AxisName, n: int) -> Array | int:
    """The index of the local shard's first element in the whole axis."""
    return 0 if axis_name is None else n * lax.axis_index(axis_name)
