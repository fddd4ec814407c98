r"""Statistics of rows whose label is a distribution t, or that have none, and their derivatives.

With m, e_j and s of `core.stats`, p_j = e_j / s, T = Σ t_j and W = Σ w_j, the derivatives by the
logit z_j, for a constant m, are

    rest       e_j
    nll        T·p_j − t_j
    miss       p_j (T − t_j − miss)
    sum_nll    W·p_j − w_j
    entropy    p_j ((m − z_j) − ḡ),  ḡ = Σ p_j (m − z_j) = entropy − log s

The derivatives by t_j are −log p_j of nll and 1 − p_j of miss.

Where p_j is near 1 and has label mass, T·p_j − t_j cancels. In float32 p_j rounds to 1, and a slope
of −4e-9 would be 0. Above p_j = 1/2 the rule computes (T − t_j) − T (1 − p_j), with 1 − p_j from
`rest`. On the label of a one-hot t this is exactly −rest/s.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core import lower
from jaxent.core.integer import along_class_weights
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import RowStats, finalize, kept_for_backward, kept_rows, merge_over
from jaxent.core.tangents import added, moves
from jaxent.core.xlogy import weigh


def unlabelled_stats(rows: Rows, w: Array | None = None, *, entropy: bool = False) -> RowStats:
    """The statistics of rows without a label."""
    return _target_stats(False, entropy, rows, None, w)


def target_stats(
    rows: Rows, t: Array, w: Array | None = None, *, miss: bool = False, entropy: bool = False
) -> RowStats:
    """The statistics of rows with label weights t (..., V), which need not sum to 1."""
    return _target_stats(miss, entropy, rows, t, w)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _target_stats(
    miss: bool, entropy: bool, rows: Rows, t: Array | None, w: Array | None
) -> RowStats:
    sums = lower.target_sums(rows, t, w, slack=miss, moment=entropy)
    return kept_rows(rows, finalize(merge_over(rows.axis_name, sums)))


def _target_stats_jvp(miss, entropy, primals, tangents):
    rows_dot, t_dot, w_dot = tangents
    stats = kept_for_backward(_target_stats(miss, entropy, *primals))
    rows, t, w = primals
    terms = []
    if rows_dot.move():
        terms.append(_along_logits(rows_dot, rows, t, w, stats))
    if moves(t_dot):
        terms.append(_along_target(t_dot, rows, t, stats))
    if moves(w_dot):
        terms.append(along_class_weights(w_dot, rows, stats))
    return stats, added(terms)


_target_stats.defjvp(_target_stats_jvp, symbolic_zeros=True)


def _along_logits(
    rows_dot: Rows, rows: Rows, t: Array | None, w: Array | None, stats: RowStats
) -> RowStats:
    gaps, e, p = recompute(rows, stats)
    z_dot = rows.tangent(rows_dot, stats.max)

    def along(slopes):
        return rows.summed(slopes * z_dot)

    nll = miss = sum_nll = entropy = None
    if t is not None:
        t, T = rows.zeroed(t.astype(p.dtype)), stats.label_mass[..., None]
        nll = along(select(p > 0.5, (T - t) - T * _missed(e, stats), T * p - t))
        if stats.miss is not None:
            miss = along(p * ((T - t) - stats.miss[..., None]))
    if w is not None:
        sum_nll = along(stats.class_mass[..., None] * p - w)
    if stats.entropy is not None:
        mean_gap = (stats.entropy - jnp.log1p(stats.rest))[..., None]
        entropy = along(weigh(p, gaps - mean_gap))
    zeros = jax.tree.map(jnp.zeros_like, stats)
    return zeros._replace(rest=along(e), nll=nll, miss=miss, sum_nll=sum_nll, entropy=entropy)


def _along_target(t_dot: Array, rows: Rows, t: Array, stats: RowStats) -> RowStats:
    gaps, e, _ = recompute(rows, stats)
    # The term of a class of probability 0 without label mass is 0 · log 0.
    absent = (t == 0) & jnp.isinf(gaps)
    nlp = select(absent, 0, gaps + jnp.log1p(stats.rest)[..., None])
    t_dot = rows.zeroed(t_dot.astype(e.dtype))
    zeros = jax.tree.map(jnp.zeros_like, stats)
    return zeros._replace(
        nll=rows.summed(nlp * t_dot),
        miss=None if stats.miss is None else rows.summed(_missed(e, stats) * t_dot),
        label_mass=rows.summed(t_dot),
    )


def recompute(rows: Rows, stats: RowStats) -> tuple[Array, Array, Array]:
    """β(m − z_j), e_j and p_j from the logits and their statistics."""
    gaps, e = rows.gaps_and_exps(stats.max)
    return gaps, e, e / (1 + stats.rest)[..., None]


def _missed(e: Array, stats: RowStats) -> Array:
    """1 − p_j, accurate also where p_j is close to 1."""
    rest = stats.rest[..., None]
    return ((1 - e) + rest) / (1 + rest)
