"""Log-probabilities of labels: what reinforcement and preference learning and evaluation take."""

from __future__ import annotations

from jax.typing import ArrayLike, DTypeLike

from jaxent import _classes, _labelled
from jaxent._declare import SOFTCAP, TEMPERATURE, Axis, Reduction, loss
from jaxent._inputs import option
from jaxent._reduction import Reduced, reduce
from jaxent.core import formulas
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.dtypes import compute_dtype
from jaxent.core.lower import settled
from jaxent.core.mesh import AxisName


@loss(temperature=TEMPERATURE)
def softmax_log_probs(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_probs: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Log-probabilities of labels: log softmax(logits / temperature) at the label of each row.

    For logits z, label y and temperature T of a row, p = softmax(z/T):

        log p_y        ∂(log p_y)/∂z_j = ([j = y] − p_j)/T

    Args:
      logits: `(..., V, ...)` floating.
      labels: `(...)` integers in [0, V), as in `softmax_cross_entropy_with_integer_labels`.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes.
      label_probs: `(..., K)` real, with labels `(..., K)`: gives Σ_k label_probs_k log p_{y_k}. A
        label of −1 is no class.
      temperature: T > 0, that of the sampler.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][]. "sum" gives the log-probability of all rows together.

    Returns:
      `(...)` in nats, and 0 in dropped rows. Or the result of `reduction`.

    Raises: as `softmax_cross_entropy_with_integer_labels`.

    Examples:
      The log-probabilities of two sequences, with padding:

      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [5.0, 5.0]]])
      >>> tokens, kept = jnp.array([[0, 1], [1, 0]]), jnp.array([[True, True], [True, False]])
      >>> print(jnp.sum(jaxent.softmax_log_probs(logits, tokens, where=kept), axis=-1))
      [-0.8201 -0.3133 ]

    Numerics, Differentiable: as `softmax_cross_entropy_with_integer_labels`.

    Agrees with: `jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1)[..., 0]`.
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    divisor = option("temperature", temperature, compute_dtype(rows.values))
    rows = rows.at_temperature(divisor)
    if label_probs is None:
        y, valid = _classes.prepare_integer_labels("logits", labels, rows.shape, axis)
        losses = formulas.cross_entropy(rows.only(valid), y, None, None, None)
    else:
        t, valid = _classes.few_classes("logits", labels, label_probs, rows)
        losses = formulas.distribution_cross_entropy(rows, t, None, None, None)
        losses = settled(losses)
    return reduce(0 - losses, rows.kept, weights, reduction, valid)


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, temperature=TEMPERATURE)
def linear_softmax_log_probs(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    label_probs: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Log-probabilities of labels under a linear head: `softmax_log_probs` without its logits.

        log p_y,    p = softmax(softcap(features · kernel + bias) / temperature)

    For a loss of them, such as that of PPO or GRPO, use `linear_softmax_loss`: it saves one matrix
    product and a second pass over the logits.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V), or distributions `(..., V)`.
      label_probs: `(..., K)`, with labels `(..., K)`; see `softmax_log_probs`.
      bias: `(V,)` floating. A bias of −inf excludes a class.
      softcap: c > 0. Replaces z by c · tanh(z/c).
      temperature: T > 0, that of the sampler.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the kernel's classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, and 0 in dropped rows. Or the result of `reduction`.

    Raises, Numerics, Differentiable: as `linear_softmax_cross_entropy`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
      >>> print(jaxent.linear_softmax_log_probs(features, kernel, jnp.array([0, 1])))
      [-0.2395 -1.5514 ]

    Agrees with: `softmax_log_probs(features @ kernel, labels)`.
    """
    head = _labelled.prepare(
        features,
        kernel,
        labels,
        label_probs=label_probs,
        bias=bias,
        softcap=softcap,
        temperature=temperature,
        axis=axis,
        operand_dtype=operand_dtype,
        axis_name=axis_name,
        where=where,
        weights=weights,
    )
    return head.reduced(_log_probs, {}, max_logits_bytes, reduction)[0]


def _log_probs(rows, inputs, options):
    return 0 - _labelled.cross_entropy(rows, inputs, None, None, None), None
