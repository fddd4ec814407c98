"""Distillation of one linear head into another, from features and kernels."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _heads
from jaxent._declare import MIXTURE, SOFTCAP, TEMPERATURE, Constant, Reduction, loss
from jaxent._heads import Options, RowInputs
from jaxent._inputs import expect_split, option
from jaxent._reduction import Reduced
from jaxent._softmax_divergence import jensen_shannon_or_limit
from jaxent.core.chunked import KEPT_GRADIENTS, Formula
from jaxent.core.dtypes import compute_dtype, widen_both
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.softmax_divergence import softmax_kl


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
    named = {"softcap": softcap, "target_softcap": target_softcap, "temperature": temperature}
    heads = _two_heads(
        (features, kernel, bias, axis),
        (target_features, target_kernel, target_bias, target_axis),
        operand_dtype,
        axis_name,
    )
    rows = jnp.shape(features)[:-1], where, weights
    return _reduced(partial(_kl, axis_name), heads, rows, named, max_logits_bytes, reduction)


@loss(
    KEPT_GRADIENTS,
    softcap=SOFTCAP,
    target_softcap=SOFTCAP,
    beta=MIXTURE,
    temperature=TEMPERATURE,
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
        KL(t ‖ p), and 1 the reverse KL(p ‖ t).
      bias: the student's, `(V,)`.
      target_bias: the teacher's, `(V,)`.
      softcap: the student's.
      target_softcap: the teacher's.
      temperature: above 0.
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

    Raises, Differentiable: as `linear_softmax_kl_divergence`; by `beta` too.

    Numerics: as `softmax_jensen_shannon_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 2.5, 3.0]])
      >>> one = jnp.ones((1, 1))
      >>> print(jaxent.linear_softmax_jensen_shannon_divergence(one, student, one, teacher))
      [0.0064]

    References: Agarwal et al., "On-policy distillation of language models" (GKD), 2024.
    """
    named = {"softcap": softcap, "target_softcap": target_softcap, "temperature": temperature}
    heads = _two_heads(
        (features, kernel, bias, axis),
        (target_features, target_kernel, target_bias, target_axis),
        operand_dtype,
        axis_name,
    )
    constant = beta if isinstance(beta, Constant) else None
    named |= {"beta": None if constant else beta}
    rows = jnp.shape(features)[:-1], where, weights
    formula = partial(_jensen_shannon, axis_name, constant)
    return _reduced(formula, heads, rows, named, max_logits_bytes, reduction)


# Features, kernel, bias and axis.
_Given = tuple[ArrayLike, ArrayLike, ArrayLike | None, int]


def _two_heads(
    student: _Given, teacher: _Given, operand_dtype: Any, axis_name: AxisName
) -> tuple[Head, Head]:
    """Validates features, kernel, bias and axis of both heads, whose logits have one shape."""
    heads = (
        _heads.prepare_head(*student, operand_dtype),
        _heads.prepare_head(*teacher, operand_dtype, "target_"),
    )
    shape, target_shape = (
        (*jnp.shape(given[0])[:-1], head.classes)
        for given, head in zip((student, teacher), heads, strict=True)
    )
    if target_shape != shape:
        raise ValueError(
            "target_features and target_kernel must have logits of the shape"
            f" {shape} of those of features and kernel, got {target_shape}"
        )
    for name, head in zip(("kernel", "target_kernel"), heads, strict=True):
        expect_split(name, head.kernel, axis_name)
    return heads


def _reduced(
    formula: Formula,
    heads: tuple[Head, Head],
    rows: tuple[tuple[int, ...], ArrayLike | None, ArrayLike | None],
    named: dict[str, ArrayLike | None],
    max_logits_bytes: int | None,
    reduction: Reduction,
) -> Reduced:
    """The losses of rows, given as their shape, `where` and `weights`."""
    dtype = compute_dtype(*heads[0].arrays, *heads[1].arrays)
    options = {name: option(name, value, dtype) for name, value in named.items()}
    arguments = heads, rows[0], _heads.prepare_row_inputs(*rows), options
    return _heads.reduced_losses(formula, *arguments, max_logits_bytes, reduction)[0]


def _kl(
    axis_name: AxisName, z: tuple[Array, ...], inputs: RowInputs, options: Options
) -> tuple[Array, None]:
    return softmax_kl(*_both_rows(axis_name, z, options)), None


def _jensen_shannon(
    axis_name: AxisName,
    constant: Constant | None,
    z: tuple[Array, ...],
    inputs: RowInputs,
    options: Options,
) -> tuple[Array, None]:
    beta = options["beta"] if constant is None else constant
    return jensen_shannon_or_limit(*_both_rows(axis_name, z, options), beta), None


def _both_rows(axis_name: AxisName, z: tuple[Array, ...], options: Options) -> tuple[Rows, Rows]:
    """The rows of both logits, soft-capped, at a temperature."""
    student, teacher = widen_both(*z)
    rows, target_rows = (
        _heads.capped_rows(logits, options[name], axis_name).at_temperature(options["temperature"])
        for logits, name in ((student, "softcap"), (teacher, "target_softcap"))
    )
    return rows, target_rows
