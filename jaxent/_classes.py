"""Validates arguments with a class axis, and moves that axis to the end.

Every loss over classes calls these functions. They define the meaning of `where`, of `weights` and
of a label that is no class.
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
    fill_dropped,
    kept_mask,
    option,
)
from jaxent.core.dtypes import compute_dtype
from jaxent.core.labels import spread, target
from jaxent.core.lower import any_class
from jaxent.core.mesh import AxisName, select, sum_over
from jaxent.core.rows import Rows


def prepare_rows(
    name: str,
    values: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
    weights: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> Rows:
    """Validates an array with a class axis. Its dropped values stay as they are."""
    values = jnp.asarray(values)
    expect_floating(name, values)
    expect_split(name, values, axis_name)
    last = class_axis_last(values, axis)
    if last.shape[-1] == 0:
        raise ValueError(f"{name} must have a class along axis {axis}, got shape {values.shape}")
    classes, hint = None, ""
    if where is not None and jnp.ndim(where) == values.ndim:
        classes = _class_mask(name, jnp.asarray(where), values.shape, axis)
        where = any_class(classes)
        if axis_name is not None:
            where = sum_over(axis_name, where.astype(jnp.int32)) > 0
    elif where is not None and isinstance(axis, int):
        hint = _habits.class_mask_hint(jnp.shape(where), values.shape, axis)
    kept = kept_mask(last.shape[:-1], where, weights, hint)
    return Rows(last, classes, kept, axis_name)


def _class_mask(name: str, where: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """The mask (..., V) of kept classes. A mask of size 1 along an axis of rows is broadcast."""
    expect_boolean("where", where)
    by_class = _axes(axis, len(shape))
    ones = tuple(1 if i not in by_class and where.shape[i] == 1 else n for i, n in enumerate(shape))
    rows = tuple(n for i, n in enumerate(shape) if i not in by_class)
    source = f"{name}, or 1 along an axis of its rows, to drop classes; {rows} to drop rows"
    expect_shape("where", where, ones, source)
    return class_axis_last(jnp.broadcast_to(where, shape), axis)


def fill_rows(rows: Rows, x: Array, fill: float) -> Array:
    """An array (..., V) with a finite fill value in the dropped classes and rows."""
    return fill_dropped(fill_dropped(x, rows.kept, fill), rows.classes, fill)


def class_axis_last(x: Array, axis: Axis) -> Array:
    """x with its class axes moved to the end and flattened into one."""
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
    """The class axes, as non-negative numbers."""
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(a + ndim if a < 0 else a for a in axes)


def wide(labels: Array) -> Array:
    """Integers in a dtype that represents every class. No uint8 is 1000."""
    return labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels


def prepare_integer_labels(
    name: str, labels: ArrayLike, shape: tuple[int, ...], axis: Axis = -1
) -> tuple[Array, Array]:
    """Integer labels, and the mask of valid ones. A label that is no class becomes 0.

    `shape` is the shape (..., V) of the logits, with the class axis last. `name` is the argument
    that has this shape, for error messages.
    """
    labels = jnp.asarray(labels)
    hint = _habits.integer_label_hint(labels, name, shape, axis)
    expect_integer("labels", labels, hint)
    expect_shape("labels", labels, shape[:-1], f"the rows of {name}", hint)
    labels = wide(labels)
    valid = (labels >= 0) & (labels < shape[-1])
    return select(valid, labels, 0).astype(jnp.int32), valid


def prepare_label_probs(
    name: str, labels: ArrayLike, label_probs: ArrayLike, shape: tuple[int, ...], kept: Array | None
) -> tuple[Array, Array, Array]:
    """Class numbers (..., K), their probabilities, and the mask (...) of rows with valid ones.

    `shape` is the shape (..., V) of the logits, those of the argument `name`. A label of −1 is no
    class, and its probability becomes 0.
    """
    labels, probs = jnp.asarray(labels), jnp.asarray(label_probs)
    expect_integer("labels", labels)
    expect_real("label_probs", probs)
    if labels.ndim != len(shape) or labels.shape[:-1] != shape[:-1]:
        rows = ", ".join(map(str, shape[:-1]))
        raise ValueError(
            f"labels must have the shape ({rows}{', ' if rows else ''}K) of the rows of {name} and"
            f" K classes where label_probs is given, got {labels.shape}"
        )
    expect_shape("label_probs", probs, labels.shape, "labels")
    labels = wide(labels)
    is_class = (labels >= 0) & (labels < shape[-1])
    signed = jnp.issubdtype(labels.dtype, jnp.signedinteger)
    is_padding = labels == -1 if signed else jnp.zeros(labels.shape, bool)
    valid = jnp.all(is_class | is_padding, axis=-1)
    kept = valid if kept is None else valid & kept
    probs = fill_dropped(select(is_class, probs, jnp.zeros((), probs.dtype)), kept, 0)
    return select(is_class, labels, -1).astype(jnp.int32), probs, valid


def few_classes(
    name: str, labels: ArrayLike, label_probs: ArrayLike, rows: Rows
) -> tuple[Array, Array]:
    """The distribution (..., V) over a few classes of each row, and the mask of valid rows."""
    y, probs, valid = prepare_label_probs(name, labels, label_probs, rows.shape, rows.kept)
    return rows.removed(spread(rows, y, probs.astype(compute_dtype(rows.values, probs)))), valid


def prepare_class_values(
    name: str, values: ArrayLike, like: Rows, axis: Axis, shape: tuple[int, ...], source: str
) -> Array:
    """Real numbers (..., V), one per row and class, in their own dtype. Dropped ones become 0."""
    values = jnp.asarray(values)
    expect_real(name, values)
    hint = _habits.distribution_hint(values, like.values.shape)
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
    """Labels (..., V) that are distributions: masked, then smoothed, then weighted by class."""
    t = prepare_class_values("labels", labels, rows, axis, shape, "logits")
    dtype = compute_dtype(rows.values, t)
    by_class = class_vector("class_weights", class_weights, rows.values.shape[-1], dtype)
    return target(rows, t, by_class, option("label_smoothing", label_smoothing, dtype))


def class_vector(
    name: str, value: ArrayLike | None, classes: int, dtype: DTypeLike
) -> Array | None:
    """An option with one number per class (V,), or None if the option is absent."""
    if value is None:
        return None
    vector = jnp.asarray(value)
    expect_real(name, vector)
    expect_shape(name, vector, (classes,), "one number per class")
    return vector.astype(dtype)
