"""Sums of the derivatives along the arguments that move."""

from typing import TypeVar

import jax
from jax import Array
from jax.custom_derivatives import SymbolicZero

T = TypeVar("T")


def along(tangents: tuple, *slopes: Array) -> Array:
    """Σ slope · tangent. An argument that does not move has no term: 0 · inf would be NaN."""
    terms = [
        slope * tangent.astype(slope.dtype)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    ]
    return total(terms)


def total(terms: list[T]) -> T:
    """The sum of arrays, or of tuples of arrays."""
    return jax.tree.map(lambda *x: sum(x[1:], start=x[0]), *terms)
