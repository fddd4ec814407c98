"""Statistics of rows of logits, for losses that users write themselves."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _classes, _heads
from jaxent._declare import SOFTCAP, Axis, loss
from jaxent._inputs import expect_split, option
from jaxent.core.argmax import argmax
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.dense import target_stats
from jaxent.core.integer import integer_stats
from jaxent.core.lower import settled
from jaxent.core.mesh import AxisName, count_over, select
from jaxent.core.rows import Rows
from jaxent.core.stats import RowStats, SoftmaxStats


@loss()
def softmax_stats(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
) -> SoftmaxStats:
    """Statistics of each row of logits, to write your own loss as a formula of them.

    Your formula needs no derivative rule: the statistics have stable rules of their own.

    Args:
      logits: `(..., V, ...)` floating.
      labels: integers `(...)` in [0, V), or distributions `(..., V, ...)`.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes. All
        statistics of a dropped row are 0, so sums over a sequence leave it out.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see `jaxent`.

    Returns:
      `SoftmaxStats`, a dataclass of arrays of the rows' shape: `max`, `rest`, `nll`, `miss`,
      `sum_nll`, `entropy`, with the property `lse`. Where a label is no class, `nll` and `miss` are
      NaN and their derivatives are 0.

    Raises: as `softmax_cross_entropy` and `softmax_cross_entropy_with_integer_labels`.

    Example: cross-entropy with an entropy bonus.

      >>> import jax
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> def loss(logits, labels):
      ...     stats = jaxent.softmax_stats(logits, labels)
      ...     return jnp.mean(stats.nll - 0.01 * stats.entropy)
      >>> print(jax.grad(loss)(jnp.array([[1.0, 2.0, 3.0]]), jnp.array([2])))
      [[ 0.0886 0.2433 -0.3319]]
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, axis_name=axis_name)
    if jnp.issubdtype(jnp.asarray(labels).dtype, jnp.integer):
        return _integer_label_stats(
            rows, *_classes.prepare_integer_labels("logits", labels, rows.shape, axis)
        )
    t = _classes.prepare_class_values("labels", labels, rows, axis, jnp.shape(logits), "logits")
    w = rows.class_weights(None, rows.dtype)
    return _public_stats(rows, target_stats(rows, t, w, miss=True, entropy=True))


@loss(KEPT_GRADIENTS, softcap=SOFTCAP)
def linear_softmax_stats(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
) -> tuple[SoftmaxStats, Array]:
    """Statistics of a linear head's logits, and its predicted classes, without holding the logits.

    Use it for your own loss of a large vocabulary: log-probabilities for reinforcement learning, an
    entropy bonus, a calibration. Your formula needs no derivative rule.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V).
      bias: `(V,)` floating. A bias of −inf excludes a class.
      softcap: c > 0. Replaces z by c · tanh(z/c).
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the kernel's classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean. A dropped row has statistics of 0 and class 0.

    Returns:
      `SoftmaxStats` of arrays `(...)`, as `softmax_stats` returns, and the predicted class `(...)`:
      that of the largest logit, an integer without derivative.

    Raises, Numerics, Differentiable: as `linear_softmax_cross_entropy`.

    Example: cross-entropy with an entropy bonus, and the accuracy.

      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[4.0, 0.0, 1.0], [0.0, 2.0, 3.0]])
      >>> labels = jnp.array([0, 1])
      >>> stats, predicted = jaxent.linear_softmax_stats(features, kernel, labels)
      >>> print(jnp.mean(stats.nll - 0.01 * stats.entropy), jnp.mean(predicted == labels))
      0.7025 0.5
    """
    head = _heads.prepare_head(features, kernel, bias, axis, operand_dtype)
    expect_split("kernel", head.kernel, axis_name)
    shape, classes = jnp.shape(features)[:-1], head.classes
    inputs = _heads.prepare_row_inputs(labels, shape, count_over(axis_name, classes), where, None)
    cap = option("softcap", softcap, head.dtype)
    chunk = _heads.rows_per_chunk((head,), {"softcap": cap}, max_logits_bytes)
    of_logits = partial(_head_stats, head.bias is not None, axis_name)
    return _heads.per_row_in_chunks(of_logits, chunk, (head,), shape, inputs, cap)


def _head_stats(
    has_bias: bool,
    axis_name: AxisName,
    z: tuple[Array, ...],
    inputs: _heads.RowInputs,
    cap: Array | None,
) -> tuple[SoftmaxStats, Array]:
    rows = _heads.capped_rows(z[0], cap, axis_name)
    rows = _heads.without_excluded_classes(rows) if has_bias else rows
    rows = rows if inputs.kept is None else rows.only(inputs.kept)
    stats = _integer_label_stats(rows, inputs.labels, inputs.valid)
    return stats, argmax(rows, stats.max)


def _integer_label_stats(rows: Rows, y: Array, valid: Array) -> SoftmaxStats:
    """The statistics of rows. `nll` and `miss` are NaN where the label is no class."""
    stats = integer_stats(rows, y, rows.class_weights(None, rows.dtype), entropy=True)
    invalid = ~valid if rows.kept is None else ~valid & rows.kept
    nll, miss = (select(invalid, jnp.nan, x) for x in (stats.nll, stats.miss))
    return _public_stats(rows, stats._replace(nll=nll, miss=miss))


def _public_stats(rows: Rows, stats: RowStats) -> SoftmaxStats:
    """The public statistics. A row with a NaN has a maximum of NaN.

    XLA's maximum may skip a NaN, and the sum `rest` never does.
    """
    stats = settled(stats)
    m = rows.only_kept(select(jnp.isnan(stats.rest), jnp.nan, stats.max))
    return SoftmaxStats(m, stats.rest, stats.nll, stats.miss, stats.sum_nll, stats.entropy)
