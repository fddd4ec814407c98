"""The focal factor (Lin et al., 2017): a cross-entropy scaled by the missed probability."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

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
    return jnp.where(miss > 0, miss, 1) ** gamma * jnp.where(miss == 0, 0, ce)


def _focal_jvp(primals, tangents):
    ce, miss, gamma = primals
    base = jnp.where(miss > 0, miss, 1)
    power = base**gamma
    by_miss = jnp.where(miss > 0, gamma * (power / base) * ce, 0)
    by_gamma = weigh(jnp.log(base), power * ce)
    slopes = power, jnp.where(jnp.isfinite(by_miss), by_miss, 0), by_gamma
    terms = [
        slope * dot
        for slope, dot in zip(slopes, tangents, strict=True)
        if not isinstance(dot, SymbolicZero)
    ]
    return focal(ce, miss, gamma), sum(terms[1:], start=terms[0])


focal.defjvp(_focal_jvp, symbolic_zeros=True)


def balance(losses: Array, y: Array, alpha: Array | None) -> Array:
    """α y + (1 − α)(1 − y) times the losses: α for positive labels, 1 − α for negative ones."""
    # Linear in α with one coefficient: two of them would meet an infinite loss as inf · 0.
    return losses if alpha is None else weigh((1 - y) + alpha * (2 * y - 1), losses)
