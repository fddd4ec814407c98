"""Distillation of one linear head into another, from features and kernels."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _heads
from jaxent._declare import SOFTCAP, TEMPERATURE, Reduction, loss
from jaxent._inputs import expect_split, option
from jaxent._reduction import Reduced
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.divergence import softmax_kl
from jaxent.core.dtypes import compute_dtype, widen_both
from jaxent.core.mesh import AxisName


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, target_softcap=SOFTCAP, temperature=TEMPERATURE)
def linear_softmax_kl_divergence(
    features: ArrayLike,
    kernel: ArrayLike,
    target_features: ArrayLike,
    target_kernel: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    target_bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    target_softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    target_axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Kullback–Leibler divergence of a teacher's linear head from a student's: distillation.

    Use it where the logits of a batch do not fit into memory: it never holds all of them. The loss
    is `softmax_kl_divergence` of the logits of both heads. With z the student's logits, y the
    teacher's, T the temperature, p = softmax(z/T) and t = softmax(y/T):

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂z_j = (p_j − t_j)/T

    The chain rule to features, kernel and bias is that of `linear_softmax_cross_entropy`.

    Args:
      features: the student's, `(..., D)` floating.
      kernel: the student's, `(D, V)` floating, or `(V, D)` with `axis=0`.
      target_features: the teacher's, `(..., D′)` floating, with the same rows.
      target_kernel: the teacher's, `(D′, V)` floating, or `(V, D′)` with `target_axis=0`. A teacher
        that is not differentiated costs no product for its gradients, and neither does one behind
        `jax.lax.stop_gradient`.
      bias: the student's, `(V,)`.
      target_bias: the teacher's, `(V,)`.
      softcap: the student's.
      target_softcap: the teacher's.
      temperature: above 0. Multiply the loss by T² to keep the size of its gradient.
      max_logits_bytes: the budget of one chunk, for the logits of both heads; see
        `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the classes of the student's kernel.
      target_axis: the axis of the classes of the teacher's kernel.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, at least 0, or the result of `reduction`.

    Raises, Differentiable: as `linear_softmax_cross_entropy`.

    Numerics: as `softmax_kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 2.5, 3.0]])
      >>> one = jnp.ones((1, 1))
      >>> print(jaxent.linear_softmax_kl_divergence(one, student, one, teacher))
      [0.0268]

    Agrees with: `softmax_kl_divergence(features @ kernel, target_features @ target_kernel)`.

    References: Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    student = _heads.prepare_head(features, kernel, bias, axis, operand_dtype)
    teacher = _heads.prepare_head(
        target_features, target_kernel, target_bias, target_axis, operand_dtype, "target_"
    )
    shape, classes = jnp.shape(features)[:-1], student.classes
    target_shape = *jnp.shape(target_features)[:-1], teacher.classes
    if target_shape != (*shape, classes):
        raise ValueError(
            "target_features and target_kernel must have logits of the shape"
            f" {(*shape, classes)} of those of features and kernel, got {target_shape}"
        )
    for name, head in (("kernel", student), ("target_kernel", teacher)):
        expect_split(name, head.kernel, axis_name)
    inputs = _heads.prepare_row_inputs(None, shape, classes, where, weights)
    dtype = compute_dtype(*student.arrays, *teacher.arrays)
    named = {"softcap": softcap, "target_softcap": target_softcap, "temperature": temperature}
    options = {name: option(name, value, dtype) for name, value in named.items()}
    arguments = (student, teacher), shape, inputs, options, max_logits_bytes, reduction
    return _heads.reduced_losses(partial(_kl, axis_name), *arguments)


def _kl(axis_name: AxisName, z: tuple[Array, ...], y: None, options: _heads.Options) -> Array:
    student, teacher = widen_both(*z)
    student = _heads.capped_rows(student, options["softcap"], axis_name)
    teacher = _heads.capped_rows(teacher, options["target_softcap"], axis_name)
    return softmax_kl(*(rows.at_temperature(options["temperature"]) for rows in (student, teacher)))
