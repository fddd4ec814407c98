"""The focal factor (Lin et al., 2017): a cross-entropy scaled by the missed probability."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core.lower import power
from jaxent.core.mesh import select
from jaxent.core.tangents import along
from jaxent.core.xlogy import weigh


def focal(ce: Array, miss: Array, gamma: Array | None) -> Array:
    """miss^γ · ce, for a cross-entropy `ce` and the probability `miss` = 1 − p_t that it misses."""
    return ce if gamma is None else _focal(ce, miss, gamma)


@jax.custom_jvp
def _focal(ce: Array, miss: Array, gamma: Array) -> Array:
    # An infinite loss stays infinite, even where the power of `miss` underflows to 0.
    return select(jnp.isinf(ce), ce, power(miss, gamma) * ce)


def _focal_jvp(primals, tangents):
    ce, miss, gamma = primals
    base = select(miss > 0, miss, 1)
    by_gamma = weigh(jnp.log(base), _focal(ce, base, gamma))
    slopes = _power(miss, gamma), gamma * _scaled(ce, miss, gamma), by_gamma
    return _focal(ce, miss, gamma), along(tangents, *slopes)


_focal.defjvp(_focal_jvp, symbolic_zeros=True)


def _power(miss: Array, n: Array) -> Array:
    """miss^n. At miss = 0 it has no derivative, and is 0 for n ≠ 0, negative n included."""
    return select(miss > 0, power(select(miss > 0, miss, 1), n), (n == 0).astype(miss.dtype))


@jax.custom_jvp
def _scaled(ce: Array, miss: Array, n: Array) -> Array:
    """miss^(n − 1) · ce, a factor of the derivatives by `miss`. The exponent may be negative.

    Two points need care. At miss = 0, a certain and right answer, ce is 0 as well: the tangent of
    `miss` tends to 0 faster than this factor grows. Where ce is infinite, a certain and wrong
    answer, or n · ce overflows, `miss` is constant to the last digit. At both points this is 0.
    """
    base = select(miss > 0, miss, 1)
    # ce ≥ miss, so their ratio takes care of one power of a tiny miss. The other n powers are the
    # derivative by ce, and are computed once for both.
    scaled = power(base, n) * (ce / base)
    bounded = scaled < float(jnp.finfo(scaled.dtype).max) * 2**-20
    return select((miss > 0) & bounded, scaled, 0)


def _scaled_jvp(primals, tangents):
    ce, miss, n = primals
    base = select(miss > 0, miss, 1)
    scaled = _scaled(ce, miss, n)
    slopes = _power(miss, n - 1), (n - 1) * _scaled(ce, miss, n - 1), scaled * jnp.log(base)
    return scaled, along(tangents, *slopes)


_scaled.defjvp(_scaled_jvp, symbolic_zeros=True)


def balance(losses: Array, y: Array, alpha: Array | None) -> Array:
    """α y + (1 − α)(1 − y) times the losses: α for positive labels, 1 − α for negative ones."""
    return losses if alpha is None else _balanced(losses, y, alpha)


@jax.custom_jvp
def _balanced(losses: Array, y: Array, alpha: Array) -> Array:
    share = _share(y, alpha)
    # The selection comes last. Before the product it would cost a temporary of each factor.
    return select((share == 0) & jnp.isinf(losses), 0, share * losses)


def _balanced_jvp(primals, tangents):
    losses, y, alpha = primals
    # One slope by each argument. Two terms of the share would give inf − inf at an infinite loss.
    slopes = _share(y, alpha), weigh(2 * alpha - 1, losses), weigh(2 * y - 1, losses)
    return _balanced(losses, y, alpha), along(tangents, *slopes)


_balanced.defjvp(_balanced_jvp, symbolic_zeros=True)


def _share(y: Array, alpha: Array) -> Array:
    return alpha * y + (1 - alpha) * (1 - y)
