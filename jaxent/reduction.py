"""The one reduction that every loss shares: where, then weights, then a number."""

from typing import Any, Literal, get_args

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent._inputs import expect_floating, keep, kept_elements, loss
from jaxent.core.dtypes import compute_dtype

Reduction = Literal["none", "sum", "mean", "weighted_mean", "total_and_count"]
# An array, or the pair (total, count) where that was asked for.
Reduced = Array | Any


@loss()
def reduce_losses(
    losses: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Reduced:
    losses = jnp.asarray(losses)
    expect_floating("losses", losses)
    return reduce(losses, kept_elements(losses.shape, where, weights), weights, reduction)


def reduce(
    losses: Array, kept: Array | None, weights: ArrayLike | None, reduction: Reduction
) -> Reduced:
    """Reduces losses of which `kept` (None: all) count, `kept` being False where a weight is 0."""
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {get_args(Reduction)}, got {reduction!r}")
    weights = None if weights is None else jnp.asarray(weights)
    dtype = compute_dtype(losses, weights)
    losses = keep(losses.astype(dtype), kept, 0)
    if weights is not None:
        weights = keep(weights.astype(dtype), kept, 0)
        losses = losses * weights
    if reduction == "none":
        return losses
    total = jnp.sum(losses)
    if reduction == "sum":
        return total
    number = losses.size if kept is None else jnp.sum(kept, dtype=jnp.int32)
    count = jnp.asarray(number, dtype)
    if reduction == "total_and_count":
        return total, count
    weighted = reduction == "weighted_mean" and weights is not None
    divisor = jnp.sum(weights) if weighted else count
    return total / jnp.where(count == 0, 1, divisor)
