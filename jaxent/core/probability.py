r"""The cost −t log p of a probability p with label weight t, that of its complement, and −p log p.

    cost             =  −t log max(p, ε)            by p:  −t / p
    complement_cost  =  −t log max(1 − p, ε)        by p:   t / (1 − p)
    entropy_term     =  −p log p                    by p:  −log p − 1

p is clipped to [0, 1]. Below the floor ε and outside of [0, 1] the derivative by p is 0. A term
0 · log 0 is 0, and so are its derivatives.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core import lower
from jaxent.core.mesh import select
from jaxent.core.tangents import along
from jaxent.core.xlogy import clip, log_of_sum, present, quotient


@jax.custom_jvp
def cost(t: Array, p: Array, epsilon: Array) -> Array:
    """−t log max(p, ε)."""
    return lower.cost(t, p, epsilon)


def _cost_jvp(primals, tangents):
    t, p, epsilon = primals
    floored = p < epsilon
    q = present(t, clip(p, epsilon))
    slope = -quotient(t, q)
    by_p = select(floored | (p > 1), 0, slope)
    slopes = 0 - jnp.log(q), by_p, select(floored, slope, 0)
    return cost(*primals), along(tangents, *slopes)


cost.defjvp(_cost_jvp, symbolic_zeros=True)


@jax.custom_jvp
def entropy_term(p: Array) -> Array:
    """−p log p, for entropies that sum it over the classes of a row."""
    return lower.entropy_term(p)


def _entropy_term_jvp(primals, tangents):
    (p,) = primals
    return entropy_term(p), along(tangents, select(p == 0, 0, -jnp.log(select(p == 0, 1, p)) - 1))


entropy_term.defjvp(_entropy_term_jvp, symbolic_zeros=True)


@jax.custom_jvp
def label_prob(p: Array, y: Array) -> Array:
    """p_y of each row. Its gradient selects the class of the label."""
    return take_label(p, y)


@label_prob.defjvp
def _label_prob_jvp(primals, tangents):
    return label_prob(*primals), lower.label_only(tangents[0], primals[1])


def take_label(x: Array, y: Array) -> Array:
    """x_y of each row."""
    return jnp.squeeze(jnp.take_along_axis(x, y[..., None], axis=-1), -1)


@jax.custom_jvp
def complement_cost(t: Array, p: Array, epsilon: Array) -> Array:
    """−t log max(1 − p, ε)."""
    u = 1 - p
    return t * _complement_nlp(p, u, present(t, clip(u, epsilon)))


def _complement_cost_jvp(primals, tangents):
    t, p, epsilon = primals
    u = 1 - p
    floored = u < epsilon
    q = present(t, clip(u, epsilon))
    slope = -quotient(t, q)
    by_p = select(floored | (u > 1), 0, -slope)
    slopes = _complement_nlp(p, u, q), by_p, select(floored, slope, 0)
    return complement_cost(*primals), along(tangents, *slopes)


complement_cost.defjvp(_complement_cost_jvp, symbolic_zeros=True)


def _complement_nlp(p: Array, u: Array, q: Array) -> Array:
    """−log q for q = max(u, ε), without the rounding error of u = 1 − p.

    The floor is compared with u itself. In float32 1 − (1 − 1e-7) is 1.2e-7, so 1 − ε is no bound.
    """
    return 0 - log_of_sum(q, select(p < 0, 0, -p), q == u)
