"""Binary losses from logits."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent._inputs import elements, loss, number, option, per_class_option
from jaxent.core.bernoulli import bernoulli_stats
from jaxent.core.focal import balance, focal
from jaxent.core.labels import smooth
from jaxent.core.xlogy import weigh
from jaxent.reduction import Reduced, Reduction, reduce

INF = float("inf")


@loss(pos_weight=(0, INF), label_smoothing=(0, 1))
def sigmoid_binary_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    pos_weight: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    binary = elements("logits", logits, labels, where, weights)
    smoothing = option("label_smoothing", label_smoothing, binary.labels.dtype)
    y = smooth(binary.labels, smoothing, jnp.full_like(binary.labels, 0.5))
    positive = y if pos_weight is None else y * per_class_option("pos_weight", pos_weight, binary)
    losses = _cross_entropy(binary.values, positive, 1 - y)
    return reduce(losses, binary.kept, weights, reduction)


@loss(alpha=(0, 1), gamma=(0, INF), label_smoothing=(0, 1))
def sigmoid_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    binary = elements("logits", logits, labels, where, weights)
    smoothing = option("label_smoothing", label_smoothing, binary.labels.dtype)
    y = smooth(binary.labels, smoothing, jnp.full_like(binary.labels, 0.5))
    losses = _focal(binary.values, y, number("gamma", gamma, y.dtype))
    losses = balance(losses, y, option("alpha", alpha, y.dtype))
    return reduce(losses, binary.kept, weights, reduction)


# Reverse mode keeps the arguments of these two and makes everything else again.


@jax.checkpoint
def _cross_entropy(logits: Array, positive: Array, negative: Array) -> Array:
    stats = bernoulli_stats(logits)
    return weigh(positive, stats.nlp) + weigh(negative, stats.nlq)


@jax.checkpoint
def _focal(logits: Array, y: Array, gamma: Array) -> Array:
    stats = bernoulli_stats(logits)
    ce = weigh(y, stats.nlp) + weigh(1 - y, stats.nlq)
    return focal(ce, y * stats.q + (1 - y) * stats.p, gamma)
