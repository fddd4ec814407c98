"""Losses of large vocabularies, from features and a kernel.

With 128k classes the logits outweigh the model. These losses never hold all of them.

The logits are z = features · kernel + bias, soft-capped to c · tanh(z/c) with `softcap` c. A loss
computes them in float32, for one chunk of rows at a time. A chunk has as many rows as fit into
`max_logits_bytes`.

Value and gradients take three matrix products if the losses are reduced to a scalar: each chunk
computes its gradients together with its value. They take four for losses per row: the backward pass
recomputes the logits of each chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _classes, _heads
from jaxent._declare import NON_NEGATIVE, SMOOTHING, SOFTCAP, Reduction, loss
from jaxent._inputs import expect_split, option
from jaxent._reduction import Reduced
from jaxent.core import formulas
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName, count_over
from jaxent.core.rows import Rows


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, label_smoothing=SMOOTHING, z_loss=NON_NEGATIVE)
def linear_softmax_cross_entropy(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
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
    r"""Softmax cross-entropy of a linear head, with integer labels.

    Use it where the logits of a batch do not fit into memory: it never holds all of them. The loss
    is `softmax_cross_entropy_with_integer_labels` of z = softcap(features · kernel + bias). With ∂z
    the gradient by the logits:

        ∂ℓ/∂features = ∂z kernelᵀ        ∂ℓ/∂kernel = featuresᵀ ∂z        ∂ℓ/∂bias = Σ ∂z

    Args:
      features: `(..., D)` floating, the last hidden states of a model.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V), as in `softmax_cross_entropy_with_integer_labels`.
      bias: `(V,)` floating. A bias of −inf excludes a class, such as padding of the vocabulary.
        Label smoothing excludes it, too.
      softcap: c > 0. Replaces z by c · tanh(z/c), as in Gemma 2.
      label_smoothing: in [0, 1].
      z_loss: at least 0.
      class_weights: `(V,)`, one per class.
      max_logits_bytes: the budget of one chunk, for its logits and their gradient in float32. A
        chunk has at least one row. Under `vmap` each mapped call has this budget. Default: 7/8 of
        the kernel's size in float32, and at least 32 MiB and what 256 rows take.
      operand_dtype: the dtype of the operands of matrix products on accelerators. Default: the
        common dtype of features and kernel. With bfloat16 features and a float32 kernel,
        `jnp.bfloat16` gives bfloat16 products and a float32 gradient of the kernel.
      axis: the axis of the kernel's classes; 0 for a tied embedding `(V, D)`.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see `jaxent`. "none" takes one more matrix product to differentiate.

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: a dtype is not one of those above.
      ValueError: a shape does not fit, or a Python number is out of its range.

    Example:
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
    head = _heads.prepare_head(features, kernel, bias, axis, operand_dtype)
    numbers = {"softcap": softcap, "label_smoothing": label_smoothing, "z_loss": z_loss}
    tail = max_logits_bytes, axis_name, where, weights, reduction
    return _integer_label_losses(
        _cross_entropy, head, features, labels, numbers, class_weights, *tail
    )


def _cross_entropy(rows: Rows, y: Array, options: _heads.Options) -> Array:
    names = "class_weights", "label_smoothing", "z_loss"
    return formulas.cross_entropy(rows, y, *(options[name] for name in names))


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, gamma=NON_NEGATIVE)
def linear_softmax_focal_loss(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    gamma: ArrayLike = 2.0,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
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

        ℓ = w_y (1 − p_y)^γ (−log p_y),  p = softmax(softcap(features · kernel + bias))

    The gradient by the logits is that of `softmax_focal_loss`. The chain rule to features, kernel
    and bias is that of `linear_softmax_cross_entropy`.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V).
      gamma: at least 0; 0 gives the cross-entropy.
      bias: `(V,)` floating. A bias of −inf excludes a class.
      softcap: c > 0. Replaces z by c · tanh(z/c).
      class_weights: `(V,)`, one per class.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the kernel's classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises, Numerics, Differentiable: as `linear_softmax_cross_entropy`; by `gamma` too.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
      >>> print(jaxent.linear_softmax_focal_loss(features, kernel, jnp.array([0, 0])))
      [4.492e-05 3.895e+00]

    Agrees with: `softmax_focal_loss(features @ kernel, labels, gamma=gamma)`.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    head = _heads.prepare_head(features, kernel, bias, axis, operand_dtype)
    numbers = {"softcap": softcap, "gamma": gamma}
    tail = max_logits_bytes, axis_name, where, weights, reduction
    return _integer_label_losses(_focal, head, features, labels, numbers, class_weights, *tail)


def _focal(rows: Rows, y: Array, options: _heads.Options) -> Array:
    return formulas.focal_loss(rows, y, options["class_weights"], options["gamma"])


def _integer_label_losses(
    losses: Callable[[Rows, Array, _heads.Options], Array],
    head: Head,
    features: ArrayLike,
    labels: ArrayLike,
    numbers: dict[str, ArrayLike | None],
    class_weights: ArrayLike | None,
    max_logits_bytes: int | None,
    axis_name: AxisName,
    where: ArrayLike | None,
    weights: ArrayLike | None,
    reduction: Reduction,
) -> Reduced:
    """Validates the arguments that the losses with integer labels share, and reduces the losses."""
    expect_split("kernel", head.kernel, axis_name)
    shape, classes = jnp.shape(features)[:-1], head.classes
    dtype = head.dtype
    options = {name: option(name, value, dtype) for name, value in numbers.items()}
    by_class = _classes.class_vector("class_weights", class_weights, classes, dtype)
    options["class_weights"] = by_class
    inputs = _heads.prepare_row_inputs(
        labels, shape, count_over(axis_name, classes), where, weights
    )

    # Only label smoothing sums over all classes, the excluded ones with them.
    has_excluded = head.bias is not None and options.get("label_smoothing") is not None
    of_logits = partial(_losses_of_logits, losses, has_excluded, axis_name)
    return _heads.reduced_losses(
        of_logits, (head,), shape, inputs, options, max_logits_bytes, reduction
    )


def _losses_of_logits(
    losses: Callable[[Rows, Array, _heads.Options], Array],
    has_excluded: bool,
    axis_name: AxisName,
    z: tuple[Array, ...],
    y: Array,
    options: _heads.Options,
) -> Array:
    rows = _heads.capped_rows(z[0], options["softcap"], axis_name)
    return losses(_heads.without_excluded_classes(rows) if has_excluded else rows, y, options)
