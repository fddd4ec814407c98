"""Derivatives along the arguments that move, and where they are computed."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax import Array
from jax.custom_derivatives import SymbolicZero

T = TypeVar("T")


def moves(tangent: Any) -> bool:
    """Whether an argument, which may be None, has a derivative to follow."""
    return not (tangent is None or isinstance(tangent, SymbolicZero))


def apart(arrays: T) -> T:
    """The same arrays, which the CPU reads again instead of storing what it made of them before.

    A pass over large arrays is cheap there, and storing another one is not. Elsewhere what two
    formulas share is made once and not stored.
    """
    return jax.lax.platform_dependent(
        arrays,
        # One by one: arrays behind one barrier would have to be alike in how they are sharded.
        cpu=lambda arrays: jax.tree.map(jax.lax.optimization_barrier, arrays),
        default=lambda arrays: arrays,
    )


def along(tangents: tuple, *slopes: Array) -> Array:
    """Σ slope · tangent. An argument that does not move has no term: 0 · inf would be NaN."""
    terms = [
        slope * tangent.astype(slope.dtype)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if moves(tangent)
    ]
    return total(terms)


def total(terms: list[T]) -> T:
    """The sum of arrays, or of tuples of arrays."""
    return jax.tree.map(lambda *x: sum(x[1:], start=x[0]), *terms)


def in_two_passes(formula: Callable[..., Array]) -> Callable[..., Array]:
    """The formula, with derivatives that the CPU computes from its arguments in a second pass."""
    value = jax.custom_jvp(formula)

    def rule(primals, tangents):
        again = apart(primals)
        moving = [i for i, tangent in enumerate(tangents) if moves(tangent)]

        def of_moving(*arguments):
            where = dict(zip(moving, arguments, strict=True))
            return formula(*(where.get(i, x) for i, x in enumerate(again)))

        point, direction = ([xs[i] for i in moving] for xs in (again, tangents))
        return value(*primals), jax.jvp(of_moving, point, direction)[1]

    value.defjvp(rule, symbolic_zeros=True)
    return value
