"""The losses that are timed: who has them, what they are called with, and the floor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax.losses
from jax import Array, random

import jaxent

Shape = tuple[int, int]
Arguments = tuple[Array, ...]
Loss = Callable[..., Array]
MakeArguments = Callable[[Array, Shape, str], Arguments]


@dataclass(frozen=True)
class Case:
    """One loss: its arguments, the differentiated one first, and everyone who has it.

    The reference judges them all; it is called in float32 whatever the dtype they are timed in.
    """

    name: str
    arguments: MakeArguments
    losses: Mapping[str, Loss]
    reference: Loss


def _integer_labels(key: Array, shape: Shape, dtype: str) -> Arguments:
    z, y = random.split(key)
    return _normal(z, shape, dtype), random.randint(y, shape[:1], 0, shape[1])


def _binary_labels(key: Array, shape: Shape, dtype: str) -> Arguments:
    z, y = random.split(key)
    return _normal(z, shape, dtype), random.bernoulli(y, 0.5, shape).astype(dtype)


def _distribution(key: Array, shape: Shape, dtype: str) -> Arguments:
    z, t = random.split(key)
    return _normal(z, shape, dtype), jnp.exp(_log_probs(t, shape, "float32")).astype(dtype)


def _log_prediction(key: Array, shape: Shape, dtype: str) -> Arguments:
    log_p, t = random.split(key)
    return _log_probs(log_p, shape, dtype), jnp.exp(_log_probs(t, shape, "float32")).astype(dtype)


def _log_both(key: Array, shape: Shape, dtype: str) -> Arguments:
    log_p, log_t = random.split(key)
    return _log_probs(log_p, shape, dtype), _log_probs(log_t, shape, dtype)


def _targets(key: Array, shape: Shape, dtype: str) -> Arguments:
    x, t = random.split(key)
    return _normal(x, shape, dtype), _normal(t, shape, dtype)


def _normal(key: Array, shape: Shape, dtype: str) -> Array:
    return (3 * random.normal(key, shape)).astype(dtype)


def _log_probs(key: Array, shape: Shape, dtype: str) -> Array:
    return jax.nn.log_softmax(_normal(key, shape, "float32")).astype(dtype)


def _shared_with_optax(name: str, arguments: MakeArguments) -> Case:
    theirs = getattr(optax.losses, name)
    return Case(name, arguments, {"jaxent": getattr(jaxent, name), "optax": theirs}, theirs)


CASES = (
    _shared_with_optax("softmax_cross_entropy_with_integer_labels", _integer_labels),
    _shared_with_optax("softmax_cross_entropy", _distribution),
    _shared_with_optax("poly_loss_cross_entropy", _distribution),
    _shared_with_optax("sigmoid_binary_cross_entropy", _binary_labels),
    _shared_with_optax("sigmoid_focal_loss", _binary_labels),
    _shared_with_optax("kl_divergence", _log_prediction),
    _shared_with_optax("kl_divergence_with_log_targets", _log_both),
    _shared_with_optax("generalized_kl_divergence", _log_prediction),
    _shared_with_optax("squared_error", _targets),
)


@jax.jit
def exp(x: Array, *_: Array) -> Array:
    """The floor: one read, one write and one transcendental for each element."""
    return jnp.exp(x)
