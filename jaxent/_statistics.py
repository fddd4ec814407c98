"""The statistics of rows themselves, for losses that users write on them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes, _heads
from jaxent._declare import SOFTCAP, Axis, loss
from jaxent._inputs import expect_split, option
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.dense import target_stats, unlabelled_stats
from jaxent.core.dtypes import compute_dtype
from jaxent.core.exponentials import argmax
from jaxent.core.integer import integer_stats
from jaxent.core.mesh import AxisName, count_over, select
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxStats
from jaxent.core.tangents import rows_apart


@loss()
def softmax_stats(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
) -> SoftmaxStats:
    """The statistics that softmax losses are formulas of: build your own loss on them.

    A formula of these needs no derivative rule: the statistics carry theirs.

    Args:
      logits: `(..., V, ...)` floating.
      labels: integers `(...)` in [0, V), or distributions `(..., V, ...)`.
      axis: the class axis or axes.
      where: of the rows' shape or of the logits', as in the losses. All statistics of a dropped row
        are 0, so that their sum over a sequence is right.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.

    Returns:
      `SoftmaxStats`, a dataclass of arrays of the rows' shape: `max`, `rest`, `nll`, `miss`,
      `sum_nll`, `entropy`, with the property `lse`. `nll` and `miss` are NaN where a label is no
      class, and have no derivative there.

    Raises: as `softmax_cross_entropy` and `softmax_cross_entropy_with_integer_labels`.

    Example: cross-entropy with a bonus for entropy.

      >>> import jax
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> def loss(logits, labels):
      ...     stats = jaxent.softmax_stats(logits, labels)
      ...     return jnp.mean(stats.nll - 0.01 * stats.entropy)
      >>> print(jax.grad(loss)(jnp.array([[1.0, 2.0, 3.0]]), jnp.array([2])))
      [[ 0.0886 0.2433 -0.3319]]
    """
    rows = _classes.rows("logits", logits, axis, where, axis_name=axis_name)
    if not jnp.issubdtype(jnp.asarray(labels).dtype, jnp.integer):
        t = _classes.class_values("labels", labels, rows, axis, jnp.shape(logits), "logits")
        return _nan_in_all(target_stats(rows, t))
    y, valid = _classes.class_numbers("logits", labels, rows.shape, axis)
    return _of_class_numbers(rows, rows.only(valid), y, valid, rows.kept)


@loss(KEPT_GRADIENTS, softcap=SOFTCAP)
def linear_softmax_stats(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
) -> tuple[SoftmaxStats, Array]:
    """The statistics of a linear head's logits, and the class of the largest, from one pass.

    Build your own loss on them: log-probabilities for reinforcement learning, an entropy bonus, a
    calibration. A formula of these needs no derivative rule.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating.
      labels: `(...)` integers in [0, V).
      bias: `(V,)` floating.
      softcap: c > 0 for c · tanh(z/c).
      max_logits_bytes: as in `linear_softmax_cross_entropy`.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean. All statistics of a dropped row are 0, as is its class.

    Returns:
      `SoftmaxStats` of arrays `(...)`, as of `softmax_stats`, and the number `(...)` of the class
      with the largest logit, without derivative: where it is the label, the prediction was right.

    Raises, numerics, what is differentiable and kept: as `linear_softmax_cross_entropy`.

    Example: cross-entropy with a bonus for entropy, and the accuracy.

      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[4.0, 0.0, 1.0], [0.0, 2.0, 3.0]])
      >>> labels = jnp.array([0, 1])
      >>> stats, best = jaxent.linear_softmax_stats(features, kernel, labels)
      >>> print(jnp.mean(stats.nll - 0.01 * stats.entropy), jnp.mean(best == labels))
      0.7025 0.5
    """
    head = _heads.head(features, kernel, bias)
    expect_split("kernel", head.kernel, axis_name)
    shape, classes = jnp.shape(features)[:-1], head.kernel.shape[1]
    tokens = _heads.tokens(labels, shape, count_over(axis_name, classes), where, None)
    cap = option("softcap", softcap, compute_dtype(*head))
    chunk = _heads.chunk_rows((head,), {"softcap": cap}, max_logits_bytes)
    of_logits = partial(_stats, head.bias is not None, axis_name)
    return _heads.of_rows(of_logits, chunk, (head,), shape, tokens, cap)


def _stats(
    biased: bool,
    axis_name: AxisName,
    z: tuple[Array, ...],
    tokens: _heads.Tokens,
    cap: Array | None,
) -> tuple[SoftmaxStats, Array]:
    rows = _heads.rows(z[0], cap, axis_name)
    rows = _heads.without_left_out(rows) if biased else rows
    rows = rows if tokens.kept is None else rows.only(tokens.kept)
    stats = _of_class_numbers(rows, rows, tokens.labels, tokens.valid, tokens.kept)
    return stats, argmax(rows, stats.max)


def _of_class_numbers(
    rows: Rows, labelled: Rows, y: Array, valid: Array, kept: Array | None
) -> SoftmaxStats:
    """The statistics, with those of the label from the rows `labelled`: NaN if it is no class."""
    of_label = integer_stats(labelled, None, y)
    wrong = ~valid if kept is None else ~valid & kept
    nll, miss = (select(wrong, jnp.nan, x) for x in (of_label.nll, of_label.miss))
    return _nan_in_all(replace(unlabelled_stats(rows), nll=nll, miss=miss))


def _nan_in_all(stats: SoftmaxStats) -> SoftmaxStats:
    """NaN in the maximum, too, where the row holds one: a compiler's maximum may pass it over."""
    stats = rows_apart(stats)
    return replace(stats, max=select(jnp.isnan(stats.rest), jnp.nan, stats.max))
