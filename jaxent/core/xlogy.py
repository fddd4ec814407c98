"""The convention 0 · log 0 = 0.

A term of weight zero is absent: its value and its derivatives are zero. A `where` on the *inputs*
of the product masks it. A `where` on the result would leave 0 · inf = NaN in the derivative.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent.core.mesh import select
from jaxent.core.tangents import along


def weigh(w: Array, x: Array) -> Array:
    """w · x, with 0 · ±inf = 0."""
    return w * select((w == 0) & jnp.isinf(x), 0, x)


@jax.custom_jvp
def mix(w: Array, a: Array, b: Array) -> Array:
    """w · a + (1 − w) · b. The derivative by w is a − b."""
    a, b = _present(w, a, b)
    return w * a + (1 - w) * b


def _mix_jvp(primals, tangents):
    w, a, b = primals
    # One difference, since a term of a and a term of −b may each be infinite with a factor of 0.
    present_a, present_b = _present(w, a, b)
    both_infinite = jnp.isinf(present_a) & jnp.isinf(present_b)
    by_w = select(both_infinite, 0, present_a - present_b)
    return mix(w, a, b), along(tangents, by_w, w, 1 - w)


mix.defjvp(_mix_jvp, symbolic_zeros=True)


def _present(w: Array, a: Array, b: Array) -> tuple[Array, Array]:
    a_absent, b_absent = (w == 0) & jnp.isinf(a), (w == 1) & jnp.isinf(b)
    return select(a_absent, 0, a), select(b_absent, 0, b)


def xlogy(x: Array, y: Array) -> Array:
    """x · log y, with 0 · log 0 = 0."""
    return x * jnp.log(present(x, y))


def present(x: Array, y: Array) -> Array:
    """y, but 1 where the term x · log y is 0 · log 0."""
    return select((x == 0) & (y == 0), 1, y)


def clip(p: Array, floor: ArrayLike) -> Array:
    """p clipped to [floor, 1]. The derivative is 1 in the closed interval and 0 outside."""
    return select(p < floor, floor, select(p > 1, 1, p))


@jax.custom_jvp
def quotient(a: Array, b: Array) -> Array:
    """a / b. The derivative by b is −(a/b)/b: the square of a small b would be 0."""
    return a / b


@quotient.defjvp
def _quotient_jvp(primals, tangents):
    (_, b), (a_dot, b_dot) = primals, tangents
    q = quotient(*primals)
    return q, quotient(a_dot - q * b_dot, b)


def log_of_sum(u: Array, x: Array, is_sum: Array) -> Array:
    """log u. Where u is 1 + x rounded, this is log(1 + x) without the rounding error of u.

    That error is x − (u − 1), exactly so for |x| ≤ 1. The logarithm of u + error is
    log u + error / u to the last digit. A selection must lie between 1 + x and u, since a compiler
    may take x − ((1 + x) − 1) for 0.
    """
    error = select(is_sum, x - (u - 1), 0)
    return _corrected_log(u, error / select(u == 0, 1, u))


@jax.custom_jvp
def _corrected_log(u: Array, correction: Array) -> Array:
    """log u plus a correction, which has no derivative."""
    return jnp.log(u) + correction


@_corrected_log.defjvp
def _corrected_log_jvp(primals, tangents):
    return _corrected_log(*primals), tangents[0] / primals[0]
