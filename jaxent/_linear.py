"""Losses of large vocabularies, from features and a kernel.

With 128k classes the logits outweigh the model. These losses hold those of one chunk of rows.

The logits are z = features · kernel + bias, soft-capped to c · tanh(z/c) with `softcap` c. A loss
computes them in float32, for one chunk of rows at a time. A chunk has as many rows as fit into
`max_logits_bytes`.

Value and gradients take three matrix products if the losses are reduced to a scalar: each chunk
computes its gradients together with its value. They take four for losses per row: the backward pass
recomputes the logits of each chunk.
"""

from __future__ import annotations

from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _labelled
from jaxent._declare import NON_NEGATIVE, SMOOTHING, SOFTCAP, TEMPERATURE, Reduction, loss
from jaxent._heads import Options, RowInputs
from jaxent._inputs import option
from jaxent._reduction import Reduced
from jaxent.core import formulas
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows


@loss(
    KEPT_GRADIENTS,
    softcap=SOFTCAP,
    temperature=TEMPERATURE,
    label_smoothing=SMOOTHING,
    z_loss=NON_NEGATIVE,
)
def linear_softmax_cross_entropy(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    label_probs: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Softmax cross-entropy of a linear head, with integer labels or distributions.

    Use it where the logits of a batch do not fit into memory: it holds those of one chunk of rows
    at a time. The loss is `softmax_cross_entropy_with_integer_labels` of the logits z, for the
    temperature T and with ∂z the gradient by the logits before the bias is added:

        z = softcap(features · kernel + bias)/T
        ∂ℓ/∂features = ∂z kernelᵀ        ∂ℓ/∂kernel = featuresᵀ ∂z        ∂ℓ/∂bias = Σ ∂z

    Args:
      features: `(..., D)` floating, the last hidden states of a model.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V), as in `softmax_cross_entropy_with_integer_labels`. A row
        that `where` drops may have any label, such as −100. Or floating distributions `(..., V)`,
        as in `softmax_cross_entropy`.
      label_probs: `(..., K)`, with labels `(..., K)`, for distributions over a few classes; see
        `softmax_cross_entropy_with_integer_labels`.
      bias: `(V,)` floating. A bias of −inf excludes a class, such as padding of the vocabulary.
        Label smoothing excludes it, too.
      softcap: c > 0. Replaces z by c · tanh(z/c), as in Gemma 2.
      temperature: T > 0. Divides the soft-capped logits.
      label_smoothing: in [0, 1].
      z_loss: ζ ≥ 0, which adds ζ (log Σ_j exp z_j)². 1e-4 is usual.
      class_weights: `(V,)`, one per class.
      max_logits_bytes: the budget of one chunk, for its logits, their gradient, and two arrays
        more for each of softcap, temperature and label smoothing, in float32. A chunk has at
        least one row. Each device of a mesh, and each call that `vmap` maps, has this budget.
        Default: the largest of 7/8 of the kernel's size in float32, 32 MiB, and what 256 rows
        take. So by default up to 256 rows are one chunk.
      operand_dtype: the dtype of the operands of matrix products on accelerators. Default: the
        common dtype of features and kernel. With bfloat16 features and a float32 kernel,
        `jnp.bfloat16` gives bfloat16 products and a float32 gradient of the kernel.
      axis: the axis of the kernel's classes; 0 for a tied embedding `(V, D)`.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][]. "none" takes one more matrix product to differentiate.

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: a dtype is not one of those above.
      ValueError: a shape does not fit, or a Python number is out of its range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features = jnp.array([[1.0, 0.0], [0.0, 1.0]])
      >>> kernel = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
      >>> labels = jnp.array([0, 2])
      >>> print(jaxent.linear_softmax_cross_entropy(features, kernel, labels))
      [0.2761 0.6518]

    Numerics: accelerators round the operands of products to `operand_dtype`. A CPU multiplies in
    float32. Logits, softmax and the sum of the kernel's gradient are in float32. On accelerators
    `jax.default_matmul_precision` sets the precision of a float32 product.

    Differentiable: in both modes, to any order, by `features`, `kernel`, `bias` and every numeric
    option. Residuals: the gradients in float32 if reduced to a scalar, the arguments otherwise.
    Two traps. A `jax.checkpoint` whose policy saves products saves the logits of losses per row. A
    `lax.scan` differentiated from outside saves the residuals of every step: take the gradient
    inside the scan, or wrap the reduced loss in `jax.checkpoint`.

    Agrees with: `softmax_cross_entropy_with_integer_labels(features @ kernel, labels)`.

    References: Wijmans et al., "Cut your losses in large-vocabulary language models", 2025; Hsu et
    al., "Liger kernel", 2024; Gemma Team, "Gemma 2", 2024 (softcap).
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
    dtype = head.head.dtype
    options = {
        "class_weights": _labelled.class_vector(head, class_weights),
        "label_smoothing": option("label_smoothing", label_smoothing, dtype),
        "z_loss": option("z_loss", z_loss, dtype),
    }
    smooths = options["label_smoothing"] is not None
    return head.reduced(_cross_entropy, options, max_logits_bytes, reduction, smooths)[0]


def _cross_entropy(rows: Rows, inputs: RowInputs, options: Options) -> tuple[Array, None]:
    names = "class_weights", "label_smoothing", "z_loss"
    return _labelled.cross_entropy(rows, inputs, *(options[name] for name in names)), None


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, temperature=TEMPERATURE, gamma=NON_NEGATIVE)
def linear_softmax_focal_loss(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    gamma: ArrayLike = 2.0,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Focal loss of a linear head: `softmax_focal_loss`, with logits for one chunk at a time.

        ℓ = w_y (1 − p_y)^γ (−log p_y),  p = softmax(softcap(features · kernel + bias) /
        temperature)

    The gradient by the logits is that of `softmax_focal_loss`. The chain rule to features, kernel
    and bias is that of `linear_softmax_cross_entropy`.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V).
      gamma: at least 0; 0 gives the cross-entropy.
      bias: `(V,)` floating. A bias of −inf excludes a class.
      softcap: c > 0. Replaces z by c · tanh(z/c).
      temperature: T > 0. Divides the soft-capped logits.
      class_weights: `(V,)`, one per class.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the kernel's classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises, Numerics, Differentiable: as `linear_softmax_cross_entropy`; by `gamma` too.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
      >>> print(jaxent.linear_softmax_focal_loss(features, kernel, jnp.array([0, 0])))
      [4.492e-05 3.895e+00]

    Agrees with: `softmax_focal_loss(features @ kernel, labels, gamma=gamma)`.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    head = _labelled.prepare(
        features,
        kernel,
        labels,
        distributions=False,
        bias=bias,
        softcap=softcap,
        temperature=temperature,
        axis=axis,
        operand_dtype=operand_dtype,
        axis_name=axis_name,
        where=where,
        weights=weights,
    )
    by_class = _labelled.class_vector(head, class_weights)
    options = {"class_weights": by_class, "gamma": option("gamma", gamma, head.head.dtype)}
    return head.reduced(_focal, options, max_logits_bytes, reduction)[0]


def _focal(rows: Rows, inputs: RowInputs, options: Options) -> tuple[Array, None]:
    by_class, gamma = options["class_weights"], options["gamma"]
    return formulas.focal_loss(rows, inputs.labels, by_class, gamma), None
