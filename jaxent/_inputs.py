"""What a user passes in, checked when a loss is traced; `_classes` checks what has a class axis.

The functions check shapes and dtypes and return arrays that need no further care. Nothing
broadcasts: a shape that is not the expected one is an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import AxisName, select, varying


def expect_floating(name: str, x: Array) -> None:
    with _explained(TypeError, f"{name} must be floating, got {x.dtype}"):
        chex.assert_type(x, jnp.floating)


def expect_integer(name: str, x: Array, hint: str = "") -> None:
    wrong = f"{name} must be class numbers of an integer dtype, got {x.dtype}{hint}"
    with _explained(TypeError, wrong):
        chex.assert_type(x, jnp.integer)


def expect_real(name: str, x: Array) -> None:
    kinds = (jnp.bool_, jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(x.dtype, kind) for kind in kinds):
        raise TypeError(f"{name} must be real numbers, got {x.dtype}")


def expect_boolean(name: str, x: Array) -> None:
    wrong = f"{name} must be boolean, got {x.dtype}: pass mask != 0, or a real mask as weights"
    with _explained(TypeError, wrong):
        chex.assert_type(x, jnp.bool_)


def expect_shape(name: str, x: Array, shape: tuple[int, ...], source: str, hint: str = "") -> None:
    wrong = f"{name} must have the shape {shape} of {source}, got {x.shape}{hint}"
    with _explained(ValueError, wrong):
        chex.assert_shape(x, shape)


def expect_split(name: str, x: Array, axis_name: AxisName) -> None:
    """Inside `shard_map`, an array of which every device along an axis has a part of its own."""
    axes = (axis_name,) if isinstance(axis_name, str) else axis_name or ()
    for axis in axes:
        try:
            jax.lax.axis_size(axis)
        except NameError:
            message = f"axis_name must name an axis of the mesh of a jax.shard_map, got {axis!r}"
            raise ValueError(message) from None
        if axis not in varying(x):
            raise ValueError(
                f"{name} must be split along the mesh axis {axis!r} of axis_name by a"
                " jax.shard_map with check_vma=True, over all axes of the mesh if they are"
                f" Explicit, got what varies over {sorted(varying(x))}"
            )


@contextmanager
def _explained(error: type[Exception], message: str) -> Iterator[None]:
    """Turns a failed chex assertion into an error that names the argument."""
    try:
        yield
    except AssertionError:
        raise error(message) from None


def number(name: str, value: ArrayLike, dtype: DTypeLike) -> Array:
    """A number in the dtype of computation."""
    array = jnp.asarray(value)
    expect_real(name, array)
    expect_shape(name, array, (), "a number")
    return array.astype(dtype)


def option(name: str, value: ArrayLike | None, dtype: DTypeLike) -> Array | None:
    """A number in the dtype of computation, or None where the option is absent."""
    return None if value is None else number(name, value, dtype)


def keep(x: Array, kept: Array | None, fill: float) -> Array:
    """x with its dropped elements, or dropped rows of classes, replaced by a harmless number."""
    if kept is None:
        return x
    kept = jnp.expand_dims(kept, tuple(range(kept.ndim, x.ndim)))
    return select(kept, x, jnp.asarray(fill, x.dtype))


def kept_elements(
    shape: tuple[int, ...], where: ArrayLike | None, weights: ArrayLike | None, hint: str = ""
) -> Array | None:
    """Which losses of a shape count: those that `where` keeps and whose weight is not 0."""
    kept = None
    if where is not None:
        kept = jnp.asarray(where)
        expect_boolean("where", kept)
        expect_shape("where", kept, shape, "the losses", hint)
    if weights is not None:
        weights = jnp.asarray(weights)
        expect_real("weights", weights)
        expect_shape("weights", weights, shape, "the losses")
        counted = weights.astype(bool)
        kept = counted if kept is None else kept & counted
    return kept


class Elements(NamedTuple):
    """Predictions and labels of one shape, in their own dtypes; labels may be absent."""

    values: Array
    labels: Any
    kept: Array | None

    @property
    def dtype(self) -> DTypeLike:
        """That of computation."""
        return compute_dtype(self.values, self.labels)


def elements(
    name: str,
    values: ArrayLike,
    labels: ArrayLike | None,
    where: ArrayLike | None,
    weights: ArrayLike | None,
    labels_name: str = "labels",
) -> Elements:
    """Checks elementwise predictions with their labels, and makes dropped ones harmless.

    A dropped prediction is 1/2: a probability and a logit at which every loss is finite.
    """
    values = jnp.asarray(values)
    expect_floating(name, values)
    kept = kept_elements(values.shape, where, weights)
    if labels is not None:
        labels = jnp.asarray(labels)
        expect_real(labels_name, labels)
        expect_shape(labels_name, labels, values.shape, name)
        labels = keep(labels, kept, 0)
    return Elements(keep(values, kept, 0.5), labels, kept)


def per_class_option(name: str, value: ArrayLike | None, like: Elements) -> Array | None:
    """A number, or one per class of the last axis, that broadcasts against the elements."""
    if value is None:
        return None
    array, shape = jnp.asarray(value), like.values.shape
    if array.ndim == 0:
        return number(name, array, like.dtype)
    expect_real(name, array)
    expect_shape(name, array, shape[-1:], f"the last axis of {shape}, or ()")
    return array.astype(like.dtype).reshape((1,) * (len(shape) - 1) + array.shape)
