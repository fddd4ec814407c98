"""The exponentials of a row against its maximum, and what is done with them.

The shapes below are chosen with XLA's CPU compiler in mind, which runs a reduction together with
the arithmetic before it as one pass of a library, provided that this has no comparison and no
selection in it; and which stores in full what two such passes share.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jaxent.core.bounds import at_most
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import first_over, max_over, select, sum_over
from jaxent.core.rows import Rows
from jaxent.core.sums import known_at_most, row_sum


def maxima(rows: Rows) -> Array:
    """The largest value of each row, 0 in the rows dropped. Held constant in derivatives."""
    dtype = compute_dtype(rows.values)
    if rows.classes is None:
        m = jnp.max(rows.values, axis=-1).astype(dtype)
    else:
        m = jnp.max(rows.logits(dtype), axis=-1)
    m = max_over(rows.axis_name, m)
    return m if rows.kept is None else select(rows.kept, m, 0)


def argmax(rows: Rows, m: Array) -> Array:
    """The first class at the maximum m of each row, of rows with all classes; 0 if dropped."""
    best = jnp.argmax(rows.values, axis=-1).astype(jnp.int32)
    if rows.axis_name is not None:
        found = jnp.max(rows.values, axis=-1).astype(m.dtype)
        here = (found == m) | jnp.isnan(found)
        first = first_over(rows.axis_name, rows.values.shape[-1])
        best = lax.pmin(select(here, first + best, rows.class_count - 1), rows.axis_name)
    return best if rows.kept is None else select(rows.kept, best, 0)


def gaps_and_exps(z: Array, m: Array) -> tuple[Array, Array]:
    """The gaps m − z_j ≥ 0 and the exponentials exp(z_j − m) ≤ 1, for rows z of maximum m."""
    reference = _reference(m)
    return _against(_capped(z, reference), reference)


def stored_exps(z: Array, m: Array) -> Array:
    """The same exponentials where they are stored, not summed as they are made.

    A minimum that hands on a NaN takes x86 three instructions, this selection one, which would
    part a sum from what is summed. Not to be differentiated: it has no rule as `_capped` has.
    """
    reference = _reference(m)
    # In this order: a NaN is not above the maximum, and stays.
    return _against(select(reference < z, reference, z), reference)[1]


def _reference(m: Array) -> Array:
    # A row all at −inf has no maximum to subtract: its exponentials are all 0.
    return jnp.maximum(m, jnp.finfo(m.dtype).min)[..., None]


def _against(z: Array, reference: Array) -> tuple[Array, Array]:
    gaps, exps = reference - z, jnp.exp(z - reference)
    if exps.dtype == jnp.float64:
        # Who asks for float64 asks for digits: the rounding of m − z_j, which exp multiplies by
        # up to gap/2, is put back. In float32 that would double the time of a loss.
        exps = exps - exps * lax.stop_gradient(_rounding(reference, z, gaps))
    return gaps, exps


def rest(rows: Rows, gaps: Array, exps: Array) -> Array:
    """Σ e_j − 1: the classes below the maximum, and one less than there are at it."""
    below, at_max = lax.platform_dependent(gaps, exps, cpu=_from_exps, default=_from_gaps)
    return sum_over(rows.axis_name, below) + (sum_over(rows.axis_name, at_max) - 1)


def _from_exps(gaps: Array, exps: Array) -> tuple[Array, Array]:
    """From the exponentials alone, which the CPU has stored for a gradient.

    How many are at the maximum is a whole number, so that the sum of all tells it.
    """
    below = row_sum(exps - jnp.floor(exps))
    return below, jnp.round(row_sum(exps) - below)


def _from_gaps(gaps: Array, exps: Array) -> tuple[Array, Array]:
    """From each exponential used once, which a GPU then does not store."""
    # No gap but 0 is below 1 then.
    scaled = gaps * float(1 / jnp.finfo(gaps.dtype).tiny)
    at_max = jnp.maximum(1 - scaled, 0)
    return jnp.sum(jnp.minimum(exps, scaled), axis=-1), jnp.sum(at_max, axis=-1)


@jax.custom_jvp
def _capped(z: Array, m: Array) -> Array:
    """z, which is nowhere above m, so that its derivative is that of z.

    Saying so keeps the compiler from contracting `x * c - m` into a fused multiply-add, which
    would leave the rounding residue of x * c at the maximum instead of 0.
    """
    return at_most(m, z)


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


def pick(x: Array, labels: Array) -> Array:
    """x_y of each row, for labels y in [0, V); another label picks some number."""
    return lax.platform_dependent(x, labels, cpu=_pick_by_gather, default=_pick_by_select)


def _pick_by_gather(x: Array, labels: Array) -> Array:
    # Of narrow floats the bits: the CPU would widen the whole array for a few numbers of it.
    known = {4: jnp.uint4, 8: jnp.uint8, 16: jnp.uint16}
    bits = known.get(jnp.finfo(x.dtype).bits, x.dtype)
    taken = jnp.take_along_axis(_cast_bits(x, bits), labels[..., None], axis=-1, mode="clip")
    return _cast_bits(jnp.squeeze(taken, -1), x.dtype)


def _cast_bits(x: Array, dtype: DTypeLike) -> Array:
    return x if x.dtype == dtype else lax.bitcast_convert_type(x, dtype)


def _pick_by_select(x: Array, labels: Array) -> Array:
    return jnp.sum(select(_is_label(x, labels), x, 0), axis=-1)


def _is_label(x: Array, labels: Array) -> Array:
    classes = lax.broadcasted_iota(labels.dtype, x.shape, x.ndim - 1)
    return classes == labels[..., None]


def is_short(x: Array) -> bool:
    """Whether rows are so short that the CPU sooner goes through them than finds one place."""
    return known_at_most(x.shape[-1], 2**7 - 1)


@jax.custom_jvp
def without_label(exps: Array, labels: Array) -> Array:
    """Exponentials of at most 1, with 0 for that of the label y in [0, V), without a selection.

    The derivative is that of a selection: of a bound and what is equal to it, JAX would take half.
    """
    # Its bound is 0 on the label and at least 1 elsewhere.
    return at_most(distance_from(labels, exps), exps)


@without_label.defjvp
def _without_label_jvp(primals, tangents):
    exps_dot, labels = tangents[0], primals[1]
    return without_label(*primals), _place_by_select(
        exps_dot, labels, jnp.zeros_like(exps_dot[..., 0])
    )


def place(x: Array, labels: Array, value: Array) -> Array:
    """x with x_y of each row replaced by the value; without a label y in [0, V), x as it is."""
    # The CPU scatters in place, where a selection would slow the loop down by half; elsewhere a
    # selection joins the loop for nothing.
    if is_short(x):
        return _place_by_select(x, labels, value)
    return lax.platform_dependent(x, labels, value, cpu=_place_by_scatter, default=_place_by_select)


def _place_by_scatter(x: Array, labels: Array, value: Array) -> Array:
    rows = (lax.broadcasted_iota(jnp.int32, labels.shape, axis) for axis in range(labels.ndim))
    at = x.at[(*rows, labels)]
    return at.set(value, mode="drop", unique_indices=True)


def _place_by_select(x: Array, labels: Array, value: Array) -> Array:
    return select(_is_label(x, labels), value[..., None], x)


def distance_from(labels: Array, like: Array) -> Array:
    """|j − y| for every class j of rows like those given, in their dtype."""
    # Of integers up to 2^24 float32 makes no other, and stays on the CPU's fast path.
    dtype = like.dtype if known_at_most(like.shape[-1], 2**24) else labels.dtype
    classes = lax.broadcasted_iota(dtype, like.shape, like.ndim - 1)
    return jnp.abs(classes - labels[..., None].astype(dtype)).astype(like.dtype)
