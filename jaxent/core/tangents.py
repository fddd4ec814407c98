"""Derivatives along the perturbed arguments, those whose tangent is not symbolically zero."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax
from jax import Array
from jax.custom_derivatives import SymbolicZero

T = TypeVar("T")


def moves(tangent: Any) -> bool:
    """Whether an argument is perturbed. An argument of None is not."""
    return not (tangent is None or isinstance(tangent, SymbolicZero))


def along(tangents: tuple, *slopes: Array) -> Array:
    """Σ slope · tangent over the perturbed arguments. For others 0 · inf would be NaN."""
    terms = [
        slope * tangent.astype(slope.dtype)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if moves(tangent)
    ]
    return added(terms)


def added(terms: list[T]) -> T:
    """The sum of arrays, or of tuples of arrays."""
    return jax.tree.map(lambda *x: sum(x[1:], start=x[0]), *terms)


def along_moving(function: Callable[..., T], primals: Any, tangents: Any) -> T:
    """The derivative of a function of trees of arrays along those that are perturbed."""
    directions = jax.tree.structure(primals).flatten_up_to(tangents)
    of_moving, point = restricted(function, primals, [moves(d) for d in directions])
    return jax.jvp(of_moving, point, [d for d in directions if moves(d)])[1]


def restricted(
    function: Callable[..., T], arguments: Any, moving: Iterable[bool]
) -> tuple[Callable[..., T], list[Array]]:
    """The function of its perturbed arrays alone, and these arrays."""
    arrays, tree = jax.tree.flatten(arguments)
    places = [i for i, moves in enumerate(moving) if moves]

    def of_moving(*given):
        at = dict(zip(places, given, strict=True))
        return function(*tree.unflatten([at.get(i, x) for i, x in enumerate(arrays)]))

    return of_moving, [arrays[i] for i in places]
