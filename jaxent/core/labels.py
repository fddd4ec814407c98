"""Labels that are distributions: smoothed, weighted by class, or spread from a few classes."""

from jax import Array

from jaxent.core import lower
from jaxent.core.rows import Rows
from jaxent.core.xlogy import mix


def smooth(label: Array, amount: Array | None, uniform: Array) -> Array:
    """(1 − amount) · label + amount · uniform (Szegedy et al., 2016).

    Cross-entropy is linear in its label. So this formula smooths a label towards the uniform
    distribution, and the loss of a label towards the loss of the uniform distribution.
    """
    return label if amount is None else mix(amount, uniform, label.astype(amount.dtype))


def target(
    rows: Rows, t: Array, class_weights: Array | None, label_smoothing: Array | None
) -> Array:
    """Labels (..., V) that are distributions, smoothed over the kept classes, then weighted."""
    if label_smoothing is not None:
        dtype = label_smoothing.dtype
        uniform = rows.class_weights(None, dtype) / rows.kept_count(dtype)[..., None]
        t = smooth(t, label_smoothing, uniform)
    if class_weights is None:
        return t
    dtype = class_weights.dtype
    return t.astype(dtype) * rows.class_weights(class_weights, dtype)


def spread(rows: Rows, y: Array, probs: Array) -> Array:
    """t_j = Σ_k probs_k [j = y_k] over the local classes, for labels and probs (..., K).

    A label outside of [0, V) has no class.
    """
    return lower.spread(rows.values, rows.own(y), probs)
