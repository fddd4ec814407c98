"""The reduction that every loss shares: mask, multiply by weights, sum, divide."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent._declare import Reduction, loss
from jaxent._inputs import expect_floating, fill_dropped, kept_mask
from jaxent.core.dtypes import compute_dtype
from jaxent.core.lower import plain_total, total
from jaxent.core.mesh import select

# An array, or a pair of a total and its divisor for reductions named "total_and_…".
Reduced = Array | tuple[Array, Array]


@loss()
def reduce_losses(
    losses: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Reduced:
    """Reduces losses of any shape, as every loss of jaxent reduces its own.

    Use it for losses that you wrote yourself.

    Args:
      losses: `(...)` floating.
      where: `(...)` boolean. False drops the loss, NaN included.
      weights: `(...)` real factors of the losses. 0 drops the loss, NaN included.
      reduction: "none", "sum", "mean" (Σ w ℓ over the number kept), "weighted_mean" (Σ w ℓ over
        Σ w), "total_and_count" or "total_and_weight".

    Returns:
      `(...)` for "none", a pair of scalars for "total_and_count" and "total_and_weight", a scalar
      otherwise. The dtype is float32, or float64 if an input is. A count is an integer. If no loss
      is kept, every reduction is 0. If weights of both signs sum to 0, a weighted mean divides by
      0: it is ±inf or NaN.

    Raises:
      TypeError: `losses` is not floating, or `where` is not boolean.
      ValueError: shapes differ, or the reduction is unknown.

    Examples:
      The mean over two steps, each with its own number of kept losses:

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
    kept = kept_mask(losses.shape, where, weights)
    return reduce(losses, kept, weights, reduction, add_up=total)


def reduce(
    losses: Array,
    kept: Array | None,
    weights: ArrayLike | None,
    reduction: Reduction,
    valid: Array | None = None,
    add_up: Callable[[Array, Array | None], tuple[Array, Array | None]] = plain_total,
) -> Reduced:
    """Reduces losses. The mask `kept` (None: all) is False where a weight is 0.

    `add_up` gives the total of the losses, and how many of `kept` are True.
    """
    losses = weighted(losses, kept, weights, valid)
    if reduction == "none":
        return losses
    uncounted = reduction == "sum" or (reduction == "total_and_weight" and weights is not None)
    total, count = add_up(losses, None if uncounted else kept)
    return reduce_total(total, losses.size if count is None else count, kept, weights, reduction)


def reduce_total(
    total: Array,
    count: ArrayLike,
    kept: Array | None,
    weights: ArrayLike | None,
    reduction: Reduction,
) -> Reduced:
    """The reduction, from the total Σ w ℓ of the losses and the number of those kept."""
    if reduction == "sum":
        return total
    if reduction == "total_and_count":
        return total, jnp.asarray(count, jax.dtypes.canonicalize_dtype(int))
    divisor = count = jnp.asarray(count, total.dtype)
    if reduction in ("weighted_mean", "total_and_weight") and weights is not None:
        divisor = jnp.sum(fill_dropped(jnp.asarray(weights, total.dtype), kept, 0))
    if reduction == "total_and_weight":
        return total, divisor
    return total / select(count == 0, 1, divisor)


def count(kept: Array | None, size: int) -> ArrayLike:
    """How many of so many losses are kept."""
    return size if kept is None else jnp.sum(kept)


def weighted(
    losses: Array, kept: Array | None, weights: ArrayLike | None, valid: Array | None = None
) -> Array:
    """The losses times their weights, 0 where dropped.

    A loss that is kept but not `valid` (None: all are) is NaN. All its derivatives are 0, so a
    caller may still mask the loss after the call.
    """
    weights = None if weights is None else jnp.asarray(weights)
    dtype = compute_dtype(losses, weights)
    losses = fill_dropped(losses.astype(dtype), kept, 0)
    if weights is not None:
        losses = losses * fill_dropped(weights.astype(dtype), kept, 0)
    if valid is not None:
        losses = fill_dropped(select(valid, losses, jnp.nan), kept, 0)
    return losses
