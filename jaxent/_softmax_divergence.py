"""Divergences between the softmaxes of two logits, in nats: distillation."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import MIXTURE, TEMPERATURE, Axis, Constant, Reduction, loss
from jaxent._inputs import expect_real, expect_shape, expect_split, number, option
from jaxent._reduction import Reduced, reduce
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.softmax_divergence import softmax_jensen_shannon, softmax_kl


@loss(temperature=TEMPERATURE)
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Kullback–Leibler divergence of softmax(target_logits) from softmax(logits): distillation.

    With z the logits, u the target logits, p = softmax(z/T) and t = softmax(u/T):

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂z_j = (p_j − t_j)/T

    Args:
      logits: the student's, `(..., V, ...)` floating.
      target_logits: the teacher's, of the same shape. They have a gradient, too: stop it with
        `jax.lax.stop_gradient` if the teacher is fixed.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes of
        both.
      temperature: T > 0. Hinton multiplies the loss by T² to keep the size of its gradient. This
        function does not.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, at least 0, or the result of `reduction`. +inf where the student's logit is
      −inf and the teacher's is not.

    Raises: as `kl_divergence`; ValueError for a temperature that is not above 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.001, 3.0])
      >>> print(jaxent.softmax_kl_divergence(student, teacher))
      9.24e-08

    Numerics: each term is at least 0, so nothing cancels between them. Two float32 rows
    1e-4 apart have a divergence of 4e-9, correct to three digits.

    Differentiable: in both modes, to any order, by both logits and `temperature`.

    References: Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    rows, target_rows = _two_rows(
        logits, target_logits, axis, where, temperature, axis_name, weights
    )
    return reduce(softmax_kl(rows, target_rows), rows.kept, weights, reduction)


@loss(beta=MIXTURE, temperature=TEMPERATURE)
def softmax_jensen_shannon_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    beta: ArrayLike = 0.5,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Generalized Jensen–Shannon divergence of softmaxes: distillation on a student's own samples.

    With z the logits, u the target logits, p = softmax(z/T), t = softmax(u/T), and the mixture
    m = β t + (1 − β) p:

        ℓ = β Σ_j t_j log(t_j/m_j) + (1 − β) Σ_j p_j log(p_j/m_j)

        ∂ℓ/∂z_j = (1 − β)/T · p_j (a_j − Σ_k p_k a_k),    a_j = log(p_j/m_j)

    For β → 0 the quotient ℓ/β tends to the forward KL(t ‖ p), and for β → 1 the quotient ℓ/(1 − β)
    tends to the reverse KL(p ‖ t). For the Python numbers 0 and 1 the function returns these KL.
    For an array that is 0 or 1 it returns ℓ, which is 0 there.

    Args:
      logits: the student's, `(..., V, ...)` floating.
      target_logits: the teacher's, of the same shape. They have a gradient, too.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes of
        both.
      beta: β in [0, 1], the teacher's share of the mixture.
      temperature: T > 0.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, at least 0, or the result of `reduction`. As an array, β in [0, 1] gives a
      finite number.

    Raises: as `softmax_kl_divergence`; ValueError for a β outside of [0, 1].

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.5, 3.0])
      >>> print(jaxent.softmax_jensen_shannon_divergence(student, teacher))
      0.0064

    Numerics: each term is at least 0, so nothing cancels between them.

    Differentiable: in both modes, to any order, by both logits, `beta` and `temperature`.

    Agrees with: `jensen_shannon_divergence` of the two softmaxes for β = 1/2.

    References: Agarwal et al., "On-policy distillation of language models" (GKD), 2024.
    """
    rows, target_rows = _two_rows(
        logits, target_logits, axis, where, temperature, axis_name, weights
    )
    losses = jensen_shannon_or_limit(rows, target_rows, beta)
    return reduce(losses, rows.kept, weights, reduction)


def jensen_shannon_or_limit(rows: Rows, target_rows: Rows, beta: ArrayLike | Constant) -> Array:
    """JSD_β, or KL(t ‖ p) for the constant β = 0 and KL(p ‖ t) for 1."""
    if isinstance(beta, Constant):
        return softmax_kl(*((rows, target_rows) if beta.value == 0 else (target_rows, rows)))
    return softmax_jensen_shannon(rows, target_rows, number("beta", beta, rows.dtype))


def _two_rows(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
    temperature: ArrayLike | None,
    axis_name: AxisName,
    weights: ArrayLike | None,
) -> tuple[Rows, Rows]:
    """The rows of both logits, validated, in one dtype, at a temperature."""
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    target_logits = jnp.asarray(target_logits)
    expect_real("target_logits", target_logits)
    expect_shape("target_logits", target_logits, jnp.shape(logits), "logits")
    expect_split("target_logits", target_logits, axis_name)
    target_rows = replace(rows, values=_classes.class_axis_last(target_logits, axis))
    dtype = compute_dtype(rows.values, target_logits)
    divisor = option("temperature", temperature, dtype)
    rows, target_rows = (r.computed_in(dtype).at_temperature(divisor) for r in (rows, target_rows))
    return rows, target_rows
