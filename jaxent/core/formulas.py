"""Losses of rows with labels, as formulas of the rows' statistics.

α is the label smoothing and K the number of classes that are not masked. Sums run over these. The
losses of dropped rows are arbitrary, and the reduction drops them.
"""

import jax.numpy as jnp
from jax import Array

from jaxent.core.dense import target_stats
from jaxent.core.exponentials import scaled
from jaxent.core.focal import focal
from jaxent.core.integer import integer_stats
from jaxent.core.labels import smooth, target
from jaxent.core.mesh import select, sum_over
from jaxent.core.rows import Rows
from jaxent.core.xlogy import weigh


def cross_entropy(
    rows: Rows,
    y: Array,
    class_weights: Array | None,
    label_smoothing: Array | None,
    z_loss: Array | None,
) -> Array:
    """(1 − α) w_y (−log p_y) + α/K Σ_j w_j (−log p_j) + z_loss · lse²."""
    w = None if label_smoothing is None else rows.class_weights(class_weights, rows.dtype)
    stats = integer_stats(rows, y, w)
    losses = class_weighted(rows, stats.nll, y, class_weights)
    if label_smoothing is not None:
        losses = smooth(losses, label_smoothing, stats.sum_nll / rows.kept_count(rows.dtype))
    return with_z_loss(losses, stats.lse(rows.inverse_temperature), z_loss)


def distribution_cross_entropy(
    rows: Rows,
    t: Array,
    class_weights: Array | None,
    label_smoothing: Array | None,
    z_loss: Array | None,
) -> Array:
    """Σ_j t′_j (−log p_j) + z_loss · lse², for t′_j = w_j ((1 − α) t_j + α/K)."""
    stats = target_stats(rows, target(rows, t, class_weights, label_smoothing))
    return with_z_loss(stats.nll, stats.lse(rows.inverse_temperature), z_loss)


def focal_loss(
    rows: Rows,
    y: Array,
    class_weights: Array | None,
    gamma: Array | None,
    label_smoothing: Array | None = None,
) -> Array:
    """(1 − α) ℓ_y + α/K Σ_j ℓ_j for ℓ_j = w_j (1 − p_j)^γ (−log p_j).

    Smoothing reads the logits once more, since no statistic holds Σ_j ℓ_j.
    """
    stats = integer_stats(rows, y)
    losses = class_weighted(rows, focal(stats.nll, stats.miss, gamma), y, class_weights)
    if label_smoothing is None:
        return losses
    z_gaps = scaled(rows.gaps(stats.max), rows.inverse_temperature)
    nlp = z_gaps + jnp.log1p(stats.rest)[..., None]
    of_classes = focal(nlp, -jnp.expm1(-nlp), gamma)
    w = rows.class_weights(class_weights, nlp.dtype)
    # An infinite ℓ_j is a constant here: its derivative times α = 0 would be NaN.
    infinite = jnp.isinf(of_classes)
    terms = w * select(infinite, 0, of_classes) + select(infinite & (w != 0), jnp.inf, 0)
    return smooth(losses, label_smoothing, rows.summed(terms) / rows.kept_count(nlp.dtype))


def with_z_loss(losses: Array, lse: Array, factor: Array | None) -> Array:
    """Adds factor · lse², which keeps the log-normaliser near 0."""
    # In this order: lse² alone may overflow where the loss and its derivative are finite.
    return losses if factor is None else losses + (factor * lse) * lse


def class_weighted(rows: Rows, losses: Array, y: Array, class_weights: Array | None) -> Array:
    """w_y times the loss of each row."""
    if class_weights is None:
        return losses
    here = rows.own(y)
    w = jnp.take(class_weights, here, mode="clip")
    if rows.axis_name is not None:
        w = sum_over(rows.axis_name, select(here < rows.values.shape[-1], w, 0))
    return weigh(w, losses)
