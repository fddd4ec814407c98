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
functions whose derivatives are these lines again, and all orders follow. The tangent is linear and
sits under `jax.checkpoint`, closing over nothing but the inputs and a few floats a row: what
reverse mode keeps is the logits as they came, and the exponentials are made again.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import DTypeLike

from jaxent.core.dtypes import compute_dtype
from jaxent.core.stats import SoftmaxStats, SoftmaxSums, finalize
from jaxent.core.xlogy import weigh


class Rows(NamedTuple):
    """Rows of logits (..., V), the weights of `sum_nll`, and which rows are kept.

    `weights` broadcasts against the logits and is 0 for classes left out. A row that is not kept
    has the statistics of a row of zeros and no derivative, whatever it holds; None keeps all.
    """

    logits: Array
    weights: Array
    kept: Array | None

    def masked(self, x: Array, dtype: DTypeLike) -> Array:
        """x in the dtype of computation, 0 in the rows not kept."""
        x = x.astype(dtype)
        return x if self.kept is None else jnp.where(self.kept[..., None], x, 0)


def all_rows(logits: Array) -> Rows:
    return Rows(logits, jnp.ones((1,) * (logits.ndim - 1) + logits.shape[-1:]), None)


def unlabelled_stats(logits: Array) -> SoftmaxStats:
    """The statistics of rows (..., V) that do not depend on a label."""
    return integer_stats(all_rows(logits), jnp.zeros(logits.shape[:-1], jnp.int32))


@jax.custom_jvp
def integer_stats(rows: Rows, labels: Array) -> SoftmaxStats:
    """The statistics of rows whose label is a class number in [0, V), of shape (...)."""
    z = rows.masked(rows.logits, compute_dtype(rows.logits))
    m = jnp.max(z, axis=-1)
    label = jnp.take_along_axis(z, labels[..., None], axis=-1, mode="clip")
    gap, e_label = (jnp.squeeze(x, -1) for x in _gaps_and_exps(label, m))
    return _statistics(rows, z, m, mass=jnp.ones_like(m), gap=gap, slack=1 - e_label)


def _integer_stats_jvp(primals, tangents):
    stats = integer_stats(*primals)
    rows_dot, _ = tangents

    @jax.checkpoint
    def by_logits(logits_dot, rows, labels, stats):
        gaps, exps, p = recompute(rows, stats)
        classes = jax.lax.broadcasted_iota(labels.dtype, p.shape, p.ndim - 1)
        nll = jnp.where(classes == labels[..., None], -stats.miss[..., None], p)
        miss = jnp.exp(-stats.nll)[..., None] * nll
        return _along(logits_dot, rows, gaps, exps, p, stats, nll=nll, miss=miss)

    return stats, _total(
        _applied(by_logits, rows_dot.logits, *primals, stats),
        _applied(_by_weights, rows_dot.weights, primals[0], stats),
    )


integer_stats.defjvp(_integer_stats_jvp, symbolic_zeros=True)


@jax.custom_jvp
def target_stats(rows: Rows, targets: Array) -> SoftmaxStats:
    """The statistics of rows whose label is a distribution over classes, (..., V), of any mass."""
    dtype = compute_dtype(rows.logits, targets)
    z, t = rows.masked(rows.logits, dtype), rows.masked(targets, dtype)
    m = jnp.max(z, axis=-1)
    gaps, exps = _gaps_and_exps(z, m)
    mass = jnp.sum(t, axis=-1)
    gap = jnp.sum(weigh(t, gaps), axis=-1)
    slack = jnp.sum(t * (1 - exps), axis=-1)
    return _statistics(rows, z, m, mass=mass, gap=gap, slack=slack)


def _target_stats_jvp(primals, tangents):
    stats = target_stats(*primals)
    rows_dot, targets_dot = tangents

    @jax.checkpoint
    def by_logits(logits_dot, rows, targets, stats):
        gaps, exps, p = recompute(rows, stats)
        t = rows.masked(targets, p.dtype)
        mass = jnp.sum(t, axis=-1, keepdims=True)
        above_half = (mass - t) - mass * _missed(exps, stats)
        nll = jnp.where(p > 0.5, above_half, mass * p - t)
        miss = p * ((mass - t) - stats.miss[..., None])
        return _along(logits_dot, rows, gaps, exps, p, stats, nll=nll, miss=miss)

    @jax.checkpoint
    def by_targets(targets_dot, rows, targets, stats):
        gaps, exps, p = recompute(rows, stats)
        # A class of probability 0 without label mass is a term 0 · log 0.
        absent = (targets == 0) & jnp.isinf(gaps)
        nlp = jnp.where(absent, 0, gaps + jnp.log1p(stats.rest)[..., None])
        t_dot = rows.masked(targets_dot, p.dtype)
        return _only(
            stats,
            nll=jnp.sum(nlp * t_dot, axis=-1),
            miss=jnp.sum(_missed(exps, stats) * t_dot, axis=-1),
        )

    return stats, _total(
        _applied(by_logits, rows_dot.logits, *primals, stats),
        _applied(by_targets, targets_dot, *primals, stats),
        _applied(_by_weights, rows_dot.weights, primals[0], stats),
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
    rows: Rows, z: Array, m: Array, *, mass: Array, gap: Array, slack: Array
) -> SoftmaxStats:
    """The statistics of rows z of maximum m, with the sums over their labels given."""
    gaps, exps = _gaps_and_exps(z, m)
    at_max = gaps == 0
    ties = jnp.sum(at_max, axis=-1, dtype=jnp.int32) - 1
    w = rows.weights.astype(z.dtype)
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


def recompute(rows: Rows, stats: SoftmaxStats) -> tuple[Array, Array, Array]:
    """Gaps, exponentials and probabilities from the logits and their statistics."""
    gaps, exps = _gaps_and_exps(rows.masked(rows.logits, stats.max.dtype), stats.max)
    return gaps, exps, exps / (1 + stats.rest)[..., None]


def _missed(exps: Array, stats: SoftmaxStats) -> Array:
    """1 − p_j, exact also where p_j is close to 1."""
    rest = stats.rest[..., None]
    return ((1 - exps) + rest) / (1 + rest)


def _along(logits_dot, rows, gaps, exps, p, stats: SoftmaxStats, *, nll, miss) -> SoftmaxStats:
    """The derivatives of the statistics along logits_dot, given the slopes of `nll` and `miss`."""
    z_dot, w = rows.masked(logits_dot, p.dtype), rows.weights.astype(p.dtype)
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


@jax.checkpoint
def _by_weights(weights_dot: Array, rows: Rows, stats: SoftmaxStats) -> SoftmaxStats:
    gaps, _, _ = recompute(rows, stats)
    # Where p_j is 0 the term is either absent or infinite, and moves with no weight.
    nlp = jnp.where(jnp.isinf(gaps), 0, gaps + jnp.log1p(stats.rest)[..., None])
    return _only(stats, sum_nll=jnp.sum(nlp * weights_dot.astype(nlp.dtype), axis=-1))


def _only(stats: SoftmaxStats, **tangents: Array) -> SoftmaxStats:
    """Tangents of the named statistics, zero for the others."""
    return jax.tree.map(jnp.zeros_like, stats)._replace(**tangents)


def _applied(linear, tangent, *args) -> SoftmaxStats | None:
    return None if isinstance(tangent, SymbolicZero) else linear(tangent, *args)


def _total(*terms: SoftmaxStats | None) -> SoftmaxStats:
    present = [term for term in terms if term is not None]
    return jax.tree.map(lambda *x: sum(x[1:], start=x[0]), *present)
