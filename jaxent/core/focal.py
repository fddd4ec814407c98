"""The focal factor (Lin et al., 2017): a cross-entropy scaled by the missed probability."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core.tangents import along
from jaxent.core.xlogy import weigh


@jax.custom_jvp
def focal(ce: Array, miss: Array, gamma: Array) -> Array:
    """miss^γ · ce, for a cross-entropy `ce` and the probability `miss` = 1 − p_t that it misses.

    The derivative by `miss` is γ · miss^(γ−1) · ce. Two points need care. At miss = 0 (a certain
    and right answer) ce is 0 too, and the product tends to 0 for every γ ≥ 0 although
    miss^(γ−1) may be infinite. Where ce is so large that the slope overflows (a certain and wrong
    answer), `miss` has stopped moving exponentially fast, so that the slope times its change
    tends to 0. At both the slope is taken as 0.
    """
    return miss**gamma * ce


def _focal_jvp(primals, tangents):
    ce, miss, gamma = primals
    base = jnp.where(miss > 0, miss, 1)
    power = base**gamma
    slope = gamma * (power / base)
    moving = (miss > 0) & jnp.isfinite(slope * ce)
    by_miss = jnp.where(moving, slope, 0) * jnp.where(moving, ce, 0)
    by_gamma = weigh(jnp.log(base), power * ce)
    return focal(ce, miss, gamma), along(tangents, power, by_miss, by_gamma)


focal.defjvp(_focal_jvp, symbolic_zeros=True)


def balance(losses: Array, y: Array, alpha: Array | None) -> Array:
    """α y + (1 − α)(1 − y) times the losses: α for positive labels, 1 − α for negative ones."""
    return losses if alpha is None else weigh(_share(y, alpha), losses)


@jax.custom_jvp
def _share(y: Array, alpha: Array) -> Array:
    """α y + (1 − α)(1 − y)."""
    return alpha * y + (1 - alpha) * (1 - y)


def _share_jvp(primals, tangents):
    y, alpha = primals
    # One slope by each: two of them would meet an infinite loss as inf · 0.
    return _share(y, alpha), along(tangents, 2 * alpha - 1, 2 * y - 1)


_share.defjvp(_share_jvp, symbolic_zeros=True)
