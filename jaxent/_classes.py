"""The judge of inputs with a class axis, which it moves to the end.

Every loss over classes goes through here, so that what `where`, `weights` and a label that is no
class mean is written once.
"""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent._inputs import (
    Axis,
    expect_boolean,
    expect_floating,
    expect_integer,
    expect_real,
    expect_shape,
    expect_split,
    kept_elements,
)
from jaxent.core.dtypes import as_rounded
from jaxent.core.formulas import class_count
from jaxent.core.mesh import AxisName, sum_over
from jaxent.core.rows import Rows


def rows(
    name: str,
    values: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
    weights: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> Rows:
    """Judges an array with a class axis. What is dropped from it is still there."""
    values = jnp.asarray(values)
    expect_floating(name, values)
    expect_split(name, values, axis_name)
    values = as_rounded(values)
    last = class_axis_last(values, axis)
    if last.shape[-1] == 0:
        raise ValueError(f"{name} must have a class along axis {axis}, got shape {values.shape}")
    classes = None
    if where is not None and jnp.ndim(where) == values.ndim:
        where = jnp.asarray(where)
        expect_boolean("where", where)
        expect_shape("where", where, values.shape, f"{name} or of its rows")
        classes = class_axis_last(where, axis)
        where = jnp.any(classes, axis=-1)
        if axis_name is not None:
            where = sum_over(axis_name, where.astype(jnp.int32)) > 0
    return Rows(last, classes, kept_elements(last.shape[:-1], where, weights), axis_name)


def class_axis_last(x: Array, axis: Axis) -> Array:
    """x with the class axes moved to the end and, where they are several, flattened into one."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    for a in axes:
        if not -x.ndim <= a < x.ndim:
            raise ValueError(f"axis {a} is out of range for an array of shape {x.shape}")
    axes = tuple(a % x.ndim for a in axes)
    if not axes or len(set(axes)) < len(axes):
        raise ValueError(f"axis must name distinct axes of the shape {x.shape}, got {axis}")
    rows = tuple(a for a in range(x.ndim) if a not in axes)
    x = jnp.transpose(x, (*rows, *axes))
    return x.reshape(*x.shape[: len(rows)], math.prod(x.shape[len(rows) :]))


def class_numbers(name: str, labels: ArrayLike, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Integer labels, 0 in place of those that are no class, and whether they are one.

    `shape` (..., V) is that of the logits, whose source the name is.

    Narrow dtypes are widened first: in uint8 there is no class 1000 to compare with.
    """
    labels = jnp.asarray(labels)
    expect_integer("labels", labels)
    expect_shape("labels", labels, shape[:-1], f"the rows of {name}")
    if labels.dtype.itemsize < 4:
        labels = labels.astype(jnp.int32)
    valid = (labels >= 0) & (labels < shape[-1])
    return jnp.where(valid, labels, 0).astype(jnp.int32), valid


def class_values(
    name: str, values: ArrayLike, like: Rows, axis: Axis, shape: tuple[int, ...], source: str
) -> Array:
    """Real numbers of each row and class, (..., V) in their own dtype; 0 in the rows dropped."""
    values = jnp.asarray(values)
    expect_real(name, values)
    expect_shape(name, values, shape, source)
    return like.zeroed(class_axis_last(values, axis))


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
    count = class_count(rows, dtype)
    return 1 / count if rows.classes is None else rows.classes.astype(dtype) / count[..., None]
