"""The one reduction that every loss shares: where, then weights, then a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

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
    """Reduces losses of any shape, yours or jaxent's, the way every loss here does.

    Args:
      losses: `(...)` floating.
      where: `(...)` boolean; False drops the loss, whatever it is.
      weights: `(...)` real, multiplied on; 0 drops the loss, whatever it is.
      reduction: "none", "sum", "mean" (over the number kept), "weighted_mean" (over the sum of
        the weights) or "total_and_count".

    Returns:
      `(...)` for "none", the pair (total, count) for "total_and_count", a number otherwise, in
      float32, or float64 where an input is. Where nothing is kept, 0; where weights of both signs
      cancel, a weighted mean is what dividing by 0 gives.

    Raises:
      TypeError: `losses` not floating, `where` not boolean.
      ValueError: shapes that differ, an unknown reduction.

    Example: the mean over two steps that keep different numbers of losses.

      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> steps = [jnp.array([1.0, 2.0, 3.0]), jnp.array([9.0, jnp.nan, jnp.nan])]
      >>> pairs = [
      ...     jaxent.reduce_losses(x, where=~jnp.isnan(x), reduction="total_and_count")
      ...     for x in steps
      ... ]
      >>> total, count = (sum(column) for column in zip(*pairs))
      >>> print(total / count)
      3.75
    """
    losses = jnp.asarray(losses)
    expect_floating("losses", losses)
    return reduce(losses, kept_elements(losses.shape, where, weights), weights, reduction)


def reduce(
    losses: Array,
    kept: Array | None,
    weights: ArrayLike | None,
    reduction: Reduction,
    valid: Array | None = None,
    add_up: Callable[[Array], Array] = jnp.sum,
) -> Reduced:
    """Reduces losses of which `kept` (None: all) count, `kept` being False where a weight is 0."""
    losses = weighted(losses, kept, weights, valid)
    count, divisor = count_and_divisor(losses.size, kept, weights, reduction, losses.dtype)
    if reduction == "none":
        return losses
    total = add_up(losses)
    return (total, count) if reduction == "total_and_count" else total / divisor


def weighted(
    losses: Array, kept: Array | None, weights: ArrayLike | None, valid: Array | None = None
) -> Array:
    """The losses times their weights, 0 where they are not kept.

    A loss that is kept and not `valid` (None: all are) is NaN, and has no derivative by anything,
    so that it may be masked afterwards.
    """
    weights = None if weights is None else jnp.asarray(weights)
    dtype = compute_dtype(losses, weights)
    losses = keep(losses.astype(dtype), kept, 0)
    if weights is not None:
        losses = losses * keep(weights.astype(dtype), kept, 0)
    if valid is not None:
        losses = keep(jnp.where(valid, losses, jnp.nan), kept, 0)
    return losses


def count_and_divisor(
    size: int,
    kept: Array | None,
    weights: ArrayLike | None,
    reduction: Reduction,
    dtype: DTypeLike,
) -> tuple[Array, Array]:
    """How many of the losses are kept, and what their sum is divided by."""
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {get_args(Reduction)}, got {reduction!r}")
    count = jnp.asarray(size if kept is None else jnp.sum(kept, dtype=jnp.int32), dtype)
    if reduction not in ("mean", "weighted_mean"):
        return count, jnp.ones((), dtype)
    divisor = count
    if reduction == "weighted_mean" and weights is not None:
        divisor = jnp.sum(keep(jnp.asarray(weights, dtype), kept, 0))
    return count, jnp.where(count == 0, 1, divisor)
