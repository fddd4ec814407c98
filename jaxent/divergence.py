"""Information and divergences, in nats.

A negative logarithm is written 0 − log p, since what is certain informs of 0 and not of −0.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._inputs import Axis, expect_floating, keep, loss, option
from jaxent.core.bernoulli import bernoulli_stats
from jaxent.core.dense import unlabelled_stats
from jaxent.core.divergence import js_terms, kl_terms, softmax_kl
from jaxent.core.dtypes import widen
from jaxent.core.xlogy import weigh, xlogy

POSITIVE = 2.0**-126, math.inf  # from the smallest normal float32


@loss()
def self_information(probs: ArrayLike) -> Array:
    """Self-information −log p, element by element, in nats.

    Args:
      probs: `(...)` floating, in [0, 1].

    Returns:
      `(...)`; +inf where p is 0.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.self_information(jnp.array([1.0, 0.5])))
      [0.     0.6931]
    """
    probs = jnp.asarray(probs)
    expect_floating("probs", probs)
    return 0 - jnp.log(widen(probs))


@loss()
def entropy(probs: ArrayLike, axis: Axis = -1) -> Array:
    """Entropy −Σ p_j log p_j of probabilities over classes, in nats.

    Args:
      probs: `(..., V, ...)` floating, in [0, 1].
      axis: the class axis or axes.

    Returns:
      `(...)`. 0 · log 0 = 0, and the derivative −log p_j − 1 is taken as 0 there.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.entropy(jnp.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])))
      [0.6931 0. ]

    References: Shannon, "A mathematical theory of communication", 1948.
    """
    p = widen(_classes.rows("probs", probs, axis, None).values)
    return 0 - jnp.sum(xlogy(p, p), axis=-1)


@loss()
def softmax_entropy(logits: ArrayLike, axis: Axis = -1) -> Array:
    """Entropy of softmax(logits), in nats: H = −Σ p_j log p_j, ∂H/∂z_j = −p_j (log p_j + H).

    Args:
      logits: `(..., V, ...)` floating.
      axis: the class axis or axes.

    Returns:
      `(...)`, with a confident row's 1e-8 intact. A class at −inf counts for nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.softmax_entropy(jnp.array([[0.0, 0.0], [20.0, 0.0]])))
      [6.931e-01 4.328e-08]
    """
    return unlabelled_stats(_classes.rows("logits", logits, axis, None).values).entropy


@loss()
def sigmoid_entropy(logits: ArrayLike) -> Array:
    """Entropy of σ(logits), element by element, in nats: ∂H/∂z = −p (1 − p) z.

    Args:
      logits: `(...)` floating.

    Returns:
      `(...)`; 0 at ±inf.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.sigmoid_entropy(jnp.array([0.0, 20.0])))
      [6.931e-01 4.328e-08]
    """
    logits = jnp.asarray(logits)
    expect_floating("logits", logits)
    return jax.checkpoint(bernoulli_stats)(logits).entropy


@loss()
def kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
    r"""Kullback–Leibler divergence Σ t_j (log t_j − log p_j) from log-probabilities.

    Its derivative by log p_j is −t_j.

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape, or of the inputs' to leave terms out.

    Returns:
      `(...)` in nats. 0 · log 0 = 0; target mass where p is 0 gives +inf.

    Raises:
      TypeError: `log_predictions` not floating.
      ValueError: shapes that differ, an axis out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.25, 0.75]), jnp.array([0.5, 0.5])
      >>> print(jaxent.kl_divergence(jnp.log(p), t))
      0.1438

    Numerics: terms of both signs, so exact to the rounding of the largest; for divergences near 0
    take `softmax_kl_divergence` or `generalized_kl_divergence`.

    Agrees with: `optax.losses.kl_divergence(log_predictions, targets)`.

    References: Kullback and Leibler, "On information and sufficiency", 1951.
    """
    log_p, t, kept = _two("log_predictions", log_predictions, "targets", targets, axis, where)
    return _sum(weigh(t, jnp.log(jnp.where(t == 0, 1, t)) - log_p), kept)


@loss()
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
    r"""Kullback–Leibler divergence Σ t_j (log t_j − log p_j), both as log-probabilities.

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      log_targets: log t, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape, or of the inputs' to leave terms out.

    Returns:
      `(...)` in nats. A target at −inf is a term of 0.

    Raises: as `kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.25, 0.75]), jnp.array([0.5, 0.5])
      >>> print(jaxent.kl_divergence_with_log_targets(jnp.log(p), jnp.log(t)))
      0.1438

    Agrees with: `optax.losses.kl_divergence_with_log_targets(log_predictions, log_targets)`.
    """
    inputs = "log_predictions", log_predictions, "log_targets", log_targets
    log_p, log_t, kept = _two(*inputs, axis, where)
    absent = log_t == -jnp.inf
    log_p, log_t = (jnp.where(absent, 0, x) for x in (log_p, log_t))
    return _sum(jnp.where(absent, 0, weigh(jnp.exp(log_t), log_t - log_p)), kept)


@loss()
def generalized_kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
    r"""Generalized Kullback–Leibler divergence Σ t_j log(t_j/p_j) − t_j + p_j, of any masses.

    Its derivative by log p_j is p_j − t_j. Each term is at least 0, so nothing cancels.

    Args:
      log_predictions: log p, `(..., V, ...)` floating.
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape, or of the inputs' to leave terms out.

    Returns:
      `(...)` in nats.

    Raises: as `kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> p, t = jnp.array([0.5, 1.5]), jnp.array([0.5, 0.5])
      >>> print(jaxent.generalized_kl_divergence(jnp.log(p), t))
      0.4507

    Agrees with: `optax.losses.generalized_kl_divergence(log_predictions, targets)`.

    References: Bregman, "The relaxation method of finding the common point of convex sets", 1967.
    """
    log_p, t, kept = _two("log_predictions", log_predictions, "targets", targets, axis, where)
    return _sum(jax.checkpoint(kl_terms)(t, log_p), kept)


@loss(temperature=POSITIVE)
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
) -> Array:
    r"""Kullback–Leibler divergence of softmax(target_logits) from softmax(logits): distillation.

    With t and p the two softmaxes, at temperature T both of logits/T:

        ℓ = Σ_j t_j (log t_j − log p_j)        ∂ℓ/∂z_j = (p_j − t_j)/T

    Args:
      logits: the student's, `(..., V, ...)` floating.
      target_logits: the teacher's, of the same shape. Differentiated too, unless stopped.
      axis: the class axis or axes.
      where: of the rows' shape, or of the logits' to drop classes from both softmaxes.
      temperature: above 0. Hinton multiplies the loss by T², to keep the size of its gradient;
        do so outside.

    Returns:
      `(...)` in nats, at least 0; +inf where the student is at −inf and the teacher is not.

    Raises: as `kl_divergence`; ValueError for a temperature that is not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> student, teacher = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.001, 3.0])
      >>> print(jaxent.softmax_kl_divergence(student, teacher))
      9.24e-08

    Numerics: summed as terms that are each at least 0; close distributions keep their digits.
    Differentiable in both modes, to any order, by both logits and `temperature`.

    References: Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    z, target_z, kept = _two("logits", logits, "target_logits", target_logits, axis, where)
    if kept is not None:
        some = jnp.any(kept, axis=-1, keepdims=True)
        z, target_z = (jnp.where(kept | ~some, x, -jnp.inf) for x in (z, target_z))
    divide_by = option("temperature", temperature, z.dtype)

    @jax.checkpoint
    def divergence(z, target_z, temperature):
        if temperature is not None:
            z, target_z = _divided(z, temperature), _divided(target_z, temperature)
        return softmax_kl(z, target_z)

    return divergence(z, target_z, divide_by)


