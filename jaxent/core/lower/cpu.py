"""The sums over the classes of a row, in the forms that XLA's CPU compiler runs fast.

XLA passes a sum, together with the elementwise arithmetic before it, to a library (YNNPACK) that
runs both in one vectorised pass. It does so if the arithmetic has no comparison and no selection.
XLA stores what two such passes share. So here

- a minimum or a maximum replaces each selection (`weigh`, `_without`, `cost`, `entropy_term`),
- the maximum of a row ends its pass, which would else write it once for each class (`_apart`),
- a pass that would share terms with another one recomputes them behind a barrier (`again`),
- sums that the library is slow at are computed in other ways (`row_sum`, `total`),
- long rows find the label's class by its index (`_pick`, `place`),
- a gradient in the same program reuses the exponentials, stored in its own memory (`reused`).

An elementwise loss that ends in a selection is compiled to a loop, not to a call of the library. In
a loop the polynomial of `core.softplus` costs little.

A function with a namesake in `lower.plain` returns its numbers. None of them is differentiated.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from jaxent.core.exponentials import against, finite_reference, gaps, scaled
from jaxent.core.lower import plain
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxSums, WeightedSums

# The library is slow at a row of more bytes, unless it is summed window by window.
_LONG_ROW, _WINDOW = 2**17, 2**12
# Up to this many classes, the call of the library costs more than the row.
_SHORT_ROW = 2**4
# Up to this many classes, comparing all with the label costs less than a gather or a scatter.
_SCANNED_ROW = 2**7 - 1
# This many rows are added in one loop. XLA does not unroll a longer one.
_FOLD = 2**2
# Rows are folded if this many devices, which share them out, have whole folds.
_DEVICES = 2**3


def known_at_most(size: int, bound: int) -> bool:
    """Whether a size is known to be at most so large. A symbolic size of an export is not."""
    return isinstance(size, int) and size <= bound


def again(x: Array) -> Array:
    """x behind a barrier, so that XLA recomputes functions of it instead of storing them."""
    return lax.optimization_barrier(x) if x.ndim else x


def label_sums(
    rows: Rows, y: Array, w: Array | None, moment: bool, reused: bool = False
) -> SoftmaxSums:
    m, label_logit = _maxima(rows), _label_logit(rows, y)
    further = _further(replace(rows, kept=None), m, w, moment)
    if moment:
        # The entropy of a confident row takes `rest` to its last bit, whatever the label.
        m = _apart(rows.only_kept(m))
        _, e = rows.gaps_and_exps(m)
        return SoftmaxSums(m, _rest(e), label_logit, **further)
    if reused:
        # CPU: the gradient stores the exponentials, so they are summed from its memory.
        m = rows.only_kept(m)
        others = row_sum(_stored_others(rows, y, m))
    else:
        # CPU: XLA splits this pass at a selection of m, so m is that of dropped rows, too.
        _, e = replace(rows, kept=None).gaps_and_exps(m)
        others = row_sum(_without(e, y))
    # The other exponentials and the label's are 1 + rest.
    rest = others + (jnp.exp(-scaled(gaps(label_logit, m), rows.inverse_temperature)) - 1)
    return SoftmaxSums(m, rest, label_logit, **further)


def target_sums(
    rows: Rows, t: Array | None, w: Array | None, slack: bool, moment: bool
) -> SoftmaxSums:
    m = _apart(rows.only_kept(_maxima(rows)))
    _, e = rows.gaps_and_exps(m)
    sums = SoftmaxSums(m, _rest(e), **_further(rows, m, w, moment))
    if t is None:
        return sums
    mass = row_sum(rows.zeroed(t.astype(m.dtype)))
    # CPU: XLA stores what two passes share, so each of these computes its own gaps.
    rows, m = jax.tree.map(again, (rows, m))
    t = rows.zeroed(again(t).astype(m.dtype))
    gaps, _ = rows.gaps_and_exps(m)
    sums = sums._replace(target=WeightedSums(mass, row_sum(weigh(t, gaps))))
    if not slack:
        return sums
    _, e = jax.tree.map(again, rows).gaps_and_exps(again(m))
    # CPU: e + −1, since XLA stores a constant 1 that the gradient's 1 − e shares.
    return sums._replace(slack=-row_sum(t * (e + -1)))


def _further(rows: Rows, m: Array, w: Array | None, moment: bool) -> dict:
    """The sums over classes that options need."""
    gaps, e = rows.gaps_and_exps(m)
    classes = None
    if w is not None:
        spread = row_sum(gaps if rows.classes is None and w.shape[-1] == 1 else weigh(w, gaps))
        classes = WeightedSums(rows.mass(w, m), spread)
    spread = row_sum(weigh(e, gaps)) if moment else None
    return {"classes": classes, "moment": spread, "beta": rows.inverse_temperature}


def _rest(e: Array) -> Array:
    """Σ e_j − 1, where the largest e_j are 1."""
    below = row_sum(e - jnp.floor(e))
    # The number of classes at the maximum is whole, so the sum of all e tells it.
    return below + (jnp.round(row_sum(e) - below) - 1)


def row_sum(x: Array) -> Array:
    if known_at_most(x.shape[-1], _SHORT_ROW):
        total, is_nan = _sums_and_nan(x.ndim - 1, x)
        return select(is_nan, jnp.nan, total)
    if isinstance(x.shape[-1], int) and x.shape[-1] * x.dtype.itemsize > _LONG_ROW:
        return _sum_by_windows(x)
    return plain.row_sum(x)


def total(x: Array, kept: Array | None) -> tuple[Array, Array | None]:
    """CPU: the library lacks its arithmetic, so rows are summed as computed."""
    if not (x.ndim and isinstance(x.shape[0], int) and x.shape[0] % (_DEVICES * _FOLD) == 0):
        return plain.total(x, kept)
    shape = x.shape[0] // _FOLD, _FOLD, *x.shape[1:]
    # A count of so few rows is an int8.
    counted = [] if kept is None else [kept.reshape(shape).astype(jnp.int8)]
    sums, are_nan, *counts = _sums_and_nan(1, x.reshape(shape), *counted)
    count = jnp.sum(counts[0], dtype=int) if counts else None
    return select(jnp.any(are_nan), jnp.nan, jnp.sum(sums)), count


def other_exps(rows: Rows, y: Array, m: Array) -> Array:
    if rows.axis_name is None:
        # CPU: JAX marks residuals, so XLA does not see that m is the maximum of `label_sums`. It
        # would compute and store the exponentials for both.
        m = rows.only_kept(_maxima(rows))
    e = _stored_others(rows, y, m)
    # A NaN of a row that is kept is in its statistics, too.
    return select(jnp.isnan(e), 0, e) if _is_scanned(rows.values) else e


def weigh(w: Array, x: Array) -> Array:
    """w · x for x > −inf, with 0 · inf = 0. A subnormal weight counts as 0."""
    largest = jnp.finfo(x.dtype).max
    # `bound` is inf where w ≠ 0 and finite where w = 0.
    # CPU: XLA folds largest · largest to inf, so this adds a number between the factors.
    # CPU: XLA stores a constant that two passes share, so this number is an unlikely one, 255/256.
    bound = (jnp.abs(w) * largest + 0.99609375) * largest
    # CPU: if one operand is NaN, the library returns the second operand. So x is the second.
    return w * jnp.minimum(bound, x)


def cost(t: Array, p: Array, epsilon: Array) -> Array:
    # CPU: the library has no selection. So the floor is 1 where t = 0, and its logarithm is 0.
    # CPU: the library has no clamp. So this bounds −log p by 0 instead of p by 1.
    # CPU: if one operand is NaN, the library returns the second operand. XLA moves constants to the
    # second place, so `zero` is an array.
    zero = 0 * t
    floor = jnp.maximum(epsilon, 1 - jnp.abs(t) * jnp.finfo(t.dtype).max)
    return t * jnp.maximum(zero, -jnp.log(jnp.maximum(floor, p)))


def entropy_term(p: Array) -> Array:
    # CPU: as in `cost`, the floor is 1 where p = 0.
    floor = 1 - jnp.abs(p) * jnp.finfo(p.dtype).max
    return -(p * jnp.log(jnp.maximum(floor, p)))


def spread(z: Array, y: Array, probs: Array) -> Array:
    return (plain.spread if _is_scanned(z) else plain.scattered)(z, y, probs)


def place(x: Array, y: Array, value: Array) -> Array:
    """x with x_y replaced by the value, by a scatter in place."""
    if _is_scanned(x):
        return select(plain.is_label(x, y), value[..., None], x)
    rows = (lax.broadcasted_iota(jnp.int32, y.shape, axis) for axis in range(y.ndim))
    return x.at[(*rows, y)].set(value, mode="drop", unique_indices=True)


def _maxima(rows: Rows) -> Array:
    # CPU: the library has no selection of rows, so these are the maxima of dropped rows, too.
    rows = replace(rows, kept=None)
    z = rows.values if rows.classes is None else rows.logits(rows.dtype)
    return jnp.max(z, axis=-1).astype(rows.dtype)


def _apart(m: Array) -> Array:
    """m, computed by a pass of its own.

    CPU: the library's pass would also write m once for each class. A selection ends the pass, since
    the library has none.
    """
    return select(m == m, m, jnp.nan)


def _stored_others(rows: Rows, y: Array, m: Array) -> Array:
    # CPU: a selection of rows costs more than a short row. The bound of a dropped row is 0, so its
    # exponentials are at most 1, or NaN.
    z = rows.without_classes(m.dtype) if _is_scanned(rows.values) else rows.logits(m.dtype)
    reference = finite_reference(m)[..., None]
    # CPU: a minimum that propagates NaN takes three instructions and this selection one. In this
    # order, since a NaN is not above the reference.
    z = select(reference < z, reference, z)
    _, e = against(reference, z, rows.inverse_temperature)
    return place(e, y, jnp.zeros_like(m))


def _without(e: Array, y: Array) -> Array:
    """e_j ≤ 1 with 0 for the label: min(|j − y|, e_j)."""
    # float32 has every integer up to 2^24, and the library has no integers.
    dtype = e.dtype if known_at_most(e.shape[-1], 2**24) else y.dtype
    j = lax.broadcasted_iota(dtype, e.shape, e.ndim - 1)
    return jnp.minimum(jnp.abs(j - y[..., None].astype(dtype)).astype(e.dtype), e)


def _label_logit(rows: Rows, y: Array) -> Array:
    here = y < rows.values.shape[-1]
    if rows.classes is not None:
        here &= _pick(rows.classes.astype(rows.dtype), y) == 1
    z = select(here, _pick(rows.values, y).astype(rows.dtype), -jnp.inf)
    return rows.only_kept(z)


def _pick(x: Array, y: Array) -> Array:
    """x_y of each row."""
    # CPU: a gather of narrow floats would widen all of x, so their bits are gathered.
    known = {4: jnp.uint4, 8: jnp.uint8, 16: jnp.uint16}
    bits = known.get(jnp.finfo(x.dtype).bits, x.dtype)
    taken = jnp.take_along_axis(_cast_bits(x, bits), y[..., None], axis=-1, mode="clip")
    return _cast_bits(jnp.squeeze(taken, -1), x.dtype)


def _cast_bits(x: Array, dtype: DTypeLike) -> Array:
    return x if x.dtype == dtype else lax.bitcast_convert_type(x, dtype)


def _is_scanned(x: Array) -> bool:
    return known_at_most(x.shape[-1], _SCANNED_ROW)


def _sums_and_nan(axis: int, x: Array, *counted: Array) -> Sequence[Array]:
    """Σ x, whether one of x is NaN, and Σ of each of `counted`, by one reduction.

    CPU: the library has no reduction of several arrays, so XLA fuses it with what computes x.
    Devices that share x out can still combine such a reduction. All results must be used, or XLA
    crashes beside an empty batch.
    """

    def add(a, b):
        sums = (m + n for m, n in zip(a[2:], b[2:], strict=True))
        return a[0] + select(b[1], jnp.nan, b[0]), a[1] | b[1], *sums

    arrays = x, jnp.isnan(x), *counted
    nothing = tuple(np.zeros((), array.dtype)[()] for array in arrays)
    return lax.reduce(arrays, nothing, add, (axis,))


def _sum_by_windows(x: Array) -> Array:
    # XLA would compile for minutes to fold windows of a constant, such as equal class weights.
    x = lax.optimization_barrier(x)
    ones, tail = (1,) * (x.ndim - 1), -x.shape[-1] % _WINDOW
    window, padding = (*ones, _WINDOW), (*((0, 0) for _ in ones), (0, tail))
    zero = jnp.zeros((), x.dtype)
    return plain.row_sum(lax.reduce_window(x, zero, lax.add, window, window, padding))
