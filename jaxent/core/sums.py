"""Sums over the classes of a row and over everything, as the compilers want them.

XLA's CPU compiler hands a sum to a library, row by row, together with the arithmetic before it if
the library has that. Where the library is slow, in short rows and after arithmetic that it has not,
sums here are of pairs, which it has not either: then they are made in the loop that makes what is
summed. XLA unrolls a loop over few numbers, and does not store them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxent.core.mesh import select

# A row of more than these bytes leaves the library, unless it is summed window by window.
_LONG_ROW, _WINDOW = 2**17, 2**12
# Up to so many classes a row costs the library more than what is in it.
_SHORT_ROW = 2**4
# How many rows are added up as they are made. A loop over more might be too long to be unrolled,
# and then takes many times as long.
_FOLD = 2**2
# Of a multiple of these rows each of up to 8 devices has whole folds. Of other folds devices would
# gather what they are made of.
_FOLDED = 8 * _FOLD


def known_at_most(size: int, bound: int) -> bool:
    """Whether a size is known to be at most so large. A symbolic size of an export is not known."""
    return isinstance(size, int) and size <= bound


@jax.custom_jvp
def row_sum(x: Array) -> Array:
    """Σ x over the last axis."""
    if known_at_most(x.shape[-1], _SHORT_ROW):
        return lax.platform_dependent(x, cpu=_sum_in_the_loop, default=_sum)
    if isinstance(x.shape[-1], int) and x.shape[-1] * x.dtype.itemsize > _LONG_ROW:
        return lax.platform_dependent(x, cpu=_sum_by_windows, default=_sum)
    return _sum(x)


@row_sum.defjvp
def _row_sum_jvp(primals, tangents):
    return row_sum(*primals), _sum(*tangents)


@jax.custom_jvp
def total(x: Array) -> Array:
    """Σ x over all axes, of what takes arithmetic that the library has not."""
    if x.ndim and isinstance(x.shape[0], int) and x.shape[0] % _FOLDED == 0:
        return lax.platform_dependent(x, cpu=_total_in_the_loop, default=jnp.sum)
    return jnp.sum(x)


@total.defjvp
def _total_jvp(primals, tangents):
    return total(*primals), jnp.sum(*tangents)


def _sum(x: Array) -> Array:
    return jnp.sum(x, axis=-1)


def _sum_in_the_loop(x: Array) -> Array:
    return _nan_where(*_sum_pairs(x, x.ndim - 1))


def _total_in_the_loop(x: Array) -> Array:
    folded = x.reshape(x.shape[0] // _FOLD, _FOLD, *x.shape[1:])
    sums, are_nan = _sum_pairs(folded, 1)
    return _nan_where(jnp.sum(sums), jnp.any(are_nan))


def _sum_pairs(x: Array, axis: int) -> tuple[Array, Array]:
    """Σ x in float32 or float64 over an axis, and whether one of x is NaN, by a single reduction.

    NaN needs no such care. But a pair is what XLA cannot take apart and hand to the library, and
    what it can still split over devices, which gather each other's; the sum written in another way,
    say as max + min, it could not.
    """

    def add(a, b):
        return a[0] + select(b[1], jnp.nan, b[0]), a[1] | b[1]

    nothing = np.zeros((), x.dtype)[()], np.False_
    return lax.reduce((x, jnp.isnan(x)), nothing, add, (axis,))


def _nan_where(x: Array, is_nan: Array) -> Array:
    """x, which is NaN there: with one of the pair unused, XLA crashes beside an empty batch."""
    return select(is_nan, jnp.nan, x)


def _sum_by_windows(x: Array) -> Array:
    # XLA would compile for minutes to fold windows of a constant, such as equal class weights.
    x = lax.optimization_barrier(x)
    ones, tail = (1,) * (x.ndim - 1), -x.shape[-1] % _WINDOW
    window, padding = (*ones, _WINDOW), (*((0, 0) for _ in ones), (0, tail))
    zero = jnp.zeros((), x.dtype)
    return _sum(lax.reduce_window(x, zero, lax.add, window, window, padding))
