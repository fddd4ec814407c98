r"""Statistics of rows whose label is a class number, and their derivative rule.

A label y is left out of the sum instead of the maximum, S = Σ_{j≠y} e_j, which serves the loss of
a class number alike. Where y is the maximum, S is the rest of the row, without cancellation; where
it is not, S ≥ 1, and the loss has the gap m − z_y besides. With s = S + e_y:

    nll   =  (m − z_y) + log s        ∂nll/∂z_j   =  p_j, and −S/s = −miss on the label
    miss  =  1 − p_y  =  S/s          ∂miss/∂z_j  =  p_y · ∂nll/∂z_j

The exponentials of value and gradient are made twice for reverse mode, which keeps the logits. A
program that holds both finds them to be one, and the CPU keeps them in the gradient's own memory:
in `_from_kept_exponentials` the label is left out so that this is possible, in `integer_stats`,
which stores no exponentials, so that the sum stays one pass.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from jaxent.core.exponentials import (
    gaps_and_exps,
    is_short,
    maxima,
    pick,
    place,
    stored_exps,
    without_label,
)
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import kept_for_backward
from jaxent.core.tangents import added
from jaxent.core.xlogy import weigh


class LabelStats(NamedTuple):
    """What the losses of a class number are formulas of; see `SoftmaxStats`."""

    max: Array
    rest: Array
    nll: Array
    miss: Array
    sum_nll: Array

    @property
    def lse(self) -> Array:
        """The log-normaliser log Σ exp(z_j)."""
        return self.max + jnp.log1p(self.rest)


@jax.custom_jvp
def integer_stats(rows: Rows, class_weights: Array | None, labels: Array) -> LabelStats:
    """The statistics of rows whose label is a class number in [0, V), of shape (...).

    `class_weights` (V,) weigh the classes in `sum_nll`. A row dropped has those of a row of zeros.
    """
    # Of all rows: a selection here would part what the CPU sums as it finds the maximum.
    m = maxima(replace(rows, kept=None))
    _, exps = gaps_and_exps(rows.without_classes(m.dtype), m)
    others = rows.total(without_label(exps, rows.own(labels)))
    return _statistics(rows, class_weights, labels, m, others)


@jax.custom_jvp
def _from_kept_exponentials(rows: Rows, class_weights: Array | None, labels: Array) -> LabelStats:
    """The same, from exponentials that a gradient shall use again."""
    m = maxima(rows)
    others = rows.total(_others(rows, labels, m))
    return _statistics(rows, class_weights, labels, m, others)


def _integer_stats_jvp(primals, tangents):
    rows, class_weights, labels = primals
    rows_dot, weights_dot, _ = tangents
    stats = kept_for_backward(_from_kept_exponentials(*primals))
    terms = []
    if not isinstance(rows_dot.values, SymbolicZero):
        terms.append(_by_logits(rows_dot.values, rows, class_weights, labels, stats))
    if not (weights_dot is None or isinstance(weights_dot, SymbolicZero)):
        terms.append(_by_class_weights(weights_dot, rows, stats))
    return stats, added(terms)


integer_stats.defjvp(_integer_stats_jvp, symbolic_zeros=True)
_from_kept_exponentials.defjvp(_integer_stats_jvp, symbolic_zeros=True)


def _others(rows: Rows, labels: Array, m: Array) -> Array:
    """The exponentials, with 0 for that of the label."""
    # Capped at the maximum that it has, 0, a row dropped has exponentials of at most 1, or NaN; and
    # to select rows would take the CPU longer, where they are short, than all the rest.
    z = rows.without_classes(m.dtype) if is_short(rows.values) else rows.logits(m.dtype)
    return place(stored_exps(z, m), rows.own(labels), jnp.zeros_like(m))


@jax.custom_jvp
def _others_of_kept(rows: Rows, labels: Array, m: Array) -> Array:
    """The same without the NaN of a row dropped. Of a row kept, its statistics are NaN, too."""
    others = _others(rows, labels, m)
    return select(jnp.isnan(others), 0, others) if is_short(rows.values) else others


@_others_of_kept.defjvp
def _others_of_kept_jvp(primals, tangents):
    rows, rows_dot = primals[0], tangents[0]
    others = _others_of_kept(*primals)
    # As of e_j for a constant m, but of what is left of it: through the selection, 0 times a NaN
    # would be NaN. What moves in a row dropped, `Rows.summed` takes out.
    return others, others * rows.moving(rows_dot.values, others.dtype)


def _statistics(
    rows: Rows, class_weights: Array | None, labels: Array, m: Array, others: Array
) -> LabelStats:
    """The statistics of rows of maximum m, with the sum over the classes but the label given."""
    own = rows.own(labels)
    z_label = pick(rows.values, own).astype(m.dtype)
    if rows.classes is not None:
        z_label = select(pick(rows.classes.astype(m.dtype), own) == 1, z_label, -jnp.inf)
    kept = rows.kept
    # A dropped row may be all at −inf. Its label must not be, or its loss would be inf − inf.
    z_label = z_label if kept is None else select(kept, z_label, 0)
    gap = rows.of_label(jnp.squeeze(gaps_and_exps(z_label[..., None], m)[0], -1), own)
    # What the label's exponential is short of 1 is 0 where it is the maximum. Elsewhere the others
    # are at least 1, and `expm1`, which would part the CPU's sums, is no more exact beside them.
    rest = others + (jnp.exp(-gap) - 1)
    log_s = jnp.log1p(rest)
    gaps, _ = gaps_and_exps(rows.logits(m.dtype), m)
    w = rows.class_weights(class_weights, m.dtype)
    stats = LabelStats(
        max=m,
        rest=rest,
        nll=gap + log_s,
        miss=others / (1 + rest),
        sum_nll=rows.total(weigh(w, gaps)) + rows.class_mass(class_weights, m.dtype) * log_s,
    )
    return stats if kept is None else jax.tree.map(lambda x: select(kept, x, 0), stats)


def _by_logits(
    logits_dot: Array, rows: Rows, class_weights: Array | None, labels: Array, stats: LabelStats
) -> LabelStats:
    s = 1 + stats.rest
    others, own = _others_of_kept(rows, labels, maxima(rows)), rows.own(labels)
    p_label = jnp.exp(-stats.nll)
    exps = place(others, own, p_label * s)
    w = rows.class_weights(class_weights, exps.dtype)
    mass = rows.class_mass(class_weights, exps.dtype)[..., None]
    z_dot = rows.moving(logits_dot, exps.dtype)

    def along(slopes):
        return rows.summed(slopes * z_dot)

    # Divided by s after the sum, so that the transpose multiplies each class once.
    nll_dot = along(place(others, own, -stats.miss * s)) / s
    return LabelStats(
        max=jnp.zeros_like(stats.max),
        rest=along(exps),
        nll=nll_dot,
        miss=p_label * nll_dot,
        sum_nll=along(mass * exps / s[..., None] - w),
    )


def _by_class_weights(weights_dot: Array, rows: Rows, stats: LabelStats) -> LabelStats:
    gaps, _ = gaps_and_exps(rows.logits(stats.max.dtype), stats.max)
    # Where p_j is 0 the term is either absent or infinite, and moves with no weight.
    nlp = select(jnp.isinf(gaps), 0, gaps + jnp.log1p(stats.rest)[..., None])
    w_dot = rows.class_weights(weights_dot, gaps.dtype)
    still = jax.tree.map(jnp.zeros_like, stats)
    return still._replace(sum_nll=rows.summed(nlp * w_dot))
