"""The focal factor (Lin et al., 2017): a cross-entropy scaled by the missed probability."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core.xlogy import weigh


@jax.custom_jvp
def focal(ce: Array, miss: Array, gamma: Array) -> Array:
    """miss^γ · ce, for a cross-entropy `ce` and the probability `miss` = 1 − p_t that it misses.

    The derivative by `miss` is γ · miss^(γ−1) · ce. Two points need care. At miss = 0 (a certain
    and right answer) ce is 0 too, and the product tends to 0 for every γ ≥ 0 although
    miss^(γ−1) may be infinite. At ce = inf (a certain and wrong answer) `miss` has stopped
    moving exponentially fast, so that ce · dmiss tends to 0. At both the slope is 0.
    """
    return jnp.where(miss > 0, miss, 1) ** gamma * jnp.where(miss == 0, 0, ce)


def _focal_jvp(primals, tangents):
    ce, miss, gamma = primals
    loss = focal(ce, miss, gamma)
    inside = (miss > 0) & jnp.isfinite(ce)
    base = jnp.where(miss > 0, miss, 1)
    power = base**gamma
    slopes = (
        power,
        jnp.where(inside, gamma * (power / base) * ce, 0),
        jnp.where(inside, jnp.log(base) * loss, 0),
    )
    terms = [
        slope * dot
        for slope, dot in zip(slopes, tangents, strict=True)
        if not isinstance(dot, jax.custom_derivatives.SymbolicZero)
    ]
    return loss, sum(terms[1:], start=terms[0])


focal.defjvp(_focal_jvp, symbolic_zeros=True)


def balance(losses: Array, y: Array, alpha: Array | None) -> Array:
    """α y + (1 − α)(1 − y) times the losses: α for positive labels, 1 − α for negative ones."""
    return losses if alpha is None else weigh(alpha * y + (1 - alpha) * (1 - y), losses)
