"""The sums over the classes of a row by one reduction, which reads each logit once.

Reductions on accelerators are bound by memory. Two of them, one for the maximum and one for the
sums, read the logits twice. Here each class is a set of one, and `merge` is the combiner of
`lax.reduce`, which combines such sets in any order. A CPU would run this as scalar code.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxent.core.lower.plain import is_label
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxSums, WeightedSums, merge


def label_sums(rows: Rows, y: Array, w: Array | None, moment: bool) -> SoftmaxSums:
    z = _logits(rows)
    label_logit = select(is_label(z, y), z, -jnp.inf)
    return _of_kept(rows, _each(rows, z, w, moment)._replace(label_logit=label_logit))


def target_sums(
    rows: Rows, t: Array | None, w: Array | None, slack: bool, moment: bool
) -> SoftmaxSums:
    z = _logits(rows)
    each = _each(rows, z, w, moment)
    if t is not None:
        each = each._replace(target=_weighted(t.astype(z.dtype), z))
        each = each._replace(slack=jnp.zeros_like(z) if slack else None)
    return _of_kept(rows, each)


def _logits(rows: Rows) -> Array:
    if rows.classes is None:
        return rows.logits(rows.dtype)
    # GPU: XLA fuses this reduction with that of `any_class` if neither waits for the other. So rows
    # are dropped after it, and the mask of classes is read once.
    return rows.without_classes(rows.dtype)


def _each(rows: Rows, z: Array, w: Array | None, has_moment: bool) -> SoftmaxSums:
    """The sums over each class alone, (..., V)."""
    # z − z is the same, but float checks would report its NaN at −inf.
    zeros = jnp.zeros_like(z)
    rest = select(jnp.isneginf(z), -1, select(z < jnp.inf, zeros, jnp.nan))
    classes = None if w is None else _weighted(w, z)
    moment = zeros if has_moment else None
    return SoftmaxSums(z, rest, classes=classes, moment=moment, beta=rows.inverse_temperature)


def _weighted(u: Array, z: Array) -> WeightedSums:
    u = jnp.broadcast_to(u, z.shape)
    return WeightedSums(u, jnp.zeros_like(z))


def _of_kept(rows: Rows, each: SoftmaxSums) -> SoftmaxSums:
    """The sums over all classes. Those of a dropped row are 0."""
    return rows.only_kept(merged(each))._replace(beta=rows.inverse_temperature)


def merged(each: SoftmaxSums) -> SoftmaxSums:
    """The sums over all classes, (...)."""
    beta = each.beta
    if beta is not None:
        # The combiner is a function of its operands alone.
        each = each._replace(beta=jnp.broadcast_to(beta, each.max.shape))
    operands, tree = jax.tree.flatten(each)
    none = jax.tree.map(lambda x: np.zeros((), x.dtype), each)
    low, absent = np.array(-np.inf, none.max.dtype), np.array(-1, none.max.dtype)
    none = none._replace(max=low, rest=absent)
    if each.label_logit is not None:
        none = none._replace(label_logit=low)

    def combine(a, b):
        return jax.tree.leaves(merge(tree.unflatten(a), tree.unflatten(b)))

    axis = each.max.ndim - 1
    scalars = [x[()] for x in jax.tree.leaves(none)]
    sums = tree.unflatten(lax.reduce(tuple(operands), tuple(scalars), combine, (axis,)))
    return sums._replace(beta=beta)


def any_class(classes: Array) -> Array:
    """Whether each row (..., V) of a mask has a True."""
    # TPU: XLA copies the mask to another layout for a disjunction, so this counts. `kept_count` is
    # the same sum, which XLA then computes once.
    return jnp.sum(classes, axis=-1, dtype=jnp.int32) > 0
