"""Softmax losses."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _inputs
from jaxent._inputs import Axis, Rows, class_vector, keep, loss, number, option
from jaxent.core import dense
from jaxent.core.dense import integer_stats, target_stats
from jaxent.core.dtypes import compute_dtype
from jaxent.core.focal import focal
from jaxent.core.labels import smooth
from jaxent.core.stats import SoftmaxStats
from jaxent.core.xlogy import weigh
from jaxent.reduction import Reduced, Reduction, reduce

INF = float("inf")


@loss(label_smoothing=(0, 1), z_loss=(0, INF))
def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    rows = _inputs.rows("logits", logits, axis, where, weights)
    t = _inputs.class_values("labels", labels, rows, axis, jnp.shape(logits), "logits")
    smoothing = option("label_smoothing", label_smoothing, t.dtype)
    t = smooth(t, smoothing, _uniform(rows, t.dtype))
    by_class = class_vector("class_weights", class_weights, rows, t.dtype)
    t = t if by_class is None else t * _as_row(by_class, t.ndim)
    stats = _target_stats(rows, t)
    losses = _with_z_loss(stats.nll, stats, z_loss)
    return reduce(losses, rows.kept, weights, reduction)


@loss(label_smoothing=(0, 1), z_loss=(0, INF))
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    rows = _inputs.rows("logits", logits, axis, where, weights)
    y, valid = _inputs.class_numbers("logits", labels, rows)
    by_class = class_vector("class_weights", class_weights, rows, compute_dtype(rows.values))
    stats = _integer_stats(rows, y, valid, by_class)
    smoothing = option("label_smoothing", label_smoothing, stats.nll.dtype)
    mean_nll = stats.sum_nll / _class_count(rows, stats.nll.dtype)
    losses = smooth(_class_weighted(stats.nll, y, by_class), smoothing, mean_nll)
    losses = jnp.where(valid, _with_z_loss(losses, stats, z_loss), jnp.nan)
    return reduce(losses, rows.kept, weights, reduction)


@loss(gamma=(0, INF))
def softmax_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    gamma: ArrayLike = 2.0,
    class_weights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    rows = _inputs.rows("logits", logits, axis, where, weights)
    y, valid = _inputs.class_numbers("logits", labels, rows)
    stats = _integer_stats(rows, y, valid)
    by_class = class_vector("class_weights", class_weights, rows, stats.nll.dtype)
    losses = focal(stats.nll, stats.miss, number("gamma", gamma, stats.nll.dtype))
    losses = jnp.where(valid, _class_weighted(losses, y, by_class), jnp.nan)
    return reduce(losses, rows.kept, weights, reduction)


@loss()
def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    rows = _inputs.rows("logits", logits, axis, where, weights)
    t = _inputs.class_values("labels", labels, rows, axis, jnp.shape(logits), "logits")
    stats = _target_stats(rows, t)
    losses = stats.nll + number("epsilon", epsilon, stats.nll.dtype) * stats.miss
    return reduce(losses, rows.kept, weights, reduction)


@loss()
def softmax_stats(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> SoftmaxStats:
    rows = _inputs.rows("logits", logits, axis, where)
    if not jnp.issubdtype(jnp.asarray(labels).dtype, jnp.integer):
        t = _inputs.class_values("labels", labels, rows, axis, jnp.shape(logits), "logits")
        return _target_stats(rows, t)
    y, valid = _inputs.class_numbers("logits", labels, rows)
    stats = _integer_stats(rows, y, valid)
    nll, miss = (jnp.where(valid, x, jnp.nan) for x in (stats.nll, stats.miss))
    return stats._replace(nll=nll, miss=miss)


def _integer_stats(
    rows: Rows, y: Array, valid: Array, class_weights: Array | None = None
) -> SoftmaxStats:
    kept = valid if rows.kept is None else valid & rows.kept
    return integer_stats(_core_rows(rows, kept, class_weights), y)


def _target_stats(rows: Rows, t: Array) -> SoftmaxStats:
    return target_stats(_core_rows(rows, rows.kept), t)


def _core_rows(
    rows: Rows, kept: Array | None, class_weights: Array | None = None
) -> dense.Rows:
    """Rows without their dropped classes; `sum_nll` has the weights of the classes kept."""
    logits, classes = rows.values, rows.classes
    weights = jnp.ones(logits.shape[-1]) if class_weights is None else class_weights
    weights = _as_row(weights, logits.ndim)
    if classes is None:
        return dense.Rows(logits, weights, kept)
    logits = jnp.where(classes, logits, jnp.asarray(-jnp.inf, logits.dtype))
    weights = classes if class_weights is None else jnp.where(classes, weights, 0)
    return dense.Rows(logits, weights, kept)


def _as_row(vector: Array, ndim: int) -> Array:
    return vector.reshape((1,) * (ndim - 1) + vector.shape)


def _class_count(rows: Rows, dtype: DTypeLike) -> Array:
    """How many classes each row keeps; 1 for a dropped row."""
    if rows.classes is None:
        return jnp.asarray(rows.values.shape[-1], dtype)
    return jnp.maximum(jnp.sum(rows.classes, axis=-1, dtype=jnp.int32), 1).astype(dtype)


def _uniform(rows: Rows, dtype: DTypeLike) -> Array:
    """The uniform distribution over the classes kept."""
    count = _class_count(rows, dtype)
    return 1 / count if rows.classes is None else rows.classes.astype(dtype) / count[..., None]


def _class_weighted(losses: Array, y: Array, class_weights: Array | None) -> Array:
    return losses if class_weights is None else weigh(jnp.take(class_weights, y), losses)


def _with_z_loss(losses: Array, stats: SoftmaxStats, z_loss: ArrayLike | None) -> Array:
    """Adds z_loss · lse², which keeps the log-normaliser near 0."""
    factor = option("z_loss", z_loss, losses.dtype)
    return losses if factor is None else losses + factor * stats.lse**2
