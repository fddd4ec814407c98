r"""The statistics of a row that softmax losses are formulas of, and how parts of a row combine.

Let z be the logits of a row, m = max z, e_j = exp(z_j − m) and s = Σ e_j, so that p_j = e_j / s.
One class at the maximum contributes e = 1 to s. The sum over all the others is `rest`, and
s = 1 + rest. A confident row with rest = 1e-20 has log s = log1p(rest) = 1e-20, not 0.

Let t be the label's distribution, one-hot for a class index, and w weights of the classes.

    log-normaliser      lse      = m + log s
    cross-entropy       nll      = Σ t_j (−log p_j)   = Σ t_j (m − z_j) + Σ t_j · log s
    missed probability  miss     = Σ t_j (1 − p_j)    = (Σ t_j (1 − e_j) + Σ t_j · rest) / s
    over all classes    sum_nll  = Σ w_j (−log p_j)   = Σ w_j (m − z_j) + Σ w_j · log s
    entropy             H        = Σ p_j (−log p_j)   = Σ e_j (m − z_j) / s + log s

For t, w ≥ 0 all terms of the last four formulas are ≥ 0, so nothing cancels there. With an inverse
temperature β the logits are β z_j. Then m and every m − z_j above have a factor β, and so have the
derivatives by z_j. `RowStats` and `SoftmaxSums` hold the maximum of z, without the factor, and gaps
with it.

`SoftmaxSums` has the sums over classes on the right, m, and z_y of a class index y. They form a
commutative monoid: `merge` combines the sums of two disjoint sets of classes. The sums of no class
have max = −inf, rest = −1, label_logit = −inf and 0 elsewhere. `merge` is the combiner of one
reduction over a row (`lower.one_pass`). `merge_over` combines the shards of a row on the devices of
a mesh.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name

from jaxent.core.exponentials import gaps, scaled
from jaxent.core.mesh import AxisName, max_over, select
from jaxent.core.rows import Rows
from jaxent.core.xlogy import weigh

T = TypeVar("T")

# The policy below is that of `jax.checkpoint` around a loss of logits. So reverse mode saves the
# arguments and the statistics of rows, which carry this name, and recomputes everything else.
_ROW_STATISTICS = "jaxent row statistics"
KEPT_FOR_BACKWARD = jax.checkpoint_policies.save_only_these_names(_ROW_STATISTICS)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class SoftmaxStats:
    """The statistics of each row of logits that softmax losses are formulas of, in nats.

    A formula of these statistics needs no derivative rule of its own. It may use the log-normaliser
    `lse`, but not `max` or `rest` alone. Their derivatives by the logits are those for a constant
    maximum, which cancels in `lse`.

    Here z are the logits of a row, soft-capped and divided by the temperature, p = softmax(z), and
    t is the label as a distribution over the classes.

    Attributes:
      max: the largest z_j.
      rest: Σ exp(z_j − max) over all classes but one at the maximum.
      nll: Σ t_j (−log p_j), the cross-entropy with the label.
      miss: Σ t_j (1 − p_j), the probability that is not on the label.
      sum_nll: Σ_j −log p_j over the classes that are not masked.
      entropy: Σ p_j (−log p_j).
      predicted: the class of the largest logit, the first of equal ones, an integer.
    """

    max: Array
    rest: Array
    nll: Array
    miss: Array
    sum_nll: Array
    entropy: Array
    predicted: Array

    @property
    def lse(self) -> Array:
        """The log-normaliser log Σ exp(z_j)."""
        return self.max + jnp.log1p(self.rest)


class RowStats(NamedTuple):
    """The statistics inside the core. Those that a loss does not need are None.

    `max` is that of the logits before an inverse temperature β multiplies them. `SoftmaxStats` is
    the public form: it has no masses, and it has the predicted class.
    """

    max: Array
    rest: Array
    nll: Any
    miss: Any
    sum_nll: Any
    entropy: Any
    label_mass: Any  # Σ t_j of a target
    class_mass: Any  # Σ w_j

    def lse(self, beta: Array | None = None) -> Array:
        """The log-normaliser log Σ exp(β z_j)."""
        return scaled(self.max, beta) + jnp.log1p(self.rest)


def kept_for_backward(stats: T) -> T:
    """The same statistics, marked as residuals of reverse mode."""
    return checkpoint_name(stats, _ROW_STATISTICS)


class WeightedSums(NamedTuple):
    """Sums over classes with weights u_j."""

    mass: Array  # Σ u_j
    gap: Array  # Σ u_j (m − z_j)


class SoftmaxSums(NamedTuple):
    """The sums over a set of classes from which `finalize` computes the statistics.

    A sum that the loss does not need is None, and so are the statistics that depend on it.
    """

    max: Array
    rest: Array  # Σ e_j − 1
    label_logit: Any = None  # z_y of a class index y, −inf if y is not in the set
    target: Any = None  # WeightedSums of a distribution t, instead of a class index
    slack: Any = None  # Σ t_j (1 − e_j), a part of miss
    classes: Any = None  # WeightedSums of the class weights w
    moment: Any = None  # Σ e_j (m − z_j), a part of the entropy
    beta: Any = None  # an inverse temperature, by which all gaps above are multiplied


def merge(a: SoftmaxSums, b: SoftmaxSums) -> SoftmaxSums:
    """The sums over two disjoint sets of classes together."""
    a_is_larger = a.max >= b.max
    large = jax.tree.map(lambda x, y: select(a_is_larger, x, y), a, b)
    small = jax.tree.map(lambda x, y: select(a_is_larger, y, x), a, b)
    m = jnp.maximum(a.max, b.max)
    if a.beta is not None:
        # A set of no classes has β = 0, and every other set the one β > 0.
        beta = jnp.maximum(a.beta, b.beta)
        large, small = large._replace(beta=beta), small._replace(beta=beta)
    # All fields are added. Those that are no sums are then replaced.
    added = jax.tree.map(jnp.add, large, relative_to(m, small))
    if a.label_logit is not None:
        added = added._replace(label_logit=jnp.maximum(a.label_logit, b.label_logit))
    return added._replace(max=m, beta=large.beta)


def relative_to(m: Array, sums: SoftmaxSums) -> SoftmaxSums:
    """The sums relative to m, at least as large as their maximum, with Σ e_j in place of `rest`.

    With δ = β (m − max): e_j shrinks by exp(−δ), and β (m − z_j) grows by δ. The sums of no class
    become 0. For finite m, Σ e_j of classes all at −inf becomes 0, and their gap infinite unless
    their mass is 0.
    """
    delta = scaled(select(sums.max == m, 0, m - sums.max), sums.beta)
    scale = jnp.exp(-delta)
    total = scale * (1 + sums.rest)

    def grown(sums: WeightedSums | None) -> WeightedSums | None:
        if sums is None:
            return None
        return WeightedSums(sums.mass, sums.gap + weigh(sums.mass, delta))

    slack, moment = sums.slack, sums.moment
    if slack is not None and sums.target is not None:
        slack = scale * slack + (1 - scale) * sums.target.mass
    if moment is not None:
        moment = scale * moment + weigh(total, delta)
    return SoftmaxSums(
        max=m,
        rest=total,
        label_logit=sums.label_logit,
        target=grown(sums.target),
        slack=slack,
        classes=grown(sums.classes),
        moment=moment,
        beta=sums.beta,
    )


def merge_over(axis_name: AxisName, sums: SoftmaxSums) -> SoftmaxSums:
    """The sums over the classes of all devices along an axis of a mesh."""
    if axis_name is None:
        return sums
    m, label_logit = max_over(axis_name, (sums.max, sums.label_logit))
    here = relative_to(m, sums)
    # Each device that has the maximum left out one e = 1 of its rest. Only one may be left out.
    has_max = sums.max == m
    here = here._replace(rest=select(has_max, sums.rest, here.rest))
    here = here._replace(max=None, label_logit=None, beta=None)
    added, holders = lax.psum((here, has_max.astype(m.dtype)), axis_name)
    rest = added.rest + (holders - 1)
    return added._replace(max=m, label_logit=label_logit, rest=rest, beta=sums.beta)


def finalize(sums: SoftmaxSums) -> RowStats:
    """The statistics of rows whose classes have all been summed."""
    s, log_s = 1 + sums.rest, jnp.log1p(sums.rest)

    def or_undefined(x):
        """x, but NaN for a row of classes all at −inf, which has no distribution."""
        return x + (sums.max - sums.max)

    nll = miss = sum_nll = entropy = label_mass = class_mass = None
    if sums.label_logit is not None:
        gap = scaled(gaps(sums.label_logit, sums.max), sums.beta)
        nll = gap + log_s
        # A gap above 0 means that another class has the maximum. Then rest ≥ exp(−gap), so the
        # numerator is ≥ 1, and the rounding of 1 − exp(−gap) is harmless.
        miss = ((1 - jnp.exp(-gap)) + sums.rest) / s
    if sums.target is not None:
        label_mass = sums.target.mass
        nll = or_undefined(sums.target.gap + label_mass * log_s)
        if sums.slack is not None:
            miss = or_undefined((sums.slack + label_mass * sums.rest) / s)
    if sums.classes is not None:
        class_mass = sums.classes.mass
        sum_nll = or_undefined(sums.classes.gap + class_mass * log_s)
    if sums.moment is not None:
        entropy = sums.moment / s + log_s
    return RowStats(sums.max, sums.rest, nll, miss, sum_nll, entropy, label_mass, class_mass)


def kept_rows(rows: Rows, stats: RowStats) -> RowStats:
    """The statistics, 0 in dropped rows except for `max`, which is arbitrary there."""
    # `max` stays the same array that exp(z − max) uses. With two arrays, a compiler would compute
    # and store two arrays of exponentials.
    return rows.only_kept(stats)._replace(max=stats.max)
