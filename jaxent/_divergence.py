"""Divergences between distributions over classes, in nats."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import Axis, Reduction, loss
from jaxent._reduction import Reduced, reduce
from jaxent.core.divergence import (
    generalized_kl_terms,
    js_terms,
    kl_terms,
    kl_terms_of_logs,
)
from jaxent.core.lower import row_sum, settled


@loss()
def kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Kullback–Leibler divergence of log-probabilities from targets that are probabilities.

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂(log p_j) = −t_j

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the inputs' shape to drop terms.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `log_predictions` is not floating.
      ValueError: shapes differ, or an axis is out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.25, 0.75]), jnp.array([0.5, 0.5])
      >>> print(jaxent.kl_divergence(jnp.log(p), t))
      0.1438

    Numerics: 0 · log 0 = 0. Target mass where p is 0 gives +inf. The terms have both signs and can
    cancel: the error is a rounding error of the largest term. For divergences near 0 use
    `softmax_kl_divergence` or `generalized_kl_divergence`.

    Agrees with: `optax.losses.kl_divergence(log_predictions, targets)`.

    References: Kullback and Leibler, "On information and sufficiency", 1951.
    """
    inputs = "log_predictions", log_predictions, "targets", targets
    return _summed_terms(kl_terms, *inputs, axis, where, weights, reduction)


@loss()
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Kullback–Leibler divergence of log-probabilities from targets that are log-probabilities.

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂(log p_j) = −t_j

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      log_targets: log t, of the same shape.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the inputs' shape to drop terms.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.25, 0.75]), jnp.array([0.5, 0.5])
      >>> print(jaxent.kl_divergence_with_log_targets(jnp.log(p), jnp.log(t)))
      0.1438

    Numerics: as `kl_divergence`. A class whose log-target is −inf adds 0.

    Agrees with: `optax.losses.kl_divergence_with_log_targets(log_predictions, log_targets)`.
    """
    inputs = "log_predictions", log_predictions, "log_targets", log_targets
    return _summed_terms(kl_terms_of_logs, *inputs, axis, where, weights, reduction)


@loss()
def generalized_kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Generalized Kullback–Leibler divergence, of masses that need not sum to 1.

        ℓ = Σ_j [t_j log(t_j/p_j) − t_j + p_j]        ∂ℓ/∂(log p_j) = p_j − t_j

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the inputs' shape to drop terms.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.5, 1.5]), jnp.array([0.5, 0.5])
      >>> print(jaxent.generalized_kl_divergence(jnp.log(p), t))
      0.4507

    Numerics: each term is at least 0, so nothing cancels.

    Agrees with: `optax.losses.generalized_kl_divergence(log_predictions, targets)`.

    References: Bregman, "The relaxation method of finding the common point of convex sets", 1967.
    """
    inputs = "log_predictions", log_predictions, "targets", targets
    return _summed_terms(generalized_kl_terms, *inputs, axis, where, weights, reduction)


@loss()
def jensen_shannon_divergence(
    probs: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Jensen–Shannon divergence: the mean Kullback–Leibler divergence of two from their mean.

        ℓ = ½ Σ_j [p_j log(p_j/m_j) + t_j log(t_j/m_j)],  m = (p + t)/2

        ∂ℓ/∂p_j = ½ log(p_j/m_j)

    Args:
      probs: p, `(..., V, ...)` floating, in [0, 1].
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the inputs' shape to drop terms.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, between 0 and log 2, or the result of `reduction`.

    Raises: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.jensen_shannon_divergence(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5])))
      0.2158

    Agrees with: the square of `scipy.spatial.distance.jensenshannon(probs, targets)`.

    References: Lin, "Divergence measures based on the Shannon entropy", 1991.
    """
    return _summed_terms(
        js_terms, "probs", probs, "targets", targets, axis, where, weights, reduction
    )


def _summed_terms(
    terms: Callable[[Array, Array], Array],
    name: str,
    x: ArrayLike,
    other_name: str,
    other: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
    weights: ArrayLike | None,
    reduction: Reduction,
) -> Reduced:
    """Σ_j of a formula of two arrays (..., V) of one shape, without dropped terms."""
    rows = _classes.prepare_rows(name, x, axis, where, weights)
    y = _classes.prepare_class_values(other_name, other, rows, axis, jnp.shape(x), name)
    x, y = (_classes.fill_rows(rows, a, 1) for a in (rows.values, y))
    sums = settled(row_sum(_classes.fill_rows(rows, terms(x, y), 0)))
    return reduce(sums, rows.kept, weights, reduction)
