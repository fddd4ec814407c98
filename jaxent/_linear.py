"""Losses of large vocabularies, from features and a kernel.

The logits are z = features · kernel + bias, made in float32 for as many rows at a time as fit into
`max_logits_bytes`, whatever the number of rows and classes; `softcap` c makes c · tanh(z/c) of
them. A reduction to a number makes its gradients together with the value, in three matrix products;
losses per row make each chunk's logits again in their backward pass, in four.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes, _heads
from jaxent._declare import NON_NEGATIVE, SMOOTHING, SOFTCAP, Reduction, loss
from jaxent._inputs import expect_split, option
from jaxent._reduction import Reduced
from jaxent.core import formulas
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.dtypes import compute_dtype
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
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Softmax cross-entropy of a linear head with labels that are class numbers.

    `softmax_cross_entropy_with_integer_labels` of z = softcap(features · kernel + bias), without
    the logits being held. With ∂z the derivative by the logits:

        ∂ℓ/∂features = ∂z kernelᵀ        ∂ℓ/∂kernel = featuresᵀ ∂z        ∂ℓ/∂bias = Σ ∂z

    Args:
      features: `(..., D)` floating; the last hidden states of a model.
      kernel: `(D, V)` floating. A tied embedding `(V, D)` is passed as its transpose.
      labels: `(...)` integers in [0, V), as in `softmax_cross_entropy_with_integer_labels`.
      bias: `(V,)` floating. A class of bias −inf, such as padding of the vocabulary, is left out,
        of label smoothing, too.
      softcap: c > 0 for c · tanh(z/c), as in Gemma 2.
      label_smoothing: in [0, 1].
      z_loss: at least 0.
      class_weights: `(V,)`, one per class.
      max_logits_bytes: what the logits of a chunk of rows may take together with their derivatives,
        in float32, for each call that `vmap` makes of one; at least a row is taken.
        Default: 7/8 of the kernel's size in float32, and at least 32 MiB.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see `jaxent`. Other than "none" it takes one matrix product less to differentiate.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises:
      TypeError: dtypes other than those above.
      ValueError: shapes that do not fit, a Python number out of its range.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features = jnp.array([[1.0, 0.0], [0.0, 1.0]])
      >>> kernel = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
      >>> labels = jnp.array([0, 2])
      >>> print(jaxent.linear_softmax_cross_entropy(features, kernel, labels))
      [0.2761 0.6518]

    Numerics: operands of the products in the common dtype of features and kernel, logits and
    softmax in float32, the kernel's gradient summed in float32. On accelerators the precision of a
    float32 product is that of `jax.default_matmul_precision`.

    Differentiable: in both modes, to any order, by `features`, `kernel`, `bias` and every option.
    Kept for the backward pass: of a number its gradients in float32, of losses the arguments.
    A `jax.checkpoint` around losses per row, with a policy that saves products, saves the logits. A
    `lax.scan` that is differentiated from outside keeps what it keeps once a step: take gradients
    inside of it, or put `jax.checkpoint` around the loss of a number.

    Agrees with: `softmax_cross_entropy_with_integer_labels(features @ kernel, labels)`.

    References: Wijmans et al., "Cut your losses in large-vocabulary language models", 2025; Hsu et
    al., "Liger kernel", 2024; Gemma Team, "Gemma 2", 2024 (softcap).
    """
    head = _heads.head(features, kernel, bias)
    numbers = {"softcap": softcap, "label_smoothing": label_smoothing, "z_loss": z_loss}
    tail = max_logits_bytes, axis_name, where, weights, reduction
    return _of_class_numbers(_cross_entropy, head, features, labels, numbers, class_weights, *tail)


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
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Focal loss of a linear head: `softmax_focal_loss` of logits that are not held.

        ℓ = w_y (1 − p_y)^γ (−log p_y),  p = softmax(softcap(features · kernel + bias))

    Its derivatives are those of `softmax_focal_loss`, carried on as in
    `linear_softmax_cross_entropy`.

    Args:
      features: `(..., D)` floating.
      kernel: `(D, V)` floating.
      labels: `(...)` integers in [0, V).
      gamma: at least 0; 0 gives the cross-entropy.
      bias: `(V,)` floating.
      softcap: c > 0 for c · tanh(z/c).
      class_weights: `(V,)`, one per class.
      max_logits_bytes: as in `linear_softmax_cross_entropy`.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises, numerics, what is differentiable and kept: as `linear_softmax_cross_entropy`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> features, kernel = jnp.eye(2), jnp.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
      >>> print(jaxent.linear_softmax_focal_loss(features, kernel, jnp.array([0, 0])))
      [4.492e-05 3.895e+00]

    Agrees with: `softmax_focal_loss(features @ kernel, labels, gamma=gamma)`.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    head = _heads.head(features, kernel, bias)
    numbers = {"softcap": softcap, "gamma": gamma}
    tail = max_logits_bytes, axis_name, where, weights, reduction
    return _of_class_numbers(_focal, head, features, labels, numbers, class_weights, *tail)


def _focal(rows: Rows, y: Array, options: _heads.Options) -> Array:
    return formulas.focal_loss(rows, y, options["class_weights"], options["gamma"])


def _of_class_numbers(
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
    """Losses of rows, labels, class weights and options that are numbers, checked and reduced."""
    expect_split("kernel", head.kernel, axis_name)
    shape, classes = jnp.shape(features)[:-1], head.kernel.shape[1]
    dtype = compute_dtype(*head)
    options = {name: option(name, value, dtype) for name, value in numbers.items()}
    by_class = _classes.class_vector("class_weights", class_weights, classes, dtype)
    options["class_weights"] = by_class
    tokens = _heads.tokens(labels, shape, count_over(axis_name, classes), where, weights)

    leaves_out = head.bias is not None and options.get("label_smoothing") is not None
    of_logits = partial(_of_logits, losses, leaves_out, axis_name)
    return _heads.reduced(of_logits, (head,), shape, tokens, options, max_logits_bytes, reduction)


def _of_logits(
    losses: Callable[[Rows, Array, _heads.Options], Array],
    leaves_out: bool,
    axis_name: AxisName,
    z: tuple[Array, ...],
    y: Array,
    options: _heads.Options,
) -> Array:
    rows = _heads.rows(z[0], options["softcap"], axis_name)
    return losses(_heads.without_left_out(rows) if leaves_out else rows, y, options)