@loss()
def jensen_shannon_divergence(
    probs: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
    r"""Jensen–Shannon divergence of two distributions: the mean divergence from their mean.

        ℓ = ½ Σ_j [p_j log(p_j/m_j) + t_j log(t_j/m_j)],  m = (p + t)/2

        ∂ℓ/∂p_j = ½ log(p_j/m_j)

    Args:
      probs: p, `(..., V, ...)` floating, in [0, 1].
      targets: t, real, of the same shape.
      axis: the class axis or axes.
      where: of the rows' shape, or of the inputs' to leave terms out.

    Returns:
      `(...)` in nats, between 0 and log 2; the square of `scipy.spatial.distance.jensenshannon`.

    Raises: as `kl_divergence`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.jensen_shannon_divergence(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5])))
      0.2158

    References: Lin, "Divergence measures based on the Shannon entropy", 1991.
    """
    p, t, kept = _two("probs", probs, "targets", targets, axis, where)
    return _sum(jax.checkpoint(js_terms)(p, t), kept)


def _two(
    name: str, x: ArrayLike, other_name: str, other: ArrayLike, axis: Axis, where: ArrayLike | None
) -> tuple[Array, Array, Array | None]:
    """Two arrays of one shape (..., V), dropped elements equal, and which elements are kept."""
    rows = _classes.rows(name, x, axis, where)
    y = _classes.class_values(other_name, other, rows, axis, jnp.shape(x), name)
    x, kept = rows.values.astype(y.dtype), rows.classes
    if kept is None and rows.kept is not None:
        kept = jnp.broadcast_to(rows.kept[..., None], x.shape)
    return keep(x, kept, 1), keep(y, kept, 1), kept


def _divided(z: Array, temperature: Array) -> Array:
    """z / temperature; an infinite logit stays, and has no derivative by the temperature."""
    infinite = jnp.isinf(z)
    return jnp.where(infinite, z, jnp.where(infinite, 0, z) / temperature)


def _sum(terms: Array, kept: Array | None) -> Array:
    return jnp.sum(keep(terms, kept, 0), axis=-1)
