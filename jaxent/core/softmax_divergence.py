r"""Divergences of two rows of logits, z of the prediction and y of the target.

With p = softmax(z), t = softmax(y) and x_j = log t_j − log p_j, `core.divergence` writes each as a
sum of Bregman terms, which are all ≥ 0:

    KL(t ‖ p)     ∂/∂z_j = p_j − t_j                     ∂/∂y_j = t_j (x_j − KL)
    JSD_β         ∂/∂z_j = (1 − β) p_j (a_j − Σ p a)     ∂/∂y_j = β t_j (b_j − Σ t b)

where JSD_β = β KL(t ‖ m) + (1 − β) KL(p ‖ m) for the mixture m = β t + (1 − β) p, and

    a_j = log(p_j/m_j) = −log(1 + β (e^{x_j} − 1))
    b_j = log(t_j/m_j) = −log(1 + (1 − β) (e^{−x_j} − 1))

The derivative of JSD_β by β is KL(t ‖ m) − KL(p ‖ m). The derivative of the mixture adds nothing,
since Σ (t_j − p_j) = 0.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core import lower
from jaxent.core.dense import recompute, unlabelled_stats
from jaxent.core.divergence import bregman, excess
from jaxent.core.exponentials import scaled
from jaxent.core.mesh import select, sum_over
from jaxent.core.rows import Rows
from jaxent.core.stats import RowStats, kept_for_backward
from jaxent.core.tangents import added, moves
from jaxent.core.xlogy import log_of_sum, weigh


@jax.custom_jvp
def softmax_kl(rows: Rows, target_rows: Rows) -> Array:
    """KL(t ‖ p) of rows (..., V) with the same classes, rows and temperature."""
    p, t, x = _consistent(rows, target_rows)
    return sum_over(rows.axis_name, lower.row_sum(bregman(t, p, x)))


def _softmax_kl_jvp(primals, tangents):
    rows, target_rows = primals
    computed = softmax_kl(*primals), unlabelled_stats(rows), unlabelled_stats(target_rows)
    kl, stats, target_stats = kept_for_backward(computed)
    rows, target_rows = map(lower.reread_rows, (rows, target_rows))
    p, t, x = _pair(rows, target_rows, stats, target_stats)
    # An infinite divergence has no derivative by the target's logits.
    by_target = select(jnp.isinf(kl)[..., None], 0, weigh(t, x - _finite(kl)[..., None]))
    terms = [
        slope * side.tangent(dot, side_stats.max)
        for slope, side, dot, side_stats in (
            (excess(t, p, x), rows, tangents[0], stats),
            (by_target, target_rows, tangents[1], target_stats),
        )
        if dot.move()
    ]
    return kl, rows.summed(added(terms))


softmax_kl.defjvp(_softmax_kl_jvp, symbolic_zeros=True)


@jax.custom_jvp
def softmax_jensen_shannon(rows: Rows, target_rows: Rows, beta: Array) -> Array:
    """JSD_β of rows (..., V) with the same classes, rows and temperature."""
    of_target, of_prediction = _terms_of_mixture(rows, target_rows, beta)
    # One sum reads p, t and x once. Programs with two sums store them.
    terms = beta * of_target + (1 - beta) * of_prediction
    return sum_over(rows.axis_name, lower.row_sum(lower.in_one_loop(terms)))


def _softmax_jensen_shannon_jvp(primals, tangents):
    rows, target_rows, beta = primals
    computed = (
        softmax_jensen_shannon(*primals),
        unlabelled_stats(rows),
        unlabelled_stats(target_rows),
    )
    divergence, stats, target_stats = kept_for_backward(computed)
    # The means and the slopes are passes of their own, which read the logits again.
    again = lower.reread_rows(rows), lower.reread_rows(target_rows)
    once_more = lower.reread_rows(again[0]), lower.reread_rows(again[1])
    means = _sides(*again, stats, target_stats, beta)
    slopes_of = _sides(*once_more, stats, target_stats, beta)
    moving = zip(means, slopes_of, once_more, tangents[:2], (stats, target_stats), strict=True)
    terms = []
    for (_, *mean_of), (share, probs, logs), side, dot, side_stats in moving:
        if dot.move():
            mean = side.summed(weigh(*mean_of))[..., None]
            terms.append(share * weigh(probs, logs - mean) * side.tangent(dot, side_stats.max))
    slopes = [again[0].summed(added(terms))] if terms else []
    if moves(tangents[2]):
        of_target, of_prediction = _terms_of_mixture(rows, target_rows, beta)
        by_beta = sum_over(rows.axis_name, lower.row_sum(of_target - of_prediction))
        slopes.append(by_beta * tangents[2])
    return divergence, added(slopes)


softmax_jensen_shannon.defjvp(_softmax_jensen_shannon_jvp, symbolic_zeros=True)


def _terms_of_mixture(rows: Rows, target_rows: Rows, beta: Array) -> tuple[Array, Array]:
    """The terms ≥ 0 of KL(t ‖ m) and of KL(p ‖ m), for each class."""
    p, t, x = _consistent(rows, target_rows)
    a, b = _logs_over_mixture(x, beta)
    m = beta * t + (1 - beta) * p
    return bregman(t, m, b), bregman(p, m, a)


def _sides(
    rows: Rows, target_rows: Rows, stats: RowStats, target_stats: RowStats, beta: Array
) -> tuple[tuple[Array, Array, Array], ...]:
    """The share of the prediction, p and log(p/m), and the same of the target."""
    p, t, x = _pair(rows, target_rows, stats, target_stats)
    a, b = _logs_over_mixture(x, beta)
    return (1 - beta, p, a), (beta, t, b)


def _logs_over_mixture(x: Array, beta: Array) -> tuple[Array, Array]:
    """a = log(p/m) and b = log(t/m), given x = log(t/p)."""
    # Beyond this bound one of p and t is 0 beside the other.
    bound = 80 if x.dtype == jnp.float32 else 700
    x = jnp.clip(x, -bound, bound)
    small = jnp.exp(-jnp.abs(x))
    a = _log_of_mean(1 - beta, beta * jnp.expm1(x), beta * small)
    b = _log_of_mean(beta, (1 - beta) * jnp.expm1(-x), (1 - beta) * small)
    return -a, -b


def _log_of_mean(rest: Array, u: Array, small: Array) -> Array:
    """log(rest + share · e^x) for rest = 1 − share, given u = share (e^x − 1) and share · e^−|x|.

    Where e^x is near 1, it is log(1 + u). Where both terms are small, so is 1 + u, which would
    cancel. There e^x is e^−|x|.
    """
    near = u > -0.5
    return log_of_sum(select(near, 1 + u, rest + small), u, near)


def _consistent(rows: Rows, target_rows: Rows) -> tuple[Array, Array, Array]:
    """p, t and x = log t_j − log p_j. Where t and p are of comparable size, p is t e^{−x}."""
    p, t, x = _pair(rows, target_rows, unlabelled_stats(rows), unlabelled_stats(target_rows))
    close = (jnp.abs(x) < 16) & (t > 0)
    return select(close, t * jnp.exp(-select(close, x, 0)), p), t, x


def _pair(
    rows: Rows, target_rows: Rows, stats: RowStats, target_stats: RowStats
) -> tuple[Array, Array, Array]:
    """p, t and x = log t_j − log p_j, which is −inf where t_j is 0."""
    (_, _, p), (_, _, t) = recompute(rows, stats), recompute(target_rows, target_stats)
    gaps, target_gaps = rows.gaps(stats.max), target_rows.gaps(target_stats.max)
    # The difference of the gaps comes first. Close distributions have close gaps, whose difference
    # is exact.
    difference = scaled(gaps - _finite(target_gaps), rows.inverse_temperature)
    between_normalisers = jnp.log1p(stats.rest) - jnp.log1p(target_stats.rest)
    x = difference + between_normalisers[..., None]
    return p, t, select(jnp.isinf(target_gaps), -jnp.inf, x)


def _finite(x: Array) -> Array:
    """x, and 0 where it is infinite: the difference of two infinite ones would be NaN."""
    return select(jnp.isinf(x), 0, x)
