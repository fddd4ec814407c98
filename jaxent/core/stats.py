r"""What a softmax loss needs to know of a row, and how parts of a row combine.

Let z be the logits of a row, m = max z, e_j = exp(z_j − m) and s = Σ e_j. The class at the maximum
contributes e = 1 to s. It is kept apart: s = 1 + rest, so that a confident row, whose rest is
1e-20, still has log s = log1p(rest) = 1e-20. With p_j = e_j / s:

    log-normaliser      lse      = m + log1p(rest)
    cross-entropy       nll      = Σ t_j (−log p_j)      = Σ t_j (m − z_j) + Σ t_j · log1p(rest)
    missed probability  miss     = Σ t_j (1 − p_j)       = (Σ t_j (1 − e_j) + Σ t_j · rest) / s
    over all classes    sum_nll  = Σ w_j (−log p_j)      = Σ w_j (m − z_j) + Σ w_j · log1p(rest)
    entropy             H        = Σ p_j (−log p_j)      = Σ e_j (m − z_j) / s + log1p(rest)

t is the label's distribution (one-hot for a class number) and w the weights of `sum_nll`. In every
formula each term is ≥ 0, so nothing cancels and no loss is negative.

All of them come from sums over classes and one maximum, which makes them a commutative monoid:
`merge` combines the sums of two sets of classes, whether chunks, grid steps or shards, by moving
the one with the smaller maximum to the larger.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from jaxent.core.mesh import select
from jaxent.core.xlogy import weigh

T = TypeVar("T")

# What reverse mode keeps of a loss: its arguments, which need no mark, and the statistics of its
# rows. Everything else is made again from them.
_ROW_STATISTICS = "jaxent row statistics"
KEPT_FOR_BACKWARD = jax.checkpoint_policies.save_only_these_names(_ROW_STATISTICS)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class SoftmaxStats:
    """The statistics of each row of logits that softmax losses are formulas of, in nats.

    Differentiating a formula of these needs no rule of its own. `max` and `rest` are a way of
    writing the log-normaliser, and are differentiated as such: `max` is held constant and `rest`
    carries the whole derivative.

    Attributes:
      max: the largest logit.
      rest: Σ exp(z_j − max) − 1, without cancellation.
      nll: Σ t_j (−log p_j), the cross-entropy with the label.
      miss: Σ t_j (1 − p_j), the probability that the prediction misses the label by.
      sum_nll: Σ_j −log p_j over the classes kept.
      entropy: Σ p_j (−log p_j).
    """

    max: Array
    rest: Array
    nll: Array
    miss: Array
    sum_nll: Array
    entropy: Array

    @property
    def lse(self) -> Array:
        """The log-normaliser log Σ exp(z_j)."""
        return self.max + jnp.log1p(self.rest)


def kept_for_backward(stats: T) -> T:
    """The same statistics, marked to be kept."""
    return checkpoint_name(stats, _ROW_STATISTICS)


class SoftmaxSums(NamedTuple):
    """The sums over a set of classes from which `SoftmaxStats` are made."""

    max: Array
    rest: Array  # Σ e_j − 1
    moment: Array  # Σ e_j (m − z_j)
    mass: Array  # Σ t_j
    gap: Array  # Σ t_j (m − z_j)
    slack: Array  # Σ t_j (1 − e_j)
    size: Array  # Σ w_j
    spread: Array  # Σ w_j (m − z_j)


def merge(a: SoftmaxSums, b: SoftmaxSums) -> SoftmaxSums:
    """The sums over two disjoint sets of classes together."""
    m = jnp.maximum(a.max, b.max)
    a_total, a_moved = _move(a, m)
    b_total, b_moved = _move(b, m)
    together = SoftmaxSums(*(x + y for x, y in zip(a_moved, b_moved, strict=True)))
    # Whichever holds the maximum keeps its tail; the other one joins it whole.
    rest = select(a.max == m, a.rest + b_total, b.rest + a_total)
    return together._replace(max=m, rest=rest)


def _move(sums: SoftmaxSums, m: Array) -> tuple[Array, SoftmaxSums]:
    """Σ exp(z_j − m), and the sums relative to m, a maximum no smaller than their own.

    With δ = m − max: e_j shrinks by exp(−δ) and m − z_j grows by δ. A set of no classes, or of
    classes all at −inf, has max = −inf and rest = −1, and adds nothing wherever it is moved.
    """
    delta = select(sums.max == m, 0, m - sums.max)
    scale = jnp.exp(-delta)
    total = scale * (1 + sums.rest)
    moved = sums._replace(
        moment=scale * sums.moment + weigh(total, delta),
        gap=sums.gap + weigh(sums.mass, delta),
        slack=scale * sums.slack - jnp.expm1(-delta) * sums.mass,
        spread=sums.spread + weigh(sums.size, delta),
    )
    return total, moved


def finalize(sums: SoftmaxSums) -> SoftmaxStats:
    """The statistics of a row whose classes have all been summed."""
    s, log_s = 1 + sums.rest, jnp.log1p(sums.rest)
    return SoftmaxStats(
        max=sums.max,
        rest=sums.rest,
        nll=sums.gap + sums.mass * log_s,
        miss=(sums.slack + sums.mass * sums.rest) / s,
        sum_nll=sums.spread + sums.size * log_s,
        entropy=sums.moment / s + log_s,
    )
