"""Validates arguments, and fills in dropped elements.

The checks run when JAX traces a loss, and cost nothing at run time. Nothing broadcasts: any shape
but the expected one is an error. `_classes` validates the arguments that have a class axis.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _habits
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import AxisName, select, varying


def expect_floating(name: str, x: Array) -> None:
    with _explained(TypeError, f"{name} must be floating, got {x.dtype}"):
        chex.assert_type(x, jnp.floating)


def expect_integer(name: str, x: Array, hint: str = "") -> None:
    wrong = f"{name} must be indices of an integer dtype, got {x.dtype}{hint}"
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
    """Checks that `shard_map` shards an array along the mesh axes of `axis_name`."""
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
    """Replaces a failed chex assertion by an error that names the argument."""
    try:
        yield
    except AssertionError:
        raise error(message) from None


def number(name: str, value: ArrayLike, dtype: DTypeLike) -> Array:
    """A scalar option, in the dtype of computation."""
    array = jnp.asarray(value)
    expect_real(name, array)
    expect_shape(name, array, (), "a number")
    return array.astype(dtype)


def option(name: str, value: ArrayLike | None, dtype: DTypeLike) -> Array | None:
    """A scalar option in the dtype of computation, or None if the option is absent."""
    return None if value is None else number(name, value, dtype)


def fill_dropped(x: Array, kept: Array | None, fill: float) -> Array:
    """x with a finite fill value in dropped elements, or in all classes of dropped rows.

    A mask `kept` of None keeps all.
    """
    if kept is None:
        return x
    kept = jnp.expand_dims(kept, tuple(range(kept.ndim, x.ndim)))
    return select(kept, x, jnp.asarray(fill, x.dtype))


def kept_mask(
    shape: tuple[int, ...], where: ArrayLike | None, weights: ArrayLike | None, hint: str = ""
) -> Array | None:
    """The mask of the losses that count: `where` keeps them and their weight is not 0."""
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


class ElementInputs(NamedTuple):
    """Predictions and labels of one shape, in their own dtypes. Labels may be None."""

    values: Array
    labels: Any
    kept: Array | None

    @property
    def dtype(self) -> DTypeLike:
        """The dtype of computation."""
        return compute_dtype(self.values, self.labels)


def prepare_elements(
    name: str,
    values: ArrayLike,
    labels: ArrayLike | None,
    where: ArrayLike | None,
    weights: ArrayLike | None,
    labels_name: str = "labels",
) -> ElementInputs:
    """Validates elementwise predictions and labels, and fills in the dropped ones.

    A dropped prediction becomes 1/2. As a probability and as a logit it has a finite loss.
    """
    values = jnp.asarray(values)
    expect_floating(name, values)
    hint = "" if where is None else _habits.row_mask_hint(jnp.shape(where), values.shape)
    kept = kept_mask(values.shape, where, weights, hint)
    if labels is not None:
        labels = jnp.asarray(labels)
        expect_real(labels_name, labels)
        expect_shape(labels_name, labels, values.shape, name)
        labels = fill_dropped(labels, kept, 0)
    return ElementInputs(fill_dropped(values, kept, 0.5), labels, kept)


def per_class_option(name: str, value: ArrayLike | None, like: ElementInputs) -> Array | None:
    """An option with one number, or one per class of the last axis. Broadcasts against `like`."""
    if value is None:
        return None
    array, shape = jnp.asarray(value), like.values.shape
    if array.ndim == 0:
        return number(name, array, like.dtype)
    expect_real(name, array)
    expect_shape(name, array, shape[-1:], f"the last axis of {shape}, or ()")
    return array.astype(like.dtype).reshape((1,) * (len(shape) - 1) + array.shape)
