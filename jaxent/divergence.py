"""Information and divergences, in nats."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _inputs
from jaxent._inputs import Axis, expect_floating, keep, loss, option
from jaxent.core.bernoulli import bernoulli_stats
from jaxent.core.dense import unlabelled_stats
from jaxent.core.divergence import js_terms, kl_terms, softmax_kl
from jaxent.core.dtypes import widen
from jaxent.core.xlogy import weigh, xlogy

INF = float("inf")
SMALLEST = 2.0**-126  # the smallest normal float32


@loss()
def self_information(probs: ArrayLike) -> Array:
    probs = jnp.asarray(probs)
    expect_floating("probs", probs)
    return -jnp.log(widen(probs))


@loss()
def entropy(probs: ArrayLike, axis: Axis = -1) -> Array:
    p = widen(_inputs.rows("probs", probs, axis, None).values)
    return -jnp.sum(xlogy(p, p), axis=-1)


@loss()
def softmax_entropy(logits: ArrayLike, axis: Axis = -1) -> Array:
    return unlabelled_stats(_inputs.rows("logits", logits, axis, None).values).entropy


@loss()
def sigmoid_entropy(logits: ArrayLike) -> Array:
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
    log_p, t, kept = _two("log_predictions", log_predictions, "targets", targets, axis, where)
    return _sum(weigh(t, jnp.log(jnp.where(t == 0, 1, t)) - log_p), kept)


@loss()
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
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
    log_p, t, kept = _two("log_predictions", log_predictions, "targets", targets, axis, where)
    return _sum(jax.checkpoint(kl_terms)(t, log_p), kept)


@loss(temperature=(SMALLEST, INF))
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
) -> Array:
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
    p, t, kept = _two("probs", probs, "targets", targets, axis, where)
    return _sum(jax.checkpoint(js_terms)(p, t), kept)


def _two(
    name: str, x: ArrayLike, other_name: str, other: ArrayLike, axis: Axis, where: ArrayLike | None
) -> tuple[Array, Array, Array | None]:
    """Two arrays of one shape (..., V), dropped elements equal, and which elements are kept."""
    rows = _inputs.rows(name, x, axis, where)
    y = _inputs.class_values(other_name, other, rows, axis, jnp.shape(x), name)
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
