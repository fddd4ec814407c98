"""Arrays inside `jax.shard_map`, which knows over which axes of its mesh each of them varies."""

from typing import TypeVar

import jax
from jax import Array, lax

T = TypeVar("T")


def varying_alike(arrays: T) -> T:
    """The same arrays, every one varying over all axes that any of them varies over.

    A rule that makes gradients itself makes those of its own part of the batch. An array that is
    the same everywhere has the sum of all parts': saying that it varies has JAX take that sum.
    """
    axes = frozenset().union(*map(_varying, jax.tree.leaves(arrays)))

    def vary(x):
        missing = tuple(axes - _varying(x))
        return lax.pcast(x, missing, to="varying") if missing else x

    return jax.tree.map(vary, arrays)


def _varying(x: Array) -> frozenset:
    return jax.typeof(x).manual_axis_type.varying
