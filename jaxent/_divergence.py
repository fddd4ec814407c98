"""Divergences between distributions over classes, in nats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import TEMPERATURE, Axis, Reduction, loss
from jaxent._inputs import expect_real, expect_shape, option
from jaxent._reduction import Reduced, reduce
from jaxent.core.divergence import (
    generalized_kl_terms,
    js_terms,
    kl_terms,
    kl_terms_of_logs,
    tempered_kl,
)
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import AxisName
from jaxent.core.sums import row_sum
from jaxent.core.tangents import rows_apart


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
    r"""Kullback–Leibler divergence Σ t_j (log t_j − log p_j) from log-probabilities.

    Its derivative by log p_j is −t_j.

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape to drop rows, or of the inputs' to leave terms out.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it. 0 · log 0 = 0; target mass where p is 0
      gives +inf.

    Raises:
      TypeError: `log_predictions` not floating.
      ValueError: shapes that differ, an axis out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.25, 0.75]), jnp.array([0.5, 0.5])
      >>> print(jaxent.kl_divergence(jnp.log(p), t))
      0.1438

    Numerics: terms of both signs, so exact to the rounding of the largest; for divergences near 0
    take `softmax_kl_divergence` or `generalized_kl_divergence`.

    Agrees with: `optax.losses.kl_divergence(log_predictions, targets)`.

    References: Kullback and Leibler, "On information and sufficiency", 1951.
    """
    inputs = "log_predictions", log_predictions, "targets", targets
    return _sum_of(kl_terms, *inputs, axis, where, weights, reduction)


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
    r"""Kullback–Leibler divergence Σ t_j (log t_j − log p_j), both as log-probabilities.

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      log_targets: log t, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape to drop rows, or of the inputs' to leave terms out.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it. A target at −inf is a term of 0.

    Raises: as `kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.25, 0.75]), jnp.array([0.5, 0.5])
      >>> print(jaxent.kl_divergence_with_log_targets(jnp.log(p), jnp.log(t)))
      0.1438

    Agrees with: `optax.losses.kl_divergence_with_log_targets(log_predictions, log_targets)`.
    """
    inputs = "log_predictions", log_predictions, "log_targets", log_targets
    return _sum_of(kl_terms_of_logs, *inputs, axis, where, weights, reduction)


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
    r"""Generalized Kullback–Leibler divergence Σ t_j log(t_j/p_j) − t_j + p_j, of any masses.

    Its derivative by log p_j is p_j − t_j. Each term is at least 0, so nothing cancels.

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape to drop rows, or of the inputs' to leave terms out.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises: as `kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.5, 1.5]), jnp.array([0.5, 0.5])
      >>> print(jaxent.generalized_kl_divergence(jnp.log(p), t))
      0.4507

    Agrees with: `optax.losses.generalized_kl_divergence(log_predictions, targets)`.

    References: Bregman, "The relaxation method of finding the common point of convex sets", 1967.
    """
    inputs = "log_predictions", log_predictions, "targets", targets
    return _sum_of(generalized_kl_terms, *inputs, axis, where, weights, reduction)


@loss(temperature=TEMPERATURE)
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Kullback–Leibler divergence of softmax(target_logits) from softmax(logits): distillation.

    With t and p the two softmaxes, at temperature T both of logits/T:

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂z_j = (p_j − t_j)/T

    Args:
      logits: the student's, `(..., V, ...)` floating.
      target_logits: the teacher's, of the same shape. Differentiated too, unless stopped.
      axis: the class axis or axes.
      where: of the rows' shape to drop rows, or of the logits' to drop classes from both.
      temperature: above 0. Hinton multiplies the loss by T², to keep the size of its gradient;
        do so outside.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, at least 0; +inf where the student is at −inf and the teacher is not. Or what
      `reduction` makes of it.

    Raises: as `kl_divergence`; ValueError for a temperature that is not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.001, 3.0])
      >>> print(jaxent.softmax_kl_divergence(student, teacher))
      9.24e-08

    Numerics: summed as terms that are each at least 0, so nothing cancels between them. In float32,
    logits 1e-4 apart leave three digits of the divergence, of 4e-9.
    Differentiable in both modes, to any order, by both logits and `temperature`.

    References: Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    rows = _classes.rows("logits", logits, axis, where, weights, axis_name)
    target_logits = jnp.asarray(target_logits)
    expect_real("target_logits", target_logits)
    expect_shape("target_logits", target_logits, jnp.shape(logits), "logits")
    target_rows = replace(rows, values=_classes.class_axis_last(target_logits, axis))
    dtype = compute_dtype(rows.values, target_logits)
    divergences = tempered_kl(rows, target_rows, option("temperature", temperature, dtype))
    return reduce(divergences, rows.kept, weights, reduction)


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
    r"""Jensen–Shannon divergence of two distributions: the mean divergence from their mean.

        ℓ = ½ Σ_j [p_j log(p_j/m_j) + t_j log(t_j/m_j)],  m = (p + t)/2

        ∂ℓ/∂p_j = ½ log(p_j/m_j)

    Args:
      probs: p, `(..., V, ...)` floating, in [0, 1].
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape to drop rows, or of the inputs' to leave terms out.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, between 0 and log 2; the square of `scipy.spatial.distance.jensenshannon`. Or
      what `reduction` makes of it.

    Raises: as `kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.jensen_shannon_divergence(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5])))
      0.2158

    References: Lin, "Divergence measures based on the Shannon entropy", 1991.
    """
    return _sum_of(js_terms, "probs", probs, "targets", targets, axis, where, weights, reduction)


def _sum_of(
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
    """Σ of terms made of two arrays of one shape (..., V), without those that are dropped."""
    rows = _classes.rows(name, x, axis, where, weights)
    y = _classes.class_values(other_name, other, rows, axis, jnp.shape(x), name)
    made = terms(_classes.filled(rows, rows.values, 1), _classes.filled(rows, y, 1))
    sums = rows_apart(row_sum(_classes.filled(rows, made, 0)))
    return reduce(sums, rows.kept, weights, reduction)
