"""The judge of what a user passes in; `_classes` judges what has a class axis.

A public loss is declared with `loss(...)`, which judges what can be told before tracing (kinds of
arguments, ranges of Python numbers) and makes an eager call one compiled call. The functions below
it judge shapes and dtypes, once per trace, and hand on arrays that need no further care. Nothing
broadcasts: a shape that is not the expected one is an error.
"""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jax.typing import ArrayLike, DTypeLike

from jaxent._explicit import with_explicit_axes
from jaxent.core.dtypes import compute_dtype
from jaxent.core.mesh import AxisName, varying
from jaxent.core.stats import KEPT_FOR_BACKWARD

P = ParamSpec("P")
R = TypeVar("R")
Axis = int | tuple[int, ...] | None

FRACTION = (0, 1)
NON_NEGATIVE = (0, math.inf)
ANY_NUMBER = (-math.inf, math.inf)
POSITIVE = 2.0**-126, math.inf  # from the smallest normal float32
FINITE_POSITIVE = 2.0**-126, 2.0**127


def loss(
    kept: Callable[..., Any] = KEPT_FOR_BACKWARD, /, **ranges: tuple[float, float]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a public loss: one compiled call, its number options named with their ranges.

    Reverse mode keeps the arguments as they came, and what a policy keeps; the casts, masks and
    elementwise formulas between them are made again. Where value and gradient are compiled
    together the compiler is free to make what they share once.

    An option may be a Python number, which is checked to lie in its closed range, or an array,
    traced or not, which is not. Either way its value is traced: another value compiles nothing.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = signature.parameters
        optional = [name for name in parameters if parameters[name].default is None]
        static = [name for name in STATIC if name in parameters]

        @functools.wraps(function)
        def keeping_arguments(**arguments):
            fixed = {name: arguments.pop(name) for name in static if name in arguments}
            loss = functools.partial(function, **fixed)
            return jax.checkpoint(loss, policy=kept, prevent_cse=False)(**arguments)

        compiled = with_explicit_axes(jax.jit(keeping_arguments, static_argnames=static))

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            # A default that is spelled out compiles nothing new.
            bound.apply_defaults()
            arguments = bound.arguments
            for name, value in arguments.items():
                if name in static or (value is None and name in optional):
                    continue
                value = _array_like(name, value)
                if name in ranges:
                    value = _number_option(name, value, *ranges[name])
                arguments[name] = value
            for name in static:
                arguments[name] = STATIC[name](arguments[name])
            return compiled(**arguments)

        return call

    return declare


def _array_like(name: str, value: Any) -> ArrayLike:
    """The value, if it is an array or a number, safe from the wrap-around of narrower integers."""
    if isinstance(value, jax.Array | bool | float):
        return value
    if isinstance(value, int):
        limits = np.iinfo(jax.dtypes.canonicalize_dtype(np.int64))
        return min(max(value, int(limits.min)), int(limits.max))
    kinds = np.number, np.bool_
    if not hasattr(value, "dtype") or not any(jnp.issubdtype(value.dtype, k) for k in kinds):
        kind = type(value).__name__
        raise TypeError(f"{name} must be an array or a number, got {kind}: {value!r}")
    dtype = jax.dtypes.canonicalize_dtype(value.dtype)
    if jnp.issubdtype(dtype, np.integer) and dtype != value.dtype:
        clipped = np.clip(value, np.iinfo(dtype).min, np.iinfo(dtype).max)
        if name != "labels" and np.any(clipped != value):
            raise ValueError(f"{name} must be floating to hold integers that {dtype} cannot")
        return clipped.astype(dtype)
    return value


def _number_option(name: str, value: Any, low: float, high: float) -> Any:
    """The value of an option, which lies in its range if that can be told."""
    if isinstance(value, int):
        value = float(value)  # so that 1 compiles nothing that 1.0 has not
    told = isinstance(value, float | np.ndarray | np.generic)
    if told and not np.all((np.asarray(value) >= low) & (np.asarray(value) <= high)):
        raise ValueError(f"{name} must lie in [{low}, {high}], got {value!r}")
    return value


def _axis(axis: Any) -> Axis:
    if axis is None:
        return None
    if isinstance(axis, tuple):
        return tuple(_axis_number(a) for a in axis)
    return _axis_number(axis)


def _axis_number(axis: Any) -> int:
    wrong = TypeError(f"axis must be an int, a tuple of ints or None, got {axis!r}")
    if isinstance(axis, bool):
        raise wrong
    try:
        return operator.index(axis)
    except TypeError:
        raise wrong from None


def _reduction(reduction: Any) -> str:
    if not isinstance(reduction, str):
        raise TypeError(f"reduction must be a string, got {reduction!r}")
    return reduction


def _max_logits_bytes(size: Any) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(f"max_logits_bytes must be an int or None, got {size!r}")
    size = operator.index(size)
    if size < 1:
        raise ValueError(f"max_logits_bytes must be positive, got {size}")
    return size


def _symmetric(symmetric: Any) -> bool:
    if not isinstance(symmetric, bool):
        raise TypeError(f"symmetric must be True or False, got {symmetric!r}")
    return symmetric


def _mesh_axis(argument: str, axis: Any) -> AxisName:
    names = axis if isinstance(axis, tuple) else (axis,)
    if axis is not None and not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument} must be a name, a tuple of names or None, got {axis!r}")
    return axis


