r"""Statistics of rows whose label is a class index y, and their derivatives.

With e_j = exp(z_j − m), s = Σ e_j, p_j = e_j / s and W = Σ w_j, the statistics and their
derivatives by the logit z_j, for a constant m, are

    rest     =  s − 1                        e_j
    nll      =  (m − z_y) + log s            p_j, and −miss for j = y
    miss     =  1 − p_y                      p_y · ∂nll/∂z_j
    sum_nll  =  Σ w_j (m − z_j) + W log s    W p_j − w_j
    entropy  =  ḡ + log s                    p_j ((m − z_j) − ḡ),  ḡ = Σ p_j (m − z_j)

On the label p_y − 1 would cancel, so the rule uses −miss there. The derivative along a tangent ż
then needs three sums and the tangent of the label's logit. A and M leave the label out:

    A = Σ_{j≠y} e_j ż_j        M = Σ_{j≠y} e_j (m − z_j) ż_j        B = Σ w_j ż_j        C = ż_y

    rest'     =  A + e_y C
    nll'      =  A/s − miss · C
    miss'     =  p_y · nll'
    sum_nll'  =  (W/s) rest' − B
    entropy'  =  (M + e_y (m − z_y) C − ḡ · rest') / s

Everything else is arithmetic on numbers per row. Smoothing needs B, and the entropy needs M. The
other options change only the factors of these sums. So the gradient, the transpose of A, M, B and
C, is one elementwise pass. Its coefficients are their cotangents Ā, M̄, B̄ and C̄:

    z̄_j  =  Ā e_j + M̄ e_j (m − z_j) + B̄ w_j    for j ≠ y
    z̄_y  =  C̄ + B̄ w_y

The derivative of sum_nll by w_j is −log p_j. The rule uses the statistics themselves, to which it
applies again, and exponentials, which have a rule of their own. So every order of derivative
exists. With an inverse temperature β, e_j is exp(β(z_j − m)), and ż_j is the tangent of β(z_j − m).
The maximum is constant there, since `lse` adds the tangent of β m.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core import lower
from jaxent.core.exponentials import scaled
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import RowStats, finalize, kept_for_backward, kept_rows, merge_over
from jaxent.core.tangents import added, moves
from jaxent.core.xlogy import weigh


def integer_stats(
    rows: Rows, y: Array, w: Array | None = None, *, entropy: bool = False
) -> RowStats:
    """The statistics of rows (..., V) with a class index y, of shape (...), in [0, V).

    `sum_nll` is computed if w is given. These weights of classes broadcast against the logits. The
    statistics of a dropped row are 0, except for `max`, which is arbitrary.
    """
    return _integer_stats(entropy, False, rows, w, y)


# `reused` tells the lowering that a derivative follows. It changes only what a program stores.
@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _integer_stats(entropy: bool, reused: bool, rows: Rows, w: Array | None, y: Array) -> RowStats:
    sums = lower.label_sums(rows, rows.own(y), w, moment=entropy, reused=reused)
    return kept_rows(rows, finalize(merge_over(rows.axis_name, sums)))


def _integer_stats_jvp(entropy, reused, primals, tangents):
    del reused
    rows, w, y = primals
    rows_dot, w_dot, _ = tangents
    stats = kept_for_backward(_integer_stats(entropy, True, rows, w, y))
    terms = []
    if rows_dot.move():
        terms.append(_along_logits(rows_dot, rows, w, y, stats))
    if moves(w_dot):
        terms.append(along_class_weights(w_dot, rows, stats))
    return stats, added(terms)


_integer_stats.defjvp(_integer_stats_jvp, symbolic_zeros=True)


def _along_logits(
    rows_dot: Rows, rows: Rows, w: Array | None, y: Array, stats: RowStats
) -> RowStats:
    # A program that shared the masked logits with the statistics would store them. So the rule
    # reads the logits again.
    rows = lower.reread_rows(rows)
    y, z_dot = rows.own(y), rows.tangent(rows_dot, stats.max)
    s, p_y = 1 + stats.rest, jnp.exp(-stats.nll)
    e_y = p_y * s
    others = lower.other_exps(rows, y, stats.max)
    A = rows.summed(others * z_dot)
    C = rows.of_sums(lower.label_only(z_dot, y))  # ż_y, from the device that has the class
    rest_dot = A + e_y * C
    nll_dot = A / s - stats.miss * C
    sum_nll_dot = entropy_dot = None
    if w is not None:
        B = rows.summed(w * z_dot)
        sum_nll_dot = (stats.class_mass / s) * rest_dot - B
    if stats.entropy is not None:
        log_s = jnp.log1p(stats.rest)
        z_gaps, _ = rows.gaps_and_exps(stats.max)
        M = rows.summed(weigh(others, z_gaps) * z_dot)
        of_label = weigh(e_y, stats.nll - log_s) * C
        entropy_dot = (M + of_label - (stats.entropy - log_s) * rest_dot) / s
    zeros = jax.tree.map(jnp.zeros_like, stats)
    return zeros._replace(
        rest=rest_dot, nll=nll_dot, miss=p_y * nll_dot, sum_nll=sum_nll_dot, entropy=entropy_dot
    )


def along_class_weights(w_dot: Array, rows: Rows, stats: RowStats) -> RowStats:
    """The derivative of `sum_nll` along a tangent of the class weights."""
    z_gaps = scaled(rows.gaps(stats.max), rows.inverse_temperature)
    # A class of probability 0 has the term w_j · inf. Its derivative by w_j counts as 0.
    nlp = select(jnp.isinf(z_gaps), 0, z_gaps + jnp.log1p(stats.rest)[..., None])
    zeros = jax.tree.map(jnp.zeros_like, stats)
    return zeros._replace(
        sum_nll=rows.summed(nlp * w_dot),
        class_mass=rows.summed(jnp.broadcast_to(w_dot, nlp.shape)),
    )
