"""The losses that are timed: their arguments, and their formula as the judge of everyone's numbers.

Logits are standard normal, as when training starts, those of a linear head too; dense labels are
distributions over classes, or random zeros and ones for the binary losses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import xlogy

from bench.shapes import Shape

Arguments = tuple[np.ndarray, ...]
Draw = Callable[[np.random.Generator, Shape], Arguments]

# Options as all peers have them by default, or can be told.
GAMMA = 2.0
EPSILON = 2.0


@dataclass(frozen=True)
class Case:
    """A loss by jaxent's name of it, with its formula on float32 arrays, written to be read."""

    name: str
    draw: Draw
    formula: Callable[..., Array]
    linear: bool = False  # from features and a kernel, not from logits

    @property
    def moving(self) -> int:
        """How many arguments are differentiated: features and kernel, or the first."""
        return 2 if self.linear else 1

    def arguments(self, shape: Shape, dtype: str) -> Arguments:
        """Random arguments, those to differentiate by first."""
        drawn = self.draw(np.random.default_rng(0), shape)
        cast = jnp.dtype(dtype)
        return tuple(x.astype(cast) if x.dtype == np.float32 else x for x in drawn)


def _normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.standard_normal((shape.rows, shape.classes), dtype=np.float32)


def _log_probs(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    z = _normal(rng, shape)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _probs(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.exp(_log_probs(rng, shape))


def _class_numbers(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(shape.classes, size=shape.rows, dtype=np.int32)


def _bits(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(2, size=(shape.rows, shape.classes)).astype(np.float32)


def _both(*makers: Callable[[np.random.Generator, Shape], np.ndarray]) -> Draw:
    return lambda rng, shape: tuple(make(rng, shape) for make in makers)


def _features(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.standard_normal((shape.rows, shape.features), dtype=np.float32)


def _kernel(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    kernel = rng.standard_normal((shape.features, shape.classes), dtype=np.float32)
    return kernel / np.sqrt(shape.features, dtype=np.float32)


def _nll(z: Array, y: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=-1)[:, 0]


def _softmax_focal(z: Array, y: Array) -> Array:
    nll = _nll(z, y)
    return (1 - jnp.exp(-nll)) ** GAMMA * nll


def _linear_nll(x: Array, W: Array, y: Array) -> Array:
    return _nll(jnp.matmul(x, W, precision="highest"), y)


def _dense(z: Array, t: Array) -> Array:
    return -jnp.sum(t * jax.nn.log_softmax(z), axis=-1)


def _poly(z: Array, t: Array) -> Array:
    return _dense(z, t) + EPSILON * jnp.sum(t * (1 - jax.nn.softmax(z)), axis=-1)


def _binary(z: Array, y: Array) -> Array:
    return -y * jax.nn.log_sigmoid(z) - (1 - y) * jax.nn.log_sigmoid(-z)


def _sigmoid_focal(z: Array, y: Array) -> Array:
    missed = y * jax.nn.sigmoid(-z) + (1 - y) * jax.nn.sigmoid(z)
    return missed**GAMMA * _binary(z, y)


def _kl(log_p: Array, t: Array) -> Array:
    return jnp.sum(xlogy(t, t) - t * log_p, axis=-1)


def _kl_log(log_p: Array, log_t: Array) -> Array:
    return jnp.sum(jnp.exp(log_t) * (log_t - log_p), axis=-1)


def _generalized_kl(log_p: Array, t: Array) -> Array:
    return _kl(log_p, t) + jnp.sum(jnp.exp(log_p) - t, axis=-1)


def _square(x: Array, t: Array) -> Array:
    return (x - t) ** 2


CASES = (
    Case("softmax_cross_entropy_with_integer_labels", _both(_normal, _class_numbers), _nll),
    Case("softmax_cross_entropy", _both(_normal, _probs), _dense),
    Case("softmax_focal_loss", _both(_normal, _class_numbers), _softmax_focal),
    Case("poly_loss_cross_entropy", _both(_normal, _probs), _poly),
    Case("sigmoid_binary_cross_entropy", _both(_normal, _bits), _binary),
    Case("sigmoid_focal_loss", _both(_normal, _bits), _sigmoid_focal),
    Case("kl_divergence", _both(_log_probs, _probs), _kl),
    Case("kl_divergence_with_log_targets", _both(_log_probs, _log_probs), _kl_log),
    Case("generalized_kl_divergence", _both(_log_probs, _probs), _generalized_kl),
    Case("squared_error", _both(_normal, _normal), _square),
    Case(
        "linear_softmax_cross_entropy",
        _both(_features, _kernel, _class_numbers),
        _linear_nll,
        linear=True,
    ),
)
