"""The decorator `loss`, which turns a function of arrays into a public loss.

A public loss validates its arguments, separates static arguments from traced arrays, and calls one
compiled program. So an eager call runs one program, not one for each operation.
"""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxent import _habits
from jaxent._explicit import with_explicit_axes
from jaxent._static import STATIC
from jaxent._static import Axis as Axis
from jaxent._static import Reduction as Reduction
from jaxent.core.dtypes import compute_dtype, in_float64
from jaxent.core.lower import as_rounded, narrow_gradient_in_one_loop
from jaxent.core.stats import KEPT_FOR_BACKWARD

P = ParamSpec("P")
R = TypeVar("R")


class Number(NamedTuple):
    """The closed range of a numeric option, for checks and for error messages."""

    low: float
    high: float
    range_text: str
    idle: float | None = None  # the number at which the option does nothing
    constants: tuple[float, ...] = ()  # the numbers for which the loss is another formula


@jax.tree_util.register_static
@dataclass(frozen=True)
class Constant:
    """A Python number that is a constant of the program."""

    value: float


_NORMAL = 2.0**-126  # the smallest normal float32: XLA's CPU compiler flushes smaller numbers to 0
FRACTION = Number(0, 1, "in [0, 1]")
HALF = Number(0, 0.5, "in [0, 0.5]")
ANY = Number(-np.inf, np.inf, "a number", idle=0)
NON_NEGATIVE = Number(0, np.inf, "at least 0", idle=0)
SMOOTHING = FRACTION._replace(idle=0)
FACTOR = NON_NEGATIVE._replace(idle=1)
MARGIN = Number(0, 1 - 2.0**-24, "in [0, 1)", idle=0)
MIXTURE = FRACTION._replace(constants=(0.0, 1.0))
TEMPERATURE = Number(_NORMAL, 2.0**126, "above 0 and finite (2**-126 to 2**126)", idle=1)
SOFTCAP = Number(_NORMAL, 2.0**127, "above 0 and finite (2**-126 to 2**127)")


def loss(
    residuals: Callable[..., Any] = KEPT_FOR_BACKWARD, /, **numbers: Number
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a public loss, with the ranges of its numeric options.

    Reverse mode saves the arguments in their own dtypes, and the residuals that the checkpoint
    policy `residuals` names. It recomputes casts, masks and elementwise formulas. If one program
    computes value and gradient, XLA may still share common expressions.

    A numeric option is a Python number, whose range is checked, or an array. Its value is traced,
    so another value does not compile again. Two Python numbers are constants of the program
    instead: the default, and the idle number, which is the same as None.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = signature.parameters
        optional = {name for name in parameters if parameters[name].default is None}
        static = [name for name in STATIC if name in parameters]
        options = {"class_weights", *numbers}
        apply: Callable[..., Any] = function

        @functools.wraps(function)
        def checkpointed(**arguments):
            fixed = {name: arguments.pop(name) for name in static if name in arguments}

            def of_arrays(arguments):
                return apply(**_rounded_and_widened(arguments, options), **fixed)

            return jax.checkpoint(of_arrays, policy=residuals, prevent_cse=False)(arguments)

        compiled = with_explicit_axes(jax.jit(checkpointed, static_argnames=static), static)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                arguments = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                hint = _habits.keyword_hint(kwargs, parameters)
                raise TypeError(f"{function.__name__}() {error}{hint}") from None
            _habits.expect_predictions_first(list(parameters)[:2], arguments)
            given = {}
            for name, value in arguments.items():
                if isinstance(value, Constant):
                    given[name] = value
                    continue
                if name in STATIC:
                    given[name] = _validate_static(name, value, function.__name__)
                    continue
                if not (value is None and name in optional):
                    value = _validate_array_like(name, value)
                if name in numbers and value is not None:
                    value = _validate_number(name, value, numbers[name])
                if not _is_default(value, parameters[name].default):
                    given[name] = value
            for name in static:
                given.setdefault(name, parameters[name].default)
            return compiled(**given)

        vars(call)["numbers"] = numbers
        return call

    return declare


def numbers_of(function: Callable[..., Any]) -> dict[str, Number]:
    """The ranges of the numeric options of a public loss."""
    return getattr(function, "numbers", {})


def _rounded_and_widened(arguments: dict[str, Any], options: Collection[str]) -> dict[str, Any]:
    """The arrays, rounded to their dtypes. One float64 array, options aside, makes all float64."""
    constants = {name: x for name, x in arguments.items() if isinstance(x, Constant)}
    given = {name: x for name, x in arguments.items() if _is_array(x)}
    arrays = {name: narrow_gradient_in_one_loop(as_rounded(x)) for name, x in given.items()}
    wide = compute_dtype(*(x for name, x in arrays.items() if name not in options))
    if wide == jnp.float64:
        arrays = {name: in_float64(x) for name, x in arrays.items()}
    return dict.fromkeys(arguments) | arrays | constants


def _is_array(x: Any) -> bool:
    return x is not None and not isinstance(x, Constant)


def _validate_static(name: str, value: Any, function: str) -> Any:
    if isinstance(value, Tracer):
        raise TypeError(
            f"{name} must be known when a loss is compiled, got a traced array. Bind it before"
            f" jax.jit: jax.jit(functools.partial(jaxent.{function}, {name}=...))"
        )
    return STATIC[name](value)


def _is_default(value: Any, default: Any) -> bool:
    """Whether a value is the default: None, or a Python number that the program has as constant."""
    same = isinstance(value, float) and isinstance(default, float) and value == default
    return same or (value is None and default is None)


def _validate_number(name: str, value: Any, number: Number) -> Any:
    """The number, or None if it is idle. A traced number has no value to check."""
    if isinstance(value, int):
        value = float(value)  # 1 and 1.0 share a program
    known = isinstance(value, float | np.ndarray | np.generic)
    if known and not np.all((np.asarray(value) >= number.low) & (np.asarray(value) <= number.high)):
        raise ValueError(f"{name} must be {number.range_text}, got {value!r}")
    if isinstance(value, float) and value in number.constants:
        return Constant(value)
    return None if isinstance(value, float) and value == number.idle else value


def _validate_array_like(name: str, value: Any) -> Any:
    """An array or a number. Integers that JAX would narrow are clipped, so that none wraps."""
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
        raise TypeError(f"{name} must be an array or a number, got {_habits.describe(value)}")
    if not value.dtype.isnative:
        raise TypeError(
            f"{name} must have the byte order of this machine, got dtype {value.dtype.str!r}:"
            f" write {name}.astype({name}.dtype.newbyteorder('='))"
        )
    dtype = jax.dtypes.canonicalize_dtype(value.dtype)
    if jnp.issubdtype(dtype, np.integer) and dtype != value.dtype:
        clipped = np.clip(value, np.iinfo(dtype).min, np.iinfo(dtype).max)
        if name not in ("labels", "positives") and np.any(clipped != value):
            raise ValueError(f"{name} must be floating to hold integers that {dtype} cannot")
        return clipped.astype(dtype)
    return value
