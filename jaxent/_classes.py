"""Inputs with a class axis, checked; the class axis is moved to the end.

Every loss over classes goes through here, so that what `where`, `weights` and a label that is no
class mean is written once.
"""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _habits
from jaxent._declare import Axis
from jaxent._inputs import (
    expect_boolean,
    expect_floating,
    expect_integer,
    expect_real,
    expect_shape,
    expect_split,
    keep,
    kept_elements,
    option,
)
from jaxent.core.dtypes import compute_dtype
from jaxent.core.labels import smooth
from jaxent.core.mesh import AxisName, select, sum_over
from jaxent.core.rows import Rows


def rows(
    name: str,
    values: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
    weights: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> Rows:
    """Checks an array with a class axis. The dropped values stay in it."""
    values = jnp.asarray(values)
    expect_floating(name, values)
    expect_split(name, values, axis_name)
    last = class_axis_last(values, axis)
    if last.shape[-1] == 0:
        raise ValueError(f"{name} must have a class along axis {axis}, got shape {values.shape}")
    classes, hint = None, ""
    if where is not None and jnp.ndim(where) == values.ndim:
        classes = _kept_classes(name, jnp.asarray(where), values.shape, axis)
        where = jnp.any(classes, axis=-1)
        if axis_name is not None:
            where = sum_over(axis_name, where.astype(jnp.int32)) > 0
    elif where is not None and isinstance(axis, int):
        hint = _habits.of_class_mask(jnp.shape(where), values.shape, axis)
    kept = kept_elements(last.shape[:-1], where, weights, hint)
    return Rows(last, classes, kept, axis_name)


def _kept_classes(name: str, where: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """A mask (..., V) of classes, which may be given once for all rows along an axis."""
    expect_boolean("where", where)
    by_class = _axes(axis, len(shape))
    ones = tuple(1 if i not in by_class and where.shape[i] == 1 else n for i, n in enumerate(shape))
    rows = tuple(n for i, n in enumerate(shape) if i not in by_class)
    source = f"{name}, or 1 along an axis of its rows, to drop classes; {rows} to drop rows"
    expect_shape("where", where, ones, source)
    return class_axis_last(jnp.broadcast_to(where, shape), axis)


def filled(rows: Rows, x: Array, fill: float) -> Array:
    """Any (..., V), with a harmless number in the classes and in the rows dropped."""
    return keep(keep(x, rows.kept, fill), rows.classes, fill)


def class_axis_last(x: Array, axis: Axis) -> Array:
    """x with the class axes moved to the end and, where they are several, flattened into one."""
    axes = _axes(axis, x.ndim)
    for a in axes:
        if a >= x.ndim or a < 0:
            raise ValueError(f"axis {axis} is out of range for an array of shape {x.shape}")
    if not axes or len(set(axes)) < len(axes):
        raise ValueError(f"axis must name distinct axes of the shape {x.shape}, got {axis}")
    rows = tuple(a for a in range(x.ndim) if a not in axes)
    x = jnp.transpose(x, (*rows, *axes))
    return x.reshape(*x.shape[: len(rows)], math.prod(x.shape[len(rows) :]))


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The class axes, counted from the first one."""
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(a + ndim if a < 0 else a for a in axes)


def class_numbers(
    name: str, labels: ArrayLike, shape: tuple[int, ...], axis: Axis = -1
) -> tuple[Array, Array]:
    """Integer labels, 0 in place of those that are no class, and whether they are one.

    `shape` (..., V) is that of the logits, whose source the name is, with the class axis last.

    Narrow dtypes are widened first: in uint8 there is no class 1000 to compare with.
    """
    labels = jnp.asarray(labels)
    hint = _habits.of_class_numbers(labels, name, shape, axis)
    expect_integer("labels", labels, hint)
    expect_shape("labels", labels, shape[:-1], f"the rows of {name}", hint)
    if labels.dtype.itemsize < 4:
        labels = labels.astype(jnp.int32)
    valid = (labels >= 0) & (labels < shape[-1])
    return select(valid, labels, 0).astype(jnp.int32), valid


def class_values(
    name: str, values: ArrayLike, like: Rows, axis: Axis, shape: tuple[int, ...], source: str
) -> Array:
    """Real numbers of each row and class, (..., V) in their own dtype; 0 in what is dropped."""
    values = jnp.asarray(values)
    expect_real(name, values)
    hint = _habits.of_distributions(values, like.values.shape)
    expect_shape(name, values, shape, source, hint)
    return like.removed(class_axis_last(values, axis))


def targets(
    rows: Rows,
    labels: ArrayLike,
    axis: Axis,
    shape: tuple[int, ...],
    label_smoothing: ArrayLike | None,
    class_weights: ArrayLike | None,
) -> Array:
    """Labels (..., V) that are distributions: without what is dropped, smoothed, then weighted."""
    t = class_values("labels", labels, rows, axis, shape, "logits")
    dtype = compute_dtype(rows.values, t)
    smoothing = option("label_smoothing", label_smoothing, dtype)
    if smoothing is not None:
        t = smooth(t, smoothing, uniform(rows, dtype))
    by_class = class_vector("class_weights", class_weights, rows.values.shape[-1], dtype)
    return t if by_class is None else t.astype(dtype) * rows.class_weights(by_class, dtype)


def class_vector(
    name: str, value: ArrayLike | None, classes: int, dtype: DTypeLike
) -> Array | None:
    """One number per class (V,), or None where the option is absent."""
    if value is None:
        return None
    vector = jnp.asarray(value)
    expect_real(name, vector)
    expect_shape(name, vector, (classes,), "one number per class")
    return vector.astype(dtype)


def uniform(rows: Rows, dtype: DTypeLike) -> Array:
    """The uniform distribution over the classes kept."""
    return rows.class_weights(None, dtype) / rows.kept_count(dtype)[..., None]
