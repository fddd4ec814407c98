"""Distillation of one linear head into another, from features and kernels."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent._declare import (
    FACTOR,
    MIXTURE,
    SOFTCAP,
    TEMPERATURE,
    Constant,
    Reduction,
    loss,
)
from jaxent._heads import Options
from jaxent._reduction import Reduced
from jaxent._softmax_divergence import jensen_shannon_or_limit
from jaxent._two_heads import RowArguments, prepare_heads, reduced
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.softmax_divergence import softmax_kl


@loss(
    KEPT_GRADIENTS,
    softcap=SOFTCAP,
    target_softcap=SOFTCAP,
    temperature=TEMPERATURE,
    label_weight=FACTOR,
)
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
    labels: ArrayLike | None = None,
    label_weight: ArrayLike | None = None,
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
    is `softmax_kl_divergence` of the logits of both heads. With z = softcap(features · kernel +
    bias) the student's logits, u the teacher's, p = softmax(z/T) and t = softmax(u/T):

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂z_j = (p_j − t_j)/T

    With labels y and their weight w the loss is ℓ + w (−log softmax(z)_y). This cross-entropy is at
    temperature 1 and takes no further matrix product. The chain rule to features, kernel and bias
    is that of `linear_softmax_cross_entropy`.

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
      temperature: T > 0. Hinton multiplies the divergence by T² to keep the size of its gradient.
        This function does not. For T² ℓ + w (−log softmax(z)_y) pass `label_weight=w / T**2` and
        multiply the loss by T².
      labels: `(...)` integers in [0, V), the classes that are right. None for the divergence alone.
      label_weight: w at least 0, a number. None is 1.
      max_logits_bytes: the budget of one chunk, for the logits of both heads; see
        `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the classes of the student's kernel.
      target_axis: the axis of the classes of the teacher's kernel.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, at least 0, or the result of `reduction`.

    Raises, Differentiable: as `linear_softmax_cross_entropy`.

    Numerics: as `softmax_kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 2.5, 3.0]])
      >>> one = jnp.ones((1, 1))
      >>> print(jaxent.linear_softmax_kl_divergence(one, student, one, teacher))
      [0.0268]

    Agrees with: `softmax_kl_divergence(features @ kernel, target_features @ target_kernel)`.

    References: Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    named = {"softcap": softcap, "target_softcap": target_softcap, "temperature": temperature}
    heads = prepare_heads(
        (features, kernel, bias, axis),
        (target_features, target_kernel, target_bias, target_axis),
        operand_dtype,
        axis_name,
    )
    rows = RowArguments(jnp.shape(features)[:-1], where, weights, labels, label_weight)
    return reduced(_kl, axis_name, heads, rows, named, max_logits_bytes, reduction)


@loss(
    KEPT_GRADIENTS,
    softcap=SOFTCAP,
    target_softcap=SOFTCAP,
    beta=MIXTURE,
    temperature=TEMPERATURE,
    label_weight=FACTOR,
)
def linear_softmax_jensen_shannon_divergence(
    features: ArrayLike,
    kernel: ArrayLike,
    target_features: ArrayLike,
    target_kernel: ArrayLike,
    *,
    beta: ArrayLike = 0.5,
    bias: ArrayLike | None = None,
    target_bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    target_softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    label_weight: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    target_axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Generalized Jensen–Shannon divergence of a teacher's linear head and a student's.

    The loss is `softmax_jensen_shannon_divergence` of the logits of both heads, which are never all
    held. With p the student's probabilities, t the teacher's, and m = β t + (1 − β) p:

        ℓ = β Σ_j t_j log(t_j/m_j) + (1 − β) Σ_j p_j log(p_j/m_j)

    Args:
      features: the student's, `(..., D)` floating.
      kernel: the student's, `(D, V)` floating, or `(V, D)` with `axis=0`.
      target_features: the teacher's, `(..., D′)` floating, with the same rows.
      target_kernel: the teacher's, `(D′, V)` floating, or `(V, D′)` with `target_axis=0`.
      beta: β in [0, 1], the teacher's share of the mixture. The Python number 0 gives the forward
        KL(t ‖ p), and 1 the reverse KL(p ‖ t). An array that is 0 or 1 gives 0.
      bias: the student's, `(V,)`.
      target_bias: the teacher's, `(V,)`.
      softcap: the student's.
      target_softcap: the teacher's.
      temperature: above 0.
      labels: `(...)` integers in [0, V), as in `linear_softmax_kl_divergence`.
      label_weight: at least 0, a number, the weight of the labels' cross-entropy. None is 1.
      max_logits_bytes: the budget of one chunk, for the logits of both heads; see
        `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the classes of the student's kernel.
      target_axis: the axis of the classes of the teacher's kernel.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, at least 0, or the result of `reduction`.

    Raises, Differentiable: as `linear_softmax_kl_divergence`; by `beta` too.

    Numerics: as `softmax_jensen_shannon_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 2.5, 3.0]])
      >>> one = jnp.ones((1, 1))
      >>> print(jaxent.linear_softmax_jensen_shannon_divergence(one, student, one, teacher))
      [0.0064]

    References: Agarwal et al., "On-policy distillation of language models" (GKD), 2024.
    """
    named = {"softcap": softcap, "target_softcap": target_softcap, "temperature": temperature}
    heads = prepare_heads(
        (features, kernel, bias, axis),
        (target_features, target_kernel, target_bias, target_axis),
        operand_dtype,
        axis_name,
    )
    constant = beta if isinstance(beta, Constant) else None
    named |= {"beta": None if constant else beta}
    rows = RowArguments(jnp.shape(features)[:-1], where, weights, labels, label_weight)
    divergence = partial(_jensen_shannon, constant)
    return reduced(divergence, axis_name, heads, rows, named, max_logits_bytes, reduction)


def _kl(student: Rows, teacher: Rows, options: Options) -> Array:
    return softmax_kl(student, teacher)


def _jensen_shannon(
    constant: Constant | None, student: Rows, teacher: Rows, options: Options
) -> Array:
    beta = options["beta"] if constant is None else constant
    return jensen_shannon_or_limit(student, teacher, beta)
