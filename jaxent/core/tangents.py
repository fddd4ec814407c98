"""Derivatives along the arguments that move, and where they are computed."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax
from jax import Array
from jax.custom_derivatives import SymbolicZero

T = TypeVar("T")


def moves(tangent: Any) -> bool:
    """Whether an argument, which may be None, has a derivative to follow."""
    return not (tangent is None or isinstance(tangent, SymbolicZero))


def apart(arrays: T, *platforms: str) -> T:
    """The same arrays, which these platforms read again, and store nothing made of them before.

    A pass over large arrays costs them less than storing another. Where everything is compiled
    into one pass, or nothing is shared, it would be a pass too many.
    """
    return jax.lax.platform_dependent(
        arrays, default=lambda arrays: arrays, **dict.fromkeys(platforms, _again)
    )


def _again(arrays: T) -> T:
    # One by one: arrays behind one barrier would have to be alike in how they are sharded. A number
    # goes past it: a constant power of 2, seen as one, is a product.
    return jax.tree.map(lambda x: jax.lax.optimization_barrier(x) if x.ndim else x, arrays)


def rows_apart(made: T) -> T:
    """The same numbers of rows, one each, which the CPU has made before it goes on with them.

    Of a sum over classes, of what is done with it and of the mean over rows newer XLA would make
    one chain there, and take up to ten times as long over it.
    """
    return apart(made, "cpu")


def along(tangents: tuple, *slopes: Array) -> Array:
    """Σ slope · tangent. An argument that does not move has no term: 0 · inf would be NaN."""
    terms = [
        slope * tangent.astype(slope.dtype)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if moves(tangent)
    ]
    return added(terms)


def added(terms: list[T]) -> T:
    """The sum of arrays, or of tuples of arrays."""
    return jax.tree.map(lambda *x: sum(x[1:], start=x[0]), *terms)


def in_two_passes(*platforms: str) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Declares a formula whose derivatives these platforms compute in a second pass."""

    def declare(formula: Callable[..., Array]) -> Callable[..., Array]:
        value = jax.custom_jvp(formula)

        def rule(primals, tangents):
            again = apart(_in_shape_of_its_own(primals), *platforms)
            made = value(*primals)
            directions = tuple(_in_shape_of_its_own(x) if moves(x) else x for x in tangents)
            return made, along_moving(formula, again, directions).reshape(made.shape)

        value.defjvp(rule, symbolic_zeros=True)
        return value

    return declare


def _in_shape_of_its_own(arrays: T) -> T:
    # XLA would find a constant of both passes to be one and store it, were they of one shape.
    return jax.tree.map(lambda x: x[None] if x.ndim else x, arrays)


def along_moving(function: Callable[..., T], primals: Any, tangents: Any) -> T:
    """The derivative of a function along the arrays, of trees of them, that move."""
    directions = jax.tree.structure(primals).flatten_up_to(tangents)
    of_moving, point = restricted(function, primals, [moves(d) for d in directions])
    return jax.jvp(of_moving, point, [d for d in directions if moves(d)])[1]


def restricted(
    function: Callable[..., T], arguments: Any, moving: Iterable[bool]
) -> tuple[Callable[..., T], list[Array]]:
    """A function of those arrays alone, of its trees of arguments, that move; and these."""
    arrays, tree = jax.tree.flatten(arguments)
    places = [i for i, moves in enumerate(moving) if moves]

    def of_moving(*given):
        at = dict(zip(places, given, strict=True))
        return function(*tree.unflatten([at.get(i, x) for i, x in enumerate(arrays)]))

    return of_moving, [arrays[i] for i in places]
