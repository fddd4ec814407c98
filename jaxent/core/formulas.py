"""Losses of rows with a class number, as formulas of their statistics."""

import jax.numpy as jnp
from jax import Array

from jaxent.core.exponentials import gaps_and_exps
from jaxent.core.focal import focal
from jaxent.core.integer import integer_stats
from jaxent.core.labels import smooth
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.xlogy import weigh


def cross_entropy(
    rows: Rows,
    y: Array,
    class_weights: Array | None,
    label_smoothing: Array | None,
    z_loss: Array | None,
) -> Array:
    """(1 − α) w_y (−log p_y) + α/V Σ_j w_j (−log p_j) + z_loss · lse²."""
    stats = integer_stats(rows, class_weights, y)
    mean_nll = stats.sum_nll / rows.kept_count(stats.nll.dtype)
    losses = smooth(class_weighted(rows, stats.nll, y, class_weights), label_smoothing, mean_nll)
    return with_z_loss(losses, stats.lse, z_loss)


def focal_loss(
    rows: Rows,
    y: Array,
    class_weights: Array | None,
    gamma: Array | None,
    label_smoothing: Array | None = None,
) -> Array:
    """(1 − α) ℓ_y + α/V Σ_j ℓ_j for ℓ_j = w_j (1 − p_j)^γ (−log p_j)."""
    stats = integer_stats(rows, None, y)
    losses = class_weighted(rows, focal(stats.nll, stats.miss, gamma), y, class_weights)
    if label_smoothing is None:
        return losses
    gaps, _ = gaps_and_exps(rows.logits(stats.max.dtype), stats.max)
    nlp = gaps + jnp.log1p(stats.rest)[..., None]
    of_classes = focal(nlp, -jnp.expm1(-nlp), gamma)
    w = rows.class_weights(class_weights, nlp.dtype)
    # An infinite loss of a class has no derivative: times a smoothing of 0 it would be NaN.
    infinite = jnp.isinf(of_classes)
    terms = w * select(infinite, 0, of_classes) + select(infinite & (w != 0), jnp.inf, 0)
    return smooth(losses, label_smoothing, rows.summed(terms) / rows.kept_count(nlp.dtype))


def with_z_loss(losses: Array, lse: Array, factor: Array | None) -> Array:
    """Adds factor · lse², which keeps the log-normaliser near 0."""
    # Not the square first: its slope would overflow for logits that the factor makes harmless.
    return losses if factor is None else losses + (factor * lse) * lse


def class_weighted(rows: Rows, losses: Array, y: Array, class_weights: Array | None) -> Array:
    if class_weights is None:
        return losses
    own = rows.own(y)
    of_label = rows.of_label(jnp.take(class_weights, own, mode="clip"), own)
    return weigh(of_label, losses)
