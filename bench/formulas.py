"""The losses in plain JAX, as users write them: float32 formulas that autodiff differentiates.

They are the peer where optax has no such loss or option, and the reference of all results. Their
options have jaxent's names, and cost nothing if absent.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid
from jax.scipy.special import rel_entr, xlogy

GAMMA = 2.0  # jaxent's default and its peers'


def in_float32(formula: Callable[..., Array]) -> Callable[..., Array]:
    """Casts the arrays first, as T5X and MaxText cast logits."""

    def cast(x):
        return x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return lambda *arrays: formula(*map(cast, arrays))


def at(z, y):
    """The element of each row at the row's label."""
    return jnp.take_along_axis(z, y[:, None], axis=-1)[:, 0]


def smooth(t, label_smoothing, classes):
    return (1 - label_smoothing) * t + label_smoothing / classes if label_smoothing else t


def integer(z, y, label_smoothing=0.0, z_loss=0.0):
    lse = logsumexp(z, axis=-1)
    target = at(z, y)
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing * jnp.mean(z, axis=-1)
    return lse - target + z_loss * lse**2 if z_loss else lse - target


def focal(z, y):
    nll = integer(z, y)
    return (1 - jnp.exp(-nll)) ** GAMMA * nll


def few(z, y, label_probs):
    """Cross-entropy with a distribution over a few classes of each row."""
    log_p = jnp.take_along_axis(log_softmax(z), y, axis=-1)
    return -jnp.sum(label_probs * log_p, axis=-1)


def clipped(log_probs, old_log_probs, advantages):
    """The clipped loss of PPO and GRPO."""
    ratio = jnp.exp(log_probs - old_log_probs)
    return -jnp.minimum(ratio * advantages, jnp.clip(ratio, 0.8, 1.2) * advantages)


def bonus(z, y):
    """Cross-entropy minus a hundredth of the entropy."""
    log_p = log_softmax(z)
    return -at(log_p, y) + 0.01 * jnp.sum(jnp.exp(log_p) * log_p, axis=-1)


def dense(z, t, label_smoothing=0.0):
    return -jnp.sum(smooth(t, label_smoothing, t.shape[-1]) * log_softmax(z), axis=-1)


def binary(z, y, label_smoothing=0.0, pos_weight=1.0):
    y = smooth(y, label_smoothing, 2)
    return -pos_weight * y * log_sigmoid(z) - (1 - y) * log_sigmoid(-z)


def binary_focal(z, y, alpha=None):
    missed = y * sigmoid(-z) + (1 - y) * sigmoid(z)
    loss = missed**GAMMA * binary(z, y)
    return loss if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * loss


def log_of(p):
    return jnp.log(jnp.clip(p, 1e-7, 1 - 1e-7))


def binary_of_probs(p, y):
    return -y * log_of(p) - (1 - y) * log_of(1 - p)


def kl(log_p, t):
    return jnp.sum(xlogy(t, t) - t * log_p, axis=-1)


def kl_of_logs(log_p, log_t):
    return jnp.sum(jnp.exp(log_t) * (log_t - log_p), axis=-1)


def jensen_shannon(p, t):
    m = (p + t) / 2
    return jnp.sum(rel_entr(p, m) + rel_entr(t, m), axis=-1) / 2


def softmax_kl(z, t, temperature=1.0):
    return kl_of_logs(log_softmax(z / temperature), log_softmax(t / temperature))


def generalized_jensen_shannon(z, t, beta):
    log_p, log_t = log_softmax(z), log_softmax(t)
    log_m = logsumexp(jnp.stack([log_p + jnp.log1p(-beta), log_t + jnp.log(beta)]), axis=0)
    return beta * kl_of_logs(log_m, log_t) + (1 - beta) * kl_of_logs(log_m, log_p)


def asymmetric(z, y, gamma_pos, gamma_neg, margin):
    p = sigmoid(z)
    shifted = jnp.maximum(p - margin, 0)
    positive = -y * (1 - p) ** gamma_pos * log_sigmoid(z)
    return positive - (1 - y) * shifted**gamma_neg * jnp.log1p(-shifted)


def siglip(queries, keys, scale, bias):
    z = scale * logits(queries, keys.T) + bias
    return -jnp.sum(log_sigmoid(jnp.where(jnp.eye(*z.shape, dtype=bool), z, -z)), axis=-1)


def logits(x, W, softcap=None):
    z = (x @ W).astype(jnp.float32)
    return z if softcap is None else softcap * jnp.tanh(z / softcap)


def info_nce(queries, keys, temperature, symmetric=False):
    y = jnp.arange(len(queries))
    z = logits(queries, keys.T) / temperature
    return (integer(z, y) + integer(z.T, y)) / 2 if symmetric else integer(z, y)
