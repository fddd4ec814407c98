r"""Softmax statistics of logits held in memory, and their derivative rule.

The derivatives, with p_j = e_j / s, T = Σ t_j and W = Σ w_j, by the logit z_j:

    rest       e_j
    nll        T·p_j − t_j
    miss       p_j (T − t_j − miss)
    sum_nll    W·p_j − w_j
    entropy    p_j ((m − z_j) − (entropy − log s))

and by the weight t_j: nll has −log p_j, miss has 1 − p_j.

Where a label sits on a confident class, T·p_j − t_j cancels: p_j is 1 to the last bit and the
gradient would be 0 for −4e-9. Above p_j = 1/2 it is (T − t_j) − T (1 − p_j), with 1 − p_j from
`rest`, of which a one-hot label leaves −rest/s exactly.

A rule returns the statistics by calling their own function, so every coefficient is made of
functions whose derivatives are these lines again, and all orders follow. The coefficients are made
again from the logits and the statistics, which `kept_for_backward` marks as what to keep.
"""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from jaxent.core.dtypes import compute_dtype
from jaxent.core.exponentials import gaps_and_exps, maxima, rest
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxStats, SoftmaxSums, finalize, kept_for_backward
from jaxent.core.tangents import added, apart
from jaxent.core.xlogy import weigh, weigh_as_summed


@jax.custom_jvp
def unlabelled_stats(rows: Rows) -> SoftmaxStats:
    """The statistics of rows without a label, of which `nll` and `miss` are 0."""
    m = maxima(rows)
    none = jnp.zeros_like(m)
    return _statistics(rows, m, mass=none, gap=none, slack=none)


def _unlabelled_stats_jvp(primals, tangents):
    (rows,), (rows_dot,) = primals, tangents
    stats = kept_for_backward(unlabelled_stats(rows))
    none = jnp.zeros_like(rows.values, stats.max.dtype)
    return stats, _by_logits(rows_dot.values, rows, stats, lambda *_: (none, none))


unlabelled_stats.defjvp(_unlabelled_stats_jvp)


@jax.custom_jvp
def target_stats(rows: Rows, targets: Array) -> SoftmaxStats:
    """The statistics of rows whose label is a distribution over classes, (..., V), of any mass."""
    m = maxima(rows).astype(compute_dtype(rows.values, targets))
    _, exps = gaps_and_exps(rows.logits(m.dtype), m)
    gap, slack = _label_sums(*apart((rows, targets, m), "cpu"), exps)
    return _statistics(rows, m, mass=_mass(rows, targets), gap=gap, slack=slack)


def _mass(rows: Rows, targets: Array) -> Array:
    return rows.total(rows.zeroed(targets.astype(compute_dtype(rows.values, targets))))


def _label_sums(rows: Rows, targets: Array, m: Array, exps: Array) -> tuple[Array, Array]:
    """Σ t_j (m − z_j) and Σ t_j (1 − e_j).

    The gaps are those that the exponentials are made of, and made again: shared with another sum,
    the CPU would store them. The exponentials it stores anyway, in the gradient's own memory.
    """
    t = rows.zeroed(targets.astype(m.dtype))
    gaps, _ = gaps_and_exps(rows.logits(m.dtype), m)
    # e + −1: the gradient has 1 − e, and XLA would store the constant that the two share.
    return rows.total(weigh_as_summed(t, gaps)), -rows.total(t * (exps + -1))


def _target_stats_jvp(primals, tangents):
    rows_dot, targets_dot = tangents
    stats, mass = kept_for_backward((target_stats(*primals), _mass(*primals)))
    # A GPU makes the exponentials again; the CPU has them in the gradient's own memory.
    rows, targets = apart(primals, "cuda")

    def slopes(exps, p):
        t, whole = rows.zeroed(targets.astype(p.dtype)), mass[..., None]
        above_half = (whole - t) - whole * _missed(exps, stats)
        nll = select(p > 0.5, above_half, whole * p - t)
        return nll, p * ((whole - t) - stats.miss[..., None])

    terms = []
    if not isinstance(rows_dot.values, SymbolicZero):
        terms.append(_by_logits(rows_dot.values, rows, stats, slopes))
    if not isinstance(targets_dot, SymbolicZero):
        terms.append(_by_targets(targets_dot, rows, targets, stats))
    return stats, added(terms)


target_stats.defjvp(_target_stats_jvp, symbolic_zeros=True)


def _statistics(rows: Rows, m: Array, *, mass: Array, gap: Array, slack: Array) -> SoftmaxStats:
    """The statistics of rows of maximum m, with the sums over their labels given."""
    gaps, exps = gaps_and_exps(rows.logits(m.dtype), m)
    w = None if rows.classes is None else rows.classes.astype(m.dtype)
    sums = SoftmaxSums(
        max=m,
        rest=rest(rows, gaps, exps),
        moment=rows.total(weigh_as_summed(exps, gaps)),
        mass=mass,
        gap=gap,
        slack=slack,
        size=rows.kept_count(m.dtype),
        spread=rows.total(gaps if w is None else weigh_as_summed(w, gaps)),
    )
    return _of_kept(rows, finalize(sums))


def _of_kept(rows: Rows, stats: SoftmaxStats) -> SoftmaxStats:
    """The statistics, 0 in the rows dropped: sums of losses over rows are then right."""
    kept = rows.kept
    return stats if kept is None else jax.tree.map(lambda x: select(kept, x, 0), stats)


def recompute(rows: Rows, stats: SoftmaxStats) -> tuple[Array, Array, Array]:
    """Gaps, exponentials and probabilities from the logits and their statistics."""
    gaps, exps = gaps_and_exps(rows.logits(stats.max.dtype), stats.max)
    return gaps, exps, exps / (1 + stats.rest)[..., None]


def _missed(exps: Array, stats: SoftmaxStats) -> Array:
    """1 − p_j, exact also where p_j is close to 1."""
    rest = stats.rest[..., None]
    return ((1 - exps) + rest) / (1 + rest)


def _by_logits(
    logits_dot: Array,
    rows: Rows,
    stats: SoftmaxStats,
    label_slopes: Callable[[Array, Array], tuple[Array, Array]],
) -> SoftmaxStats:
    """`label_slopes` of (exponentials, probabilities) are those of `nll` and `miss`."""
    gaps, exps, p = recompute(rows, stats)
    z_dot, w = rows.moving(logits_dot, p.dtype), rows.class_weights(None, p.dtype)
    nll, miss = label_slopes(exps, p)
    mean_gap = (stats.entropy - jnp.log1p(stats.rest))[..., None]

    def along(slopes):
        return rows.summed(slopes * z_dot)

    return SoftmaxStats(
        max=jnp.zeros_like(stats.max),
        rest=along(exps),
        nll=along(nll),
        miss=along(miss),
        sum_nll=along(rows.kept_count(p.dtype)[..., None] * p - w),
        entropy=along(weigh(p, gaps - mean_gap)),
    )


def _by_targets(
    targets_dot: Array, rows: Rows, targets: Array, stats: SoftmaxStats
) -> SoftmaxStats:
    gaps, exps, p = recompute(rows, stats)
    # A class of probability 0 without label mass is a term 0 · log 0.
    absent = (targets == 0) & jnp.isinf(gaps)
    nlp = select(absent, 0, gaps + jnp.log1p(stats.rest)[..., None])
    t_dot = rows.zeroed(targets_dot.astype(p.dtype))
    return replace(
        jax.tree.map(jnp.zeros_like, stats),
        nll=rows.summed(nlp * t_dot),
        miss=rows.summed(_missed(exps, stats) * t_dot),
    )
