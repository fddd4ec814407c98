"""Statistics of rows of logits, for losses that users write themselves."""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from jaxent import _classes, _labelled
from jaxent._declare import SOFTCAP, TEMPERATURE, Axis, loss
from jaxent._heads import Options, RowInputs
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.statistics import statistics
from jaxent.core.stats import SoftmaxStats


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
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].

    Returns:
      `SoftmaxStats`, a dataclass of arrays of the rows' shape: `max`, `rest`, `nll`, `miss`,
      `sum_nll`, `entropy`, `predicted`, with the property `lse`. Where a label is no class, `nll`
      and `miss` are NaN and their derivatives are 0. A program that does not use `predicted` does
      not compute it.

    Raises: as `softmax_cross_entropy` and `softmax_cross_entropy_with_integer_labels`.

    Examples:
      Cross-entropy with an entropy bonus:

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
        y, valid = _classes.prepare_integer_labels("logits", labels, rows.shape, axis)
        return statistics(rows, y, valid)
    t = _classes.prepare_class_values("labels", labels, rows, axis, jnp.shape(logits), "logits")
    return statistics(rows, t.astype(compute_dtype(rows.values, t)), None)


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, temperature=TEMPERATURE)
def linear_softmax_stats(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
) -> SoftmaxStats:
    """Statistics of a linear head's logits, without holding the logits.

    Use it to evaluate a large vocabulary: perplexity, accuracy, entropy. A loss of your own takes
    one product less as a formula of `linear_softmax_loss`.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V), or floating distributions `(..., V)`.
      bias: `(V,)` floating. A bias of −inf excludes a class.
      softcap: c > 0. Replaces z by c · tanh(z/c).
      temperature: T > 0. Divides the soft-capped logits.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the kernel's classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean. A dropped row has statistics of 0.

    Returns:
      `SoftmaxStats` of arrays `(...)`, as `softmax_stats` returns.

    Raises, Numerics, Differentiable: as `linear_softmax_cross_entropy`.

    Examples:
      Perplexity and accuracy:

      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[4.0, 0.0, 1.0], [0.0, 2.0, 3.0]])
      >>> labels = jnp.array([0, 1])
      >>> stats = jaxent.linear_softmax_stats(features, kernel, labels)
      >>> print(jnp.exp(jnp.mean(stats.nll)), jnp.mean(stats.predicted == labels))
      2.0288 0.5
    """
    head = _labelled.prepare(
        features,
        kernel,
        labels,
        bias=bias,
        softcap=softcap,
        temperature=temperature,
        axis=axis,
        operand_dtype=operand_dtype,
        axis_name=axis_name,
        where=where,
    )
    return head.per_row(_statistics, max_logits_bytes)


def _statistics(rows: Rows, inputs: RowInputs, options: Options) -> SoftmaxStats:
    rows = rows if inputs.kept is None else rows.only(inputs.kept)
    return statistics(rows, _labelled.target(rows, inputs), inputs.valid)
