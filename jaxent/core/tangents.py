"""Sums of the derivatives along the arguments that move."""

from jax import Array
from jax.custom_derivatives import SymbolicZero


def along(tangents: tuple, *slopes: Array) -> Array:
    """Σ slope · tangent. An argument that does not move has no term: 0 · inf would be NaN."""
    terms = [
        slope * tangent.astype(slope.dtype)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    ]
    return sum(terms[1:], start=terms[0])
