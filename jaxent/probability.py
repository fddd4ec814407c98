"""Losses from probabilities."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _inputs
from jaxent._inputs import Axis, elements, keep, loss, number, option, per_class_option
from jaxent.core.dtypes import compute_dtype
from jaxent.core.focal import balance, focal
from jaxent.core.xlogy import xlog1my, xlogy
from jaxent.reduction import Reduced, Reduction, reduce

INF = float("inf")


@loss(epsilon=(0, 0.5), pos_weight=(0, INF))
def binary_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-7,
    pos_weight: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    binary = elements("probs", probs, labels, where, weights)
    y = binary.labels
    positive = y if pos_weight is None else y * per_class_option("pos_weight", pos_weight, binary)
    losses = _cross_entropy(binary.values, positive, 1 - y, number("epsilon", epsilon, y.dtype))
    return reduce(losses, binary.kept, weights, reduction)


@loss(epsilon=(0, 0.5), alpha=(0, 1), gamma=(0, INF))
def binary_focal_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-7,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    binary = elements("probs", probs, labels, where, weights)
    p, y = binary.values, binary.labels
    p = p.astype(y.dtype)
    ce = _cross_entropy(p, y, 1 - y, number("epsilon", epsilon, y.dtype))
    losses = focal(ce, y * (1 - p) + (1 - y) * p, number("gamma", gamma, y.dtype))
    losses = balance(losses, y, option("alpha", alpha, y.dtype))
    return reduce(losses, binary.kept, weights, reduction)


@loss(epsilon=(0, 1))
def categorical_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-7,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    rows = _inputs.rows("probs", probs, axis, where, weights)
    t = _inputs.class_values("labels", labels, rows, axis, jnp.shape(probs), "probs")
    t = keep(t, rows.kept, 0)
    p = keep(_floored(rows.values.astype(t.dtype), number("epsilon", epsilon, t.dtype)), rows.kept, 1)
    # A class that `where` drops has probability 0, below any epsilon.
    p = p if rows.classes is None else jnp.where(rows.classes, p, 0)
    return reduce(-jnp.sum(xlogy(t, p), axis=-1), rows.kept, weights, reduction)


@loss(epsilon=(0, 1))
def categorical_cross_entropy_with_integer_labels(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-7,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    rows = _inputs.rows("probs", probs, axis, where, weights)
    y, valid = _inputs.class_numbers("probs", labels, rows)
    p = _of_label(rows.values.astype(compute_dtype(rows.values)), y)
    p = keep(_floored(p, number("epsilon", epsilon, p.dtype)), rows.kept, 1)
    p = p if rows.classes is None else jnp.where(_of_label(rows.classes, y), p, 0)
    losses = jnp.where(valid, -jnp.log(jnp.where(valid, p, 1)), jnp.nan)
    return reduce(losses, rows.kept, weights, reduction)


def _of_label(x: Array, y: Array) -> Array:
    return jnp.squeeze(jnp.take_along_axis(x, y[..., None], axis=-1), -1)


def _floored(p: Array, epsilon: Array) -> Array:
    """p within [epsilon, 1], with derivative 1 on the whole of that interval and 0 outside."""
    return jnp.where(p < epsilon, epsilon, jnp.where(p > 1, 1, p))


@jax.checkpoint
def _cross_entropy(probs: Array, positive: Array, negative: Array, epsilon: Array) -> Array:
    p = probs.astype(positive.dtype)
    p = _floored(p, jnp.zeros_like(epsilon))
    # The floor is under 1 − p itself: 1 − (1 − 1e-7) is 1.2e-7 in float32.
    certain = 1 - p < epsilon
    negative_term = xlog1my(negative, jnp.where(certain, 0.5, p))
    negative_term = jnp.where(certain, xlogy(negative, epsilon), negative_term)
    return -xlogy(positive, _floored(p, epsilon)) - negative_term
