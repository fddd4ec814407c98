"""Validates the static arguments of losses, for which a program is compiled."""

import functools
import operator
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxent import _habits
from jaxent.core.mesh import AxisName

Axis = int | tuple[int, ...] | None
Reduction = Literal["none", "sum", "mean", "weighted_mean", "total_and_count", "total_and_weight"]


def _validate_axis(argument: str, axis: Any) -> Axis:
    if axis is None:
        return None
    if isinstance(axis, tuple):
        return tuple(_validate_axis_number(argument, a) for a in axis)
    return _validate_axis_number(argument, axis)


def _validate_axis_number(argument: str, axis: Any) -> int:
    wrong = TypeError(
        f"{argument} must be an int, a tuple of ints or None, got {axis!r}."
        " Masks, weights and options go by name"
    )
    if isinstance(axis, bool):
        raise wrong
    try:
        return operator.index(axis)
    except TypeError:
        raise wrong from None


def _validate_reduction(reduction: Any) -> str:
    if not isinstance(reduction, str):
        raise TypeError(f'reduction must be a string, got {reduction!r}. For no reduction, "none"')
    if reduction not in get_args(Reduction):
        hint = _habits.reduction_hint(reduction)
        raise ValueError(f"reduction must be one of {get_args(Reduction)}, got {reduction!r}{hint}")
    return reduction


def _validate_max_logits_bytes(size: Any) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(f"max_logits_bytes must be an int or None, got {size!r}")
    size = operator.index(size)
    if size < 1:
        raise ValueError(f"max_logits_bytes must be positive, got {size}")
    return size


def _validate_operand_dtype(dtype: Any) -> Any:
    if dtype is None:
        return None
    try:
        known = jnp.dtype(dtype)
    except TypeError:
        raise TypeError(f"operand_dtype must be a dtype or None, got {dtype!r}") from None
    if not jnp.issubdtype(known, jnp.floating):
        raise TypeError(f"operand_dtype must be floating, got {known}")
    if jax.dtypes.canonicalize_dtype(known) != known:
        raise TypeError(f"operand_dtype must have at most 32 bits without x64 mode, got {known}")
    return known


def _validate_flag(argument: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{argument} must be True or False, got {value!r}")
    return value


def validate_mesh_axis(argument: str, axis: Any) -> AxisName:
    names = axis if isinstance(axis, tuple) else (axis,)
    if axis is not None and not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument} must be a name, a tuple of names or None, got {axis!r}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{argument} must name one axis or more, each once, got {axis!r}")
    return axis


def validate_mesh(mesh: Any) -> Mesh:
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be a jax.sharding.Mesh, got {type(mesh).__name__}: {mesh!r}")
    return mesh


# The static arguments of a program, with the functions that validate them.
STATIC: dict[str, Callable[[Any], Any]] = {
    "axis": functools.partial(_validate_axis, "axis"),
    "target_axis": functools.partial(_validate_axis, "target_axis"),
    "operand_dtype": _validate_operand_dtype,
    "axis_name": functools.partial(validate_mesh_axis, "axis_name"),
    "reduction": _validate_reduction,
    "max_logits_bytes": _validate_max_logits_bytes,
    **{name: functools.partial(_validate_flag, name) for name in ("symmetric", "exclude_self")},
}
