"""Sums over the classes of a row and over everything, as the compilers want them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

# A row of more than these bytes leaves the CPU's fast path, unless summed window by window.
_LONG_ROW, _WINDOW = 2**17, 2**12
# Up to so many classes the CPU adds up in the loop that makes them, which it unrolls: to hand
# every row to its library would take longer than to add it up.
_SHORT_ROW = 2**4


@jax.custom_jvp
def row_sum(x: Array) -> Array:
    """Σ x over the last axis."""
    if x.shape[-1] > _SHORT_ROW:
        return row_sum_of_stored(x)
    return lax.platform_dependent(x, cpu=_sum_in_a_loop, default=_sum)


@row_sum.defjvp
def _row_sum_jvp(primals, tangents):
    return row_sum(*primals), _sum(*tangents)


@jax.custom_jvp
def row_sum_of_stored(x: Array) -> Array:
    """The same, of what takes so many operations that a loop of several would not be unrolled."""
    if x.shape[-1] * x.dtype.itemsize <= _LONG_ROW:
        return _sum(x)
    return lax.platform_dependent(x, cpu=_sum_by_windows, default=_sum)


@row_sum_of_stored.defjvp
def _row_sum_of_stored_jvp(primals, tangents):
    return row_sum_of_stored(*primals), _sum(*tangents)


def _sum_in_a_loop(x: Array) -> Array:
    return _reduce(x, x.ndim - 1)


def _sum(x: Array) -> Array:
    return jnp.sum(x, axis=-1)


def _sum_by_windows(x: Array) -> Array:
    ones, tail = (1,) * (x.ndim - 1), -x.shape[-1] % _WINDOW
    window, padding = (*ones, _WINDOW), (*((0, 0) for _ in ones), (0, tail))
    zero = jnp.zeros((), x.dtype)
    return _sum(lax.reduce_window(x, zero, lax.add, window, window, padding))


# How many rows the CPU adds up as it makes them. A loop over more would be too long to be unrolled,
# and ten times slower.
_FOLD = 4


@jax.custom_jvp
def total(x: Array) -> Array:
    """Σ x over all axes."""
    if x.ndim == 0 or len(x) < _FOLD:
        return jnp.sum(x)
    return lax.platform_dependent(x, cpu=_total_by_folding, default=jnp.sum)


@total.defjvp
def _total_jvp(primals, tangents):
    return total(*primals), jnp.sum(*tangents)


def _total_by_folding(x: Array) -> Array:
    """The sum of sums of some rows each, which the loop that makes x makes, too, storing no x."""
    groups = len(x) // _FOLD
    folded = x[: groups * _FOLD].reshape(groups, _FOLD, *x.shape[1:])
    return jnp.sum(_reduce(folded, 1)) + jnp.sum(x[groups * _FOLD :])


def _reduce(x: Array, axis: int) -> Array:
    return lax.reduce(x, np.zeros((), x.dtype)[()], _plus, (axis,))


def _plus(a: Array, b: Array) -> Array:
    """a + b, written so that XLA's CPU compiler does not hand the sum to its library."""
    return jnp.maximum(a, b) + jnp.minimum(a, b)
