"""Writes jaxent/__init__.pyi, from which type checkers know what a reduction returns.

`python -m tests.stub` writes it anew; a test holds it to the functions' own signatures.
"""

import inspect
from pathlib import Path

import jaxent

PATH = Path(jaxent.__file__).with_suffix(".pyi")
HEAD = '''"""The types of the public functions. `python -m tests.stub` writes this file."""

from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, overload

from jax import Array
from jax.sharding import Mesh
from jax.typing import ArrayLike, DTypeLike

from jaxent._declare import Axis, Reduction
from jaxent.core.mesh import AxisName
from jaxent.core.stats import SoftmaxStats as SoftmaxStats

P = ParamSpec("P")
R = TypeVar("R")
Formula = Callable[..., Any]
__version__: str
__all__: list[str]
_Array = Literal["none", "sum", "mean", "weighted_mean"]
_Pair = Literal["total_and_count", "total_and_weight"]
'''
RESULTS = {
    "_Array": "Array",
    "_Pair": "tuple[Array, Array]",
    "Reduction": "Array | tuple[Array, Array]",
}


def stub() -> str:
    functions = (getattr(jaxent, name) for name in jaxent.__all__ if name != "SoftmaxStats")
    lines = (line for function in functions for line in declared(function))
    return "\n".join([HEAD, *lines]) + "\n"


def declared(function):
    """The overloads of a function, one for each kind of result; a line each."""
    signature = inspect.signature(function)
    if "reduction" not in signature.parameters:
        yield f"def {function.__name__}{signature_of(signature, {})}: ..."
        return
    if "has_aux" in signature.parameters:
        yield f"def {function.__name__}{signature_of(signature, {})}: ..."
        return
    default = signature.parameters["reduction"].default
    for reduction, result in RESULTS.items():
        text = reduction if reduction != "_Array" else f'{reduction} = "{default}"'
        line = signature_of(signature.replace(return_annotation=result), {"reduction": text})
        yield f"@overload\ndef {function.__name__}{line}: ..."


def signature_of(signature, replaced) -> str:
    parts, keyword_only = [], False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            parts.append("*")
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts.append(f"*{name}: {parameter.annotation}")
            keyword_only = True
            continue
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{name}: {replaced.get(name, parameter.annotation + default)}")
    return f"({', '.join(parts)}) -> {signature.return_annotation}"


if __name__ == "__main__":
    PATH.write_text(stub())