def _mesh(mesh: Any) -> Mesh:
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be a jax.sharding.Mesh, got {type(mesh).__name__}: {mesh!r}")
    return mesh


# Arguments that a program is compiled for, with their judges.
STATIC: dict[str, Callable[[Any], Any]] = {
    "axis": _axis,
    "mesh": _mesh,
    **{
        argument: functools.partial(_mesh_axis, argument)
        for argument in ("axis_name", "data_axis", "vocab_axis", "feature_axis")
    },
    "reduction": _reduction,
    "max_logits_bytes": _max_logits_bytes,
    "symmetric": _symmetric,
}


def expect_floating(name: str, x: Array) -> None:
    with _explained(TypeError, f"{name} must be floating, got {x.dtype}"):
        chex.assert_type(x, jnp.floating)


def expect_integer(name: str, x: Array) -> None:
    with _explained(TypeError, f"{name} must be class numbers of an integer dtype, got {x.dtype}"):
        chex.assert_type(x, jnp.integer)


def expect_real(name: str, x: Array) -> None:
    kinds = (jnp.bool_, jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(x.dtype, kind) for kind in kinds):
        raise TypeError(f"{name} must be real numbers, got {x.dtype}")


def expect_boolean(name: str, x: Array) -> None:
    with _explained(TypeError, f"{name} must be boolean, got {x.dtype}"):
        chex.assert_type(x, jnp.bool_)


def expect_shape(name: str, x: Array, shape: tuple[int, ...], source: str) -> None:
    with _explained(ValueError, f"{name} must have the shape {shape} of {source}, got {x.shape}"):
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
    return jnp.where(kept, x, jnp.asarray(fill, x.dtype))


def kept_elements(
    shape: tuple[int, ...], where: ArrayLike | None, weights: ArrayLike | None
) -> Array | None:
    """Which losses of a shape count: those that `where` keeps and whose weight is not 0."""
    kept = None
    if where is not None:
        kept = jnp.asarray(where)
        expect_boolean("where", kept)
        expect_shape("where", kept, shape, "the losses")
    if weights is not None:
        weights = jnp.asarray(weights)
        expect_real("weights", weights)
        expect_shape("weights", weights, shape, "the losses")
        kept = weights != 0 if kept is None else kept & (weights != 0)
    return kept


class Elements(NamedTuple):
    """Binary predictions and labels of one shape, in their own dtypes."""

    values: Array
    labels: Array
    kept: Array | None

    @property
    def dtype(self) -> DTypeLike:
        """That of computation."""
        return compute_dtype(self.values, self.labels)


def elements(
    name: str,
    values: ArrayLike,
    labels: ArrayLike,
    where: ArrayLike | None,
    weights: ArrayLike | None,
) -> Elements:
    """Judges elementwise predictions with their labels, and makes dropped ones harmless."""
    values, labels = jnp.asarray(values), jnp.asarray(labels)
    expect_floating(name, values)
    expect_real("labels", labels)
    expect_shape("labels", labels, values.shape, name)
    kept = kept_elements(values.shape, where, weights)
    return Elements(keep(values, kept, 0.5), keep(labels, kept, 0), kept)


def per_class_option(name: str, value: ArrayLike, like: Elements) -> Array:
    """A number, or one number per class of the last axis, that broadcasts against the elements."""
    array, shape = jnp.asarray(value), like.values.shape
    if array.ndim == 0:
        return number(name, array, like.dtype)
    expect_real(name, array)
    expect_shape(name, array, shape[-1:], f"the last axis of {shape}, or ()")
    return array.astype(like.dtype).reshape((1,) * (len(shape) - 1) + array.shape)
