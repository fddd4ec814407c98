"""The sums over the classes of a row, as they are defined.

`lower.cpu` and `lower.one_pass` have functions of the same names that return the same numbers.
"""

import jax.numpy as jnp
from jax import Array, lax

from jaxent.core.mesh import select, varying, varying_over
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxSums, WeightedSums
from jaxent.core.xlogy import clip, xlogy
from jaxent.core.xlogy import weigh as weigh

# Up to this many labels of a row are compared with every class. More are scattered.
_COMPARED = 2**4


def label_sums(rows: Rows, y: Array, w: Array | None, moment: bool) -> SoftmaxSums:
    """The sums of rows with a class index y in [0, V); y is V where the label is elsewhere."""
    sums = _sums(rows, w, moment)
    z = rows.logits(sums.max.dtype)
    return sums._replace(label_logit=jnp.max(select(is_label(z, y), z, -jnp.inf), axis=-1))


def target_sums(
    rows: Rows, t: Array | None, w: Array | None, slack: bool, moment: bool
) -> SoftmaxSums:
    """The sums of rows with a target t (..., V), or with none."""
    sums = _sums(rows, w, moment)
    if t is None:
        return sums
    t = rows.zeroed(t.astype(sums.max.dtype))
    gaps, e = rows.gaps_and_exps(sums.max)
    target = WeightedSums(row_sum(t), row_sum(weigh(t, gaps)))
    return sums._replace(target=target, slack=row_sum(t * (1 - e)) if slack else None)


def _sums(rows: Rows, w: Array | None, moment: bool) -> SoftmaxSums:
    z = rows.logits(rows.dtype)
    m = jnp.max(z, axis=-1)
    gaps, e = rows.gaps_and_exps(m)
    at_max = gaps == 0
    return SoftmaxSums(
        max=m,
        rest=row_sum(select(at_max, 0, e)) + (row_sum(at_max.astype(z.dtype)) - 1),
        classes=None if w is None else WeightedSums(rows.mass(w, m), row_sum(weigh(w, gaps))),
        moment=row_sum(weigh(e, gaps)) if moment else None,
        beta=rows.inverse_temperature,
    )


def any_class(classes: Array) -> Array:
    """Whether each row (..., V) of a mask has a True."""
    return jnp.any(classes, axis=-1)


def row_sum(x: Array) -> Array:
    """Σ_j x_j."""
    return jnp.sum(x, axis=-1)


def total(x: Array, kept: Array | None) -> tuple[Array, Array | None]:
    """Σ x over all axes, and how many of the mask `kept` are True."""
    return jnp.sum(x), None if kept is None else jnp.sum(kept)


def other_exps(rows: Rows, y: Array, m: Array) -> Array:
    """exp(z_j − m) of the classes j ≠ y, 0 for y; any finite numbers in the rows dropped."""
    _, e = rows.gaps_and_exps(m)
    return rows.zeroed(select(is_label(e, y), 0, e))


def cost(t: Array, p: Array, epsilon: Array) -> Array:
    """−t log p for p clipped to [epsilon, 1], with 0 · log 0 = 0."""
    return 0 - xlogy(t, clip(p, epsilon))


def entropy_term(p: Array) -> Array:
    """−p log p, with 0 · log 0 = 0."""
    return 0 - xlogy(p, p)


def spread(z: Array, y: Array, probs: Array) -> Array:
    """t_j = Σ_k probs_k [j = y_k] for each class j of z. No class is outside of [0, V)."""
    if y.shape[-1] > _COMPARED:
        return scattered(z, y, probs)
    t = jnp.zeros(z.shape, probs.dtype)
    for k in range(y.shape[-1]):
        t = t + select(is_label(z, y[..., k]), probs[..., k, None], 0)
    return t


def scattered(z: Array, y: Array, probs: Array) -> Array:
    """`spread` by additions to an array of zeros."""
    rows = [lax.broadcasted_iota(jnp.int32, y.shape, axis) for axis in range(y.ndim - 1)]
    here = (*rows, select(y < 0, z.shape[-1], y))
    zeros = varying_over(varying((z, y, probs)), jnp.zeros(z.shape, probs.dtype))
    return zeros.at[here].add(probs, mode="drop")


def is_label(x: Array, y: Array) -> Array:
    """Whether j = y, (..., V)."""
    return lax.broadcasted_iota(y.dtype, x.shape, x.ndim - 1) == y[..., None]
