"""The one reduction that every loss shares: where, then weights, then a number."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent._declare import Reduction, loss
from jaxent._inputs import expect_floating, keep, kept_elements
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import select

# An array, or the pair of a total and a divisor where that was asked for.
Reduced = Array | tuple[Array, Array]


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
        the weights), "total_and_count" or "total_and_weight".

    Returns:
      `(...)` for "none", a pair of numbers for "total_and_count" and "total_and_weight", a number
      otherwise, in float32, or float64 where an input is; a count is an integer. Where nothing is
      kept, 0; where weights of both signs cancel, a weighted mean is what dividing by 0 gives.

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
    if reduction == "none":
        return losses
    return of_total(add_up(losses), losses.size, kept, weights, reduction)


def of_total(
    total: Array,
    size: int,
    kept: Array | None,
    weights: ArrayLike | None,
    reduction: Reduction,
) -> Reduced:
    """What a reduction makes of the total of losses, of which there are so many."""
    if reduction == "sum":
        return total
    if reduction == "total_and_count":
        integers = jax.dtypes.canonicalize_dtype(int)
        return total, jnp.asarray(size, integers) if kept is None else jnp.sum(kept)
    count = jnp.asarray(size, total.dtype) if kept is None else jnp.sum(kept).astype(total.dtype)
    divisor = count
    if reduction in ("weighted_mean", "total_and_weight") and weights is not None:
        divisor = jnp.sum(keep(jnp.asarray(weights, total.dtype), kept, 0))
    if reduction == "total_and_weight":
        return total, divisor
    return total / select(count == 0, 1, divisor)


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
        losses = keep(select(valid, losses, jnp.nan), kept, 0)
    return losses
