r"""Softmax statistics of logits held in memory, and their derivative rule.

The derivatives, with p_j = e_j / s, T = Σ t_j and W = Σ w_j, by the logit z_j:

    rest       e_j
    nll        T·p_j − t_j
    miss       p_j (T − t_j − miss)
    sum_nll    W·p_j − w_j
    entropy    p_j ((m − z_j) − (entropy − log s))

and by the weights t_j and w_j: nll and sum_nll have −log p_j, miss has 1 − p_j.

Where a label sits on a confident class, T·p_j − t_j cancels: p_j is 1 to the last bit and the
gradient would be 0 for −4e-9. Above p_j = 1/2 it is (T − t_j) − T (1 − p_j), with 1 − p_j from
`rest`, of which a one-hot label leaves −rest/s exactly; for a class number it is −miss.

A rule returns the statistics by calling their own function, so every coefficient is made of
functions whose derivatives are these lines again, and all orders follow. The coefficients are made
again from the logits and the statistics, which `kept_for_backward` marks as what to keep.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from jaxent.core.dtypes import compute_dtype
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxStats, SoftmaxSums, finalize, kept_for_backward
from jaxent.core.xlogy import weigh


@jax.custom_jvp
def unlabelled_stats(rows: Rows) -> SoftmaxStats:
    """The statistics of rows without a label, of which `nll` and `miss` are 0."""
    z = rows.filled(compute_dtype(rows.values), -jnp.inf)
    m = jnp.max(z, axis=-1)
    none = jnp.zeros_like(m)
    return _statistics(rows, None, z, m, mass=none, gap=none, slack=none)


def _unlabelled_stats_jvp(primals, tangents):
    (rows,), (rows_dot,) = primals, tangents
    stats = kept_for_backward(unlabelled_stats(rows))
    none = jnp.zeros_like(rows.values, stats.max.dtype)
    return stats, _total(_by_logits(rows_dot.values, rows, None, stats, lambda *_: (none, none)))


unlabelled_stats.defjvp(_unlabelled_stats_jvp, symbolic_zeros=True)


@jax.custom_jvp
def integer_stats(rows: Rows, class_weights: Array | None, labels: Array) -> SoftmaxStats:
    """The statistics of rows whose label is a class number in [0, V), of shape (...).

    `class_weights` (V,) weigh the classes in `sum_nll`.
    """
    z = rows.filled(compute_dtype(rows.values), -jnp.inf)
    m = jnp.max(z, axis=-1)
    label = jnp.take_along_axis(z, labels[..., None], axis=-1, mode="clip")
    gap, e_label = (jnp.squeeze(x, -1) for x in _gaps_and_exps(label, m))
    one = jnp.ones_like(m)
    return _statistics(rows, class_weights, z, m, mass=one, gap=gap, slack=1 - e_label)


def _integer_stats_jvp(primals, tangents):
    rows, class_weights, labels = primals
    rows_dot, weights_dot, _ = tangents
    stats = kept_for_backward(integer_stats(*primals))

    def slopes(exps, p):
        classes = jax.lax.broadcasted_iota(labels.dtype, p.shape, p.ndim - 1)
        nll = jnp.where(classes == labels[..., None], -stats.miss[..., None], p)
        return nll, jnp.exp(-stats.nll)[..., None] * nll

    return stats, _total(
        _by_logits(rows_dot.values, rows, class_weights, stats, slopes),
        _by_class_weights(weights_dot, rows, stats),
    )


integer_stats.defjvp(_integer_stats_jvp, symbolic_zeros=True)


@jax.custom_jvp
def target_stats(rows: Rows, targets: Array) -> SoftmaxStats:
    """The statistics of rows whose label is a distribution over classes, (..., V), of any mass."""
    dtype = compute_dtype(rows.values, targets)
    z, t = rows.filled(dtype, -jnp.inf), rows.zeroed(targets.astype(dtype))
    m = jnp.max(z, axis=-1)
    gaps, exps = _gaps_and_exps(z, m)
    mass = jnp.sum(t, axis=-1)
    gap = jnp.sum(weigh(t, gaps), axis=-1)
    slack = jnp.sum(t * (1 - exps), axis=-1)
    return _statistics(rows, None, z, m, mass=mass, gap=gap, slack=slack)


def _target_stats_jvp(primals, tangents):
    rows, targets = primals
    rows_dot, targets_dot = tangents
    stats = kept_for_backward(target_stats(*primals))

    def slopes(exps, p):
        t = rows.zeroed(targets.astype(p.dtype))
        mass = jnp.sum(t, axis=-1, keepdims=True)
        above_half = (mass - t) - mass * _missed(exps, stats)
        nll = jnp.where(p > 0.5, above_half, mass * p - t)
        return nll, p * ((mass - t) - stats.miss[..., None])

    return stats, _total(
        _by_logits(rows_dot.values, rows, None, stats, slopes),
        _by_targets(targets_dot, rows, targets, stats),
    )


target_stats.defjvp(_target_stats_jvp, symbolic_zeros=True)


def _gaps_and_exps(z: Array, m: Array) -> tuple[Array, Array]:
    """The gaps m − z_j ≥ 0 and the exponentials exp(z_j − m), for rows z of maximum m."""
    # A row all at −inf has no maximum to subtract: its exponentials are all 0.
    reference = jnp.where(m == -jnp.inf, 0, m)[..., None]
    z = _capped(z, reference)
    gaps = reference - z
    exps = jnp.exp(-gaps)
    if exps.dtype == jnp.float64:
        # Who asks for float64 asks for digits: the rounding of m − z_j, which exp multiplies by
        # up to gap/2, is put back. In float32 that would double the time of a loss.
        exps = exps - exps * jax.lax.stop_gradient(_rounding(reference, z, gaps))
    return gaps, exps


@jax.custom_jvp
def _capped(z: Array, m: Array) -> Array:
    """z, which is nowhere above m, so that its derivative is that of z.

    Saying so keeps the compiler from contracting `x * c - m` into a fused multiply-add, which
    would leave the rounding residue of x * c at the maximum instead of 0.
    """
    return jnp.minimum(z, m)


@_capped.defjvp
def _capped_jvp(primals, tangents):
    return _capped(*primals), tangents[0]


def _rounding(m: Array, z: Array, gaps: Array) -> Array:
    """What m − z lost when it was rounded to `gaps` (Knuth's TwoSum)."""
    # Past a gap of 1000 the exponential is 0; stopping there keeps infinities out.
    gaps = jnp.minimum(gaps, 1000)
    z = jnp.maximum(z, (m - gaps) - 1)
    rounded = gaps - m
    return (m - (gaps - rounded)) - (z + rounded)


def _statistics(
    rows: Rows,
    class_weights: Array | None,
    z: Array,
    m: Array,
    *,
    mass: Array,
    gap: Array,
    slack: Array,
) -> SoftmaxStats:
    """The statistics of rows z of maximum m, with the sums over their labels given."""
    gaps, exps = _gaps_and_exps(z, m)
    at_max = gaps == 0
    ties = jnp.sum(at_max, axis=-1, dtype=jnp.int32) - 1
    w = _weights(rows, class_weights, z)
    sums = SoftmaxSums(
        max=m,
        rest=jnp.sum(jnp.where(at_max, 0, exps), axis=-1) + ties.astype(z.dtype),
        moment=jnp.sum(weigh(exps, gaps), axis=-1),
        mass=mass,
        gap=gap,
        slack=slack,
        size=jnp.sum(w, axis=-1),
        spread=jnp.sum(weigh(w, gaps), axis=-1),
    )
    return finalize(sums)


def _weights(rows: Rows, class_weights: Array | None, like: Array) -> Array:
    """The weights of `sum_nll`, which broadcast against the logits: 0 for classes dropped."""
    one_row = (1,) * (like.ndim - 1) + like.shape[-1:]
    if class_weights is None:
        weights = jnp.ones(one_row, like.dtype)
    else:
        weights = class_weights.astype(like.dtype).reshape(one_row)
    return weights if rows.classes is None else jnp.where(rows.classes, weights, 0)


def recompute(rows: Rows, stats: SoftmaxStats) -> tuple[Array, Array, Array]:
    """Gaps, exponentials and probabilities from the logits and their statistics."""
    gaps, exps = _gaps_and_exps(rows.filled(stats.max.dtype, -jnp.inf), stats.max)
    return gaps, exps, exps / (1 + stats.rest)[..., None]


def _missed(exps: Array, stats: SoftmaxStats) -> Array:
    """1 − p_j, exact also where p_j is close to 1."""
    rest = stats.rest[..., None]
    return ((1 - exps) + rest) / (1 + rest)


# The derivatives of the statistics along one argument each; None where it does not move.


def _by_logits(
    logits_dot: Array | SymbolicZero,
    rows: Rows,
    class_weights: Array | None,
    stats: SoftmaxStats,
    label_slopes: Callable[[Array, Array], tuple[Array, Array]],
) -> SoftmaxStats | None:
    """`label_slopes` of (exponentials, probabilities) are those of `nll` and `miss`."""
    if isinstance(logits_dot, SymbolicZero):
        return None
    gaps, exps, p = recompute(rows, stats)
    z_dot, w = rows.zeroed(logits_dot.astype(p.dtype)), _weights(rows, class_weights, p)
    nll, miss = label_slopes(exps, p)
    mean_gap = (stats.entropy - jnp.log1p(stats.rest))[..., None]

    def along(slopes):
        return jnp.sum(slopes * z_dot, axis=-1)

    return SoftmaxStats(
        max=jnp.zeros_like(stats.max),
        rest=along(exps),
        nll=along(nll),
        miss=along(miss),
        sum_nll=along(jnp.sum(w, axis=-1, keepdims=True) * p - w),
        entropy=along(weigh(p, gaps - mean_gap)),
    )


def _by_targets(
    targets_dot: Array | SymbolicZero, rows: Rows, targets: Array, stats: SoftmaxStats
) -> SoftmaxStats | None:
    if isinstance(targets_dot, SymbolicZero):
        return None
    gaps, exps, p = recompute(rows, stats)
    # A class of probability 0 without label mass is a term 0 · log 0.
    absent = (targets == 0) & jnp.isinf(gaps)
    nlp = jnp.where(absent, 0, gaps + jnp.log1p(stats.rest)[..., None])
    t_dot = rows.zeroed(targets_dot.astype(p.dtype))
    return _only(
        stats,
        nll=jnp.sum(nlp * t_dot, axis=-1),
        miss=jnp.sum(_missed(exps, stats) * t_dot, axis=-1),
    )


def _by_class_weights(
    weights_dot: Array | SymbolicZero | None, rows: Rows, stats: SoftmaxStats
) -> SoftmaxStats | None:
    if weights_dot is None or isinstance(weights_dot, SymbolicZero):
        return None
    gaps, _, p = recompute(rows, stats)
    # Where p_j is 0 the term is either absent or infinite, and moves with no weight.
    nlp = jnp.where(jnp.isinf(gaps), 0, gaps + jnp.log1p(stats.rest)[..., None])
    w_dot = _weights(rows, weights_dot, p)
    return _only(stats, sum_nll=jnp.sum(nlp * w_dot, axis=-1))


def _only(stats: SoftmaxStats, **tangents: Array) -> SoftmaxStats:
    """Tangents of the named statistics, zero for the others."""
    return jax.tree.map(jnp.zeros_like, stats)._replace(**tangents)


def _total(*terms: SoftmaxStats | None) -> SoftmaxStats:
    present = [term for term in terms if term is not None]
    return jax.tree.map(lambda *x: sum(x[1:], start=x[0]), *present)
