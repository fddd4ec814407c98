"""Regression losses."""

from __future__ import annotations

from jax import Array
from jax.typing import ArrayLike

from jaxent._declare import Reduction, loss
from jaxent._inputs import prepare_elements
from jaxent._reduction import Reduced, reduce
from jaxent.core.dtypes import compute_dtype
from jaxent.core.lower import second_pass


@loss()
def squared_error(
    predictions: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Squared error, element by element.

        ℓ = (x − y)²        ∂ℓ/∂x = 2 (x − y)

    Args:
      predictions: `(...)` floating.
      targets: `(...)` real, of the shape of `predictions`. None for zeros.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][]. "mean" gives the mean squared error.

    Returns:
      `(...)`, or the result of `reduction`.

    Raises:
      TypeError: `predictions` is not floating, or `targets` not real.
      ValueError: shapes differ.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> x, y = jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 4.0, 1.0])
      >>> print(jaxent.squared_error(x, y))
      [0. 4. 9.]

    Numerics: subtracts 16-bit inputs in float32.

    Differentiable: in both modes, to any order.

    Agrees with: `optax.losses.squared_error(predictions, targets)`.
    """
    inputs = prepare_elements("predictions", predictions, targets, where, weights, "targets")
    return reduce(_square(inputs.values, inputs.labels), inputs.kept, weights, reduction)


@second_pass
def _square(predictions: Array, targets: Array | None) -> Array:
    dtype = compute_dtype(predictions, targets)
    errors = predictions.astype(dtype)
    if targets is not None:
        errors = errors - targets.astype(dtype)
    return errors * errors
