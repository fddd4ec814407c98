"""Losses of a linear head as a textbook writes them, on logits that are held; and their inputs."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxent._heads import OPTIONS_WITH_TEMPORARIES

D = 16


def _mask(rng, n, classes):
    return np.asarray(rng.uniform(size=n) < 0.7)


# What the losses of class indices take besides features, kernel and labels.
OPTIONS = {
    "bias": lambda rng, n, classes: rng.normal(size=classes),
    "softcap": lambda rng, n, classes: np.asarray(3.0),
    "label_smoothing": lambda rng, n, classes: np.asarray(0.1),
    "z_loss": lambda rng, n, classes: np.asarray(1e-2),
    "class_weights": lambda rng, n, classes: rng.uniform(0.5, 2, classes),
    "where": _mask,
    "weights": lambda rng, n, classes: rng.uniform(0.5, 2, n),
}


def problem(n, classes, names=(), dtype=np.float32, seed=0, spread=1.0):
    """Features, kernel and labels, with logits of a standard deviation, and options by name."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D)) * spread
    W = rng.normal(size=(D, classes)) / np.sqrt(D)
    y = rng.integers(0, classes, n)
    options = {name: OPTIONS[name](rng, n, classes) for name in names}
    arrays = x.astype(dtype), W.astype(dtype), y
    return arrays, {k: v if v.dtype == bool else v.astype(dtype) for k, v in options.items()}


def logits(x, W, bias=None, softcap=None):
    z = x @ W
    z = z if bias is None else z + bias[None]
    return z if softcap is None else softcap * jnp.tanh(z / softcap)


def losses(
    x,
    W,
    y,
    *,
    bias=None,
    softcap=None,
    label_smoothing=0.0,
    z_loss=0.0,
    class_weights=1.0,
    where=True,
    weights=1.0,
    gamma=0.0,
):
    """Cross-entropy with every option, and with the focal factor."""
    z = logits(x, W, bias, softcap)
    nlp = -jax.nn.log_softmax(z)
    by_class = jnp.broadcast_to(class_weights, W.shape[1:])
    nll = jnp.take_along_axis(nlp, y[:, None], axis=-1)[:, 0]
    label = by_class[y] * (1 - jnp.exp(-nll)) ** gamma * nll if gamma else by_class[y] * nll
    smooth = (by_class[None] * nlp).mean(-1)
    lse = jax.nn.logsumexp(z, axis=-1)
    made = (1 - label_smoothing) * label + label_smoothing * smooth + z_loss * lse**2
    return jnp.where(where, weights * made, 0)


def mean(x, W, y, where=None, **options):
    kept = len(y) if where is None else jnp.maximum(jnp.sum(where), 1).astype(x.dtype)
    where = True if where is None else where
    return jnp.sum(losses(x, W, y, where=where, **options)) / kept


def kl(x, W, t, U, temperature=1.0):
    log_p = jax.nn.log_softmax(x @ W / temperature)
    log_t = jax.nn.log_softmax(t @ U / temperature)
    return jnp.sum(jnp.exp(log_t) * (log_t - log_p), axis=-1)


def bytes_of(rows, classes, itemsize=4, options=()):
    """A budget for so many rows at a time, given these options."""
    anew = sum(name in OPTIONS_WITH_TEMPORARIES for name in options)
    return 2 * (1 + anew) * rows * classes * itemsize


def relative(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-30)
