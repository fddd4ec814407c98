r"""The terms of the asymmetric loss (Ridnik et al., 2021), from a Bernoulli logit.

With p = σ(z) and q = 1 − p, a positive has the focal cross-entropy of p. A negative has that of the
shifted probability p_m = max(p − margin, 0), so the loss ignores a negative of probability at most
the margin.
"""

import jax.numpy as jnp
from jax import Array

from jaxent.core.bernoulli import information, probabilities
from jaxent.core.focal import focal
from jaxent.core.mesh import select
from jaxent.core.xlogy import log_of_sum, weigh


def asymmetric(
    z: Array, y: Array, gamma_pos: Array | None, gamma_neg: Array | None, margin: Array | None
) -> Array:
    """y q^γ₊ (−log p) + (1 − y) p_m^γ₋ (−log(1 − p_m)), with 0 · log 0 = 0."""
    (p, q), (nlp, nlq) = probabilities(z), information(z)
    if margin is not None:
        p, nlq = _shifted(p, q, nlq, margin)
    return weigh(y, focal(nlp, q, gamma_pos)) + weigh(1 - y, focal(nlq, p, gamma_neg))


def _shifted(p: Array, q: Array, nlq: Array, margin: Array) -> tuple[Array, Array]:
    """p_m and −log(1 − p_m), where 1 − p_m = q + margin."""
    above = p > margin
    shifted = select(above, p - margin, 0)
    # 1 − p_m keeps the digits of a small p_m, and q + margin those of a small 1 − p_m.
    near = shifted < 0.5
    rest = select(near, 1 - shifted, q + margin)
    by_sum = -log_of_sum(select(rest > 0, rest, 1), -shifted, near)
    # Where q has lost its digits, so has the sum, but for a margin beside it.
    lost = (margin == 0) & (q < jnp.finfo(q.dtype).tiny)
    return shifted, select(above, select(lost, nlq, by_sum), 0)
