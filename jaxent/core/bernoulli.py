r"""The statistics of a Bernoulli logit, all from one exponential.

With z the logit, p = σ(z), q = 1 − p and u = exp(−|z|) in (0, 1]:

    p, q  =  1/(1 + u) and u/(1 + u), the larger one on z's side
    nlp   =  −log p  =  max(−z, 0) + log1p(u)
    nlq   =  −log q  =  max(z, 0) + log1p(u)
    H     =  p·nlp + q·nlq  =  log1p(u) + |z|·u/(1 + u)

Every sum has terms of one sign, so nothing cancels: a confident answer costs 4e-9 when that is its
cost. The derivatives are the statistics again, so the rule below, read once more, is every higher
derivative too:

    dnlp = −q dz    dnlq = p dz    dp = p·q dz    dq = −p·q dz    dH = −p·q·z dz
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core.dtypes import widen
from jaxent.core.xlogy import weigh


class BernoulliStats(NamedTuple):
    """Per logit: the two probabilities, their negative logarithms, and the entropy."""

    p: Array
    q: Array
    nlp: Array
    nlq: Array
    entropy: Array


@jax.custom_jvp
def bernoulli_stats(logits: Array) -> BernoulliStats:
    """The statistics of each logit, in float32 or wider."""
    z = widen(logits)
    u = jnp.exp(-jnp.abs(z))
    larger = 1 / (1 + u)
    smaller = u * larger
    softplus = jnp.log1p(u)
    return BernoulliStats(
        p=jnp.where(z >= 0, larger, smaller),
        q=jnp.where(z >= 0, smaller, larger),
        nlp=jnp.maximum(-z, 0) + softplus,
        nlq=jnp.maximum(z, 0) + softplus,
        entropy=softplus + weigh(smaller, jnp.abs(z)),
    )


@bernoulli_stats.defjvp
def _bernoulli_stats_jvp(primals, tangents):
    stats = bernoulli_stats(*primals)
    z, z_dot = widen(primals[0]), widen(tangents[0])
    slope = stats.p * stats.q
    return stats, BernoulliStats(
        p=slope * z_dot,
        q=-slope * z_dot,
        nlp=-stats.q * z_dot,
        nlq=stats.p * z_dot,
        entropy=-weigh(slope, z) * z_dot,
    )
