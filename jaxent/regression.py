"""Regression losses."""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxent._inputs import expect_floating, expect_real, expect_shape, keep, kept_elements, loss
from jaxent.core.dtypes import compute_dtype
from jaxent.reduction import Reduced, Reduction, reduce


@loss()
def squared_error(
    predictions: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    predictions = jnp.asarray(predictions)
    expect_floating("predictions", predictions)
    kept = kept_elements(predictions.shape, where, weights)
    errors = keep(predictions, kept, 0).astype(compute_dtype(predictions))
    if targets is not None:
        targets = jnp.asarray(targets)
        expect_real("targets", targets)
        expect_shape("targets", targets, predictions.shape, "predictions")
        dtype = compute_dtype(predictions, targets)
        errors = errors.astype(dtype) - keep(targets, kept, 0).astype(dtype)
    return reduce(errors * errors, kept, weights, reduction)
