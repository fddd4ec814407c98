"""How a public loss is declared: what is checked before JAX traces it, and what is compiled.

`loss(...)` turns a function of arrays into a public loss. It names the arguments that are wrong,
decides which of them are part of the program, and compiles an eager call as one program.
"""

import functools
import inspect
import operator
from collections.abc import Callable, Collection
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh

from jaxent import _habits
from jaxent._explicit import with_explicit_axes
from jaxent.core.dtypes import as_rounded, compute_dtype, in_float64
from jaxent.core.mesh import AxisName
from jaxent.core.stats import KEPT_FOR_BACKWARD

P = ParamSpec("P")
R = TypeVar("R")
Axis = int | tuple[int, ...] | None
Reduction = Literal["none", "sum", "mean", "weighted_mean", "total_and_count", "total_and_weight"]


class Number(NamedTuple):
    """An option that is a number: its closed range, the range in words, and where it is idle."""

    low: float
    high: float
    words: str
    idle: float | None = None  # a loss at this number is the loss without the option


_NORMAL = 2.0**-126  # the smallest normal float32: XLA flushes smaller numbers to 0
FRACTION = Number(0, 1, "in [0, 1]")
HALF = Number(0, 0.5, "in [0, 0.5]")
ANY = Number(-np.inf, np.inf, "a number", idle=0)
NON_NEGATIVE = Number(0, np.inf, "at least 0", idle=0)
SMOOTHING = FRACTION._replace(idle=0)
POS_WEIGHT = NON_NEGATIVE._replace(idle=1)
TEMPERATURE = Number(_NORMAL, np.inf, "above 0 (2**-126 or more)", idle=1)
SOFTCAP = Number(_NORMAL, 2.0**127, "above 0 and finite (2**-126 to 2**127)")


def loss(
    kept: Callable[..., Any] = KEPT_FOR_BACKWARD, /, **numbers: Number
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a public loss, with its options that are numbers.

    Reverse mode saves the arguments as they came, and what the policy `kept` saves. It recomputes
    casts, masks and elementwise formulas. Where one program holds value and gradient, the compiler
    may share what both need.

    A number may be a Python number, whose range is checked, or an array. Its value is traced, so
    another value does not compile again. Two Python numbers are part of the program instead: the
    default, and the number at which the option is idle, which is the same as None.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = signature.parameters
        optional = {name for name in parameters if parameters[name].default is None}
        static = [name for name in STATIC if name in parameters]
        options = {"class_weights", *numbers}
        apply: Callable[..., Any] = function

        @functools.wraps(function)
        def saving_arguments(**arguments):
            fixed = {name: arguments.pop(name) for name in static if name in arguments}

            def of_prepared(arguments):
                return apply(**_prepared(arguments, options), **fixed)

            return jax.checkpoint(of_prepared, policy=kept, prevent_cse=False)(arguments)

        compiled = with_explicit_axes(jax.jit(saving_arguments, static_argnames=static), static)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                arguments = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                hint = _habits.of_keywords(kwargs, parameters)
                raise TypeError(f"{function.__name__}() {error}{hint}") from None
            _habits.expect_predictions_first(list(parameters)[:2], arguments)
            given = {}
            for name, value in arguments.items():
                if name in STATIC:
                    given[name] = _static(name, value, function.__name__)
                    continue
                if not (value is None and name in optional):
                    value = _array_like(name, value)
                if name in numbers and value is not None:
                    value = _checked(name, value, numbers[name])
                if not _is_default(value, parameters[name].default):
                    given[name] = value
            for name in static:
                given.setdefault(name, parameters[name].default)
            return compiled(**given)

        return call

    return declare


def _prepared(arguments: dict[str, Any], options: Collection[str]) -> dict[str, Any]:
    """The arrays as every loss takes them, whatever a program has done to them before.

    Each is rounded as its dtype says. Where one that is no option is in float64, all floating ones
    are.
    """
    arrays = {name: as_rounded(x) for name, x in arguments.items() if x is not None}
    wide = compute_dtype(*(x for name, x in arrays.items() if name not in options))
    if wide == jnp.float64:
        arrays = {name: in_float64(x) for name, x in arrays.items()}
    return dict.fromkeys(arguments) | arrays


def _static(name: str, value: Any, function: str) -> Any:
    if isinstance(value, Tracer):
        raise TypeError(
            f"{name} must be known when a loss is compiled, got a traced array. Bind it before"
            f" jax.jit: jax.jit(functools.partial(jaxent.{function}, {name}=...))"
        )
    return STATIC[name](value)


def _is_default(value: Any, default: Any) -> bool:
    """Whether a value is None or the Python number that is the default, in the program anyway."""
    same = isinstance(value, float) and isinstance(default, float) and value == default
    return same or (value is None and default is None)


def _checked(name: str, value: Any, number: Number) -> Any:
    """The number, or None where it is idle; an error if it is known to be out of its range."""
    if isinstance(value, int):
        value = float(value)  # so that 1 compiles nothing that 1.0 has not
    known = isinstance(value, float | np.ndarray | np.generic)
    if known and not np.all((np.asarray(value) >= number.low) & (np.asarray(value) <= number.high)):
        raise ValueError(f"{name} must be {number.words}, got {value!r}")
    return None if isinstance(value, float) and value == number.idle else value


def _array_like(name: str, value: Any) -> Any:
    """The value, if it is an array or a number, safe from the wrap-around of narrower integers."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.extended):
        raise TypeError(f"{name} must be an array of numbers, got {value.dtype}")
    if isinstance(value, jax.Array | bool | float):
        return value
    if isinstance(value, int):
        limits = np.iinfo(jax.dtypes.canonicalize_dtype(np.int64))
        return min(max(value, int(limits.min)), int(limits.max))
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    numeric = isinstance(value, np.ndarray | np.generic) and any(
        jnp.issubdtype(value.dtype, kind) for kind in (np.number, np.bool_)
    )
    if not numeric or value.dtype.kind == "m" or value.dtype == np.longdouble:
        raise TypeError(f"{name} must be an array or a number, got {_habits.described(value)}")
    if not value.dtype.isnative:
        raise TypeError(
            f"{name} must have the byte order of this machine, got dtype {value.dtype.str!r}:"
            f" write {name}.astype({name}.dtype.newbyteorder('='))"
        )
    dtype = jax.dtypes.canonicalize_dtype(value.dtype)
    if jnp.issubdtype(dtype, np.integer) and dtype != value.dtype:
        clipped = np.clip(value, np.iinfo(dtype).min, np.iinfo(dtype).max)
        if name != "labels" and np.any(clipped != value):
            raise ValueError(f"{name} must be floating to hold integers that {dtype} cannot")
        return clipped.astype(dtype)
    return value


def _axis(axis: Any) -> Axis:
    if axis is None:
        return None
    if isinstance(axis, tuple):
        return tuple(_axis_number(a) for a in axis)
    return _axis_number(axis)


def _axis_number(axis: Any) -> int:
    wrong = TypeError(
        f"axis must be an int, a tuple of ints or None, got {axis!r}. Masks, weights and options"
        " go by name"
    )
    if isinstance(axis, bool):
        raise wrong
    try:
        return operator.index(axis)
    except TypeError:
        raise wrong from None


def _reduction(reduction: Any) -> str:
    if not isinstance(reduction, str):
        raise TypeError(f"reduction must be a string, got {reduction!r}")
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {get_args(Reduction)}, got {reduction!r}")
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


# Arguments that a program is compiled for, with what checks them.
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
