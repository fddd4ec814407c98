"""Distillation of one linear head into another, from features and kernels."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _heads
from jaxent._declare import SOFTCAP, TEMPERATURE, Reduction, loss
from jaxent._inputs import expect_split, option
from jaxent._reduction import Reduced
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.divergence import tempered_kl
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
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Kullback–Leibler divergence of a teacher's head from a student's: distillation.

    `softmax_kl_divergence` of the two heads' logits, of which neither is held. With z of the
    student, y of the teacher, T the temperature, p = softmax(z/T) and t = softmax(y/T):

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂z_j = (p_j − t_j)/T

    and carried on from there as in `linear_softmax_cross_entropy`.

    Args:
      features: the student's, `(..., D)` floating.
      kernel: the student's, `(D, V)` floating.
      target_features: the teacher's, `(..., D′)` floating, with the same rows.
      target_kernel: the teacher's, `(D′, V)` floating, with the same classes. What of the teacher
        is not differentiated, or behind `jax.lax.stop_gradient`, costs no product.
      bias: the student's, `(V,)`.
      target_bias: the teacher's, `(V,)`.
      softcap: the student's.
      target_softcap: the teacher's.
      temperature: above 0. Multiply the loss by its square to keep the size of the gradient.
      max_logits_bytes: of both logits together; as in `linear_softmax_cross_entropy`.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.
      where: `(...)` boolean, False for rows to drop.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, at least 0, or what `reduction` makes of it.

    Raises, what is differentiable and kept: as `linear_softmax_cross_entropy`. Numerics: as
    `softmax_kl_divergence`.

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
    student = _heads.head(features, kernel, bias)
    names = "target_features", "target_kernel", "target_bias"
    teacher = _heads.head(target_features, target_kernel, target_bias, names)
    shape, classes = jnp.shape(features)[:-1], student.kernel.shape[1]
    target_shape = *jnp.shape(target_features)[:-1], teacher.kernel.shape[1]
    if target_shape != (*shape, classes):
        raise ValueError(
            "target_features and target_kernel must have logits of the shape"
            f" {(*shape, classes)} of those of features and kernel, got {target_shape}"
        )
    for name, head in (("kernel", student), ("target_kernel", teacher)):
        expect_split(name, head.kernel, axis_name)
    tokens = _heads.tokens(None, shape, classes, where, weights)
    dtype = compute_dtype(*student, *teacher)
    named = {"softcap": softcap, "target_softcap": target_softcap, "temperature": temperature}
    options = {name: option(name, value, dtype) for name, value in named.items()}
    arguments = (student, teacher), shape, tokens, options, max_logits_bytes, reduction
    return _heads.reduced(partial(_kl, axis_name), *arguments)


def _kl(axis_name: AxisName, z: tuple[Array, ...], y: None, options: _heads.Options) -> Array:
    student, teacher = widen_both(*z)
    student, teacher = (
        _heads.rows(student, options["softcap"], axis_name),
        _heads.rows(teacher, options["target_softcap"], axis_name),
    )
    return tempered_kl(student, teacher, options["temperature"])
