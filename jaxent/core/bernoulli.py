r"""Losses and statistics of a Bernoulli logit.

With z the logit, p = σ(z), q = 1 − p, and softplus = log1p(exp(−|z|)):

    −log p  =  max(−z, 0) + softplus        −log q  =  max(z, 0) + softplus
    H  =  −p log p − q log q  =  softplus + |z|·σ(−|z|)

The terms of each sum have one sign, so nothing cancels, and small losses keep all their digits. The
derivatives are formulas of the same functions, so the rules below give every order:

    d(−log p) = −q dz    d(−log q) = p dz    dp = p·q dz    dq = −p·q dz    dH = −p·q·z dz
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core import lower
from jaxent.core.mesh import select
from jaxent.core.softplus import softplus
from jaxent.core.tangents import along
from jaxent.core.xlogy import weigh


@jax.custom_jvp
def probabilities(z: Array) -> tuple[Array, Array]:
    """p = σ(z) and q = σ(−z), each exact where it is small."""
    u = jnp.exp(-lower.absolute_again(z))
    large = 1 / (1 + u)
    small = u * large
    positive = z > -z
    return select(positive, large, small), select(positive, small, large)


@probabilities.defjvp
def _probabilities_jvp(primals, tangents):
    p, q = probabilities(*primals)
    moved = p * q * tangents[0]
    return (p, q), (moved, -moved)


@jax.custom_jvp
def information(z: Array) -> tuple[Array, Array]:
    """−log p and −log q."""
    least = softplus(jnp.abs(z))
    return jnp.maximum(-z, 0) + least, jnp.maximum(z, 0) + least


@information.defjvp
def _information_jvp(primals, tangents):
    (z,), (z_dot,) = primals, tangents
    p, q = probabilities(z)
    return information(z), (-q * z_dot, p * z_dot)


@jax.custom_jvp
def cross_entropy(z: Array, y: Array, pos_weight: Array | None) -> Array:
    """−pos_weight · y log p − (1 − y) log q, with 0 · log 0 = 0.

    Both logarithms contain softplus(−|z|). The one of the side that z contradicts adds |z|.
    """
    least, negative = softplus(jnp.abs(z)), 1 - y
    mass = 1 if pos_weight is None else pos_weight * y + negative
    missed = weigh(negative, z), _times(pos_weight, weigh(y, -z))
    return select(z > 0, mass * least + missed[0], mass * least + missed[1])


def _cross_entropy_jvp(primals, tangents):
    z, y, pos_weight = primals
    p, q = probabilities(z)
    nlp, nlq = information(z)
    by_z = (1 - y) * p - _times(pos_weight, y * q)
    # A term of the label without mass is absent, even where its logarithm is infinite.
    nlp = select((y == 0) & jnp.isinf(nlp), 0, nlp)
    nlq = select((y == 1) & jnp.isinf(nlq), 0, nlq)
    by_y = _times(pos_weight, nlp) - nlq
    slopes = (by_z, by_y) if pos_weight is None else (by_z, by_y, y * nlp)
    return cross_entropy(*primals), along(tangents[: len(slopes)], *slopes)


cross_entropy.defjvp(_cross_entropy_jvp, symbolic_zeros=True)


def _times(weight: Array | None, x: Array) -> Array:
    return x if weight is None else weigh(weight, x)


@jax.custom_jvp
def bernoulli_entropy(z: Array) -> Array:
    """H, in nats."""
    infinite = jnp.isinf(z)
    size = select(infinite, 0, jnp.abs(z))
    u = jnp.exp(-size)
    return select(infinite, 0, softplus(size) + u / (1 + u) * size)


@bernoulli_entropy.defjvp
def _bernoulli_entropy_jvp(primals, tangents):
    (z,), (z_dot,) = primals, tangents
    p, q = probabilities(z)
    return bernoulli_entropy(z), -weigh(p * q, z) * z_dot


def focal_terms(z: Array, y: Array) -> tuple[Array, Array]:
    """The cross-entropy −log p_t and the missed probability 1 − p_t of the focal loss."""
    return cross_entropy(z, y, None), _miss(z, y)


@jax.custom_jvp
def _miss(z: Array, y: Array) -> Array:
    """y q + (1 − y) p. With u = exp(−|z|), p and q are 1/(1 + u) and u/(1 + u), or the reverse."""
    u, wrong = jnp.exp(-jnp.abs(z)), select(z > 0, 1 - y, y)
    return (wrong + (1 - wrong) * u) / (1 + u)


def _miss_jvp(primals, tangents):
    z, y = primals
    p, q = probabilities(z)
    return y * q + (1 - y) * p, along(tangents, (1 - 2 * y) * (p * q), q - p)


_miss.defjvp(_miss_jvp, symbolic_zeros=True)
