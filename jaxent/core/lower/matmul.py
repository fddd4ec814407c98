"""Matrix products. Operands have a dtype of the caller, results the dtype of computation."""

from functools import partial
from typing import NamedTuple

from jax import Array, lax
from jax.typing import DTypeLike

from jaxent.core.dtypes import common_dtype, compute_dtype, widen

_CACHE_LINE = 128  # columns, a multiple of those in a cache line


class Operand(NamedTuple):
    """A matrix, and the same in the dtype of the products that it is an operand of."""

    exact: Array
    rounded: Array


def matmul(
    a: Array, b: Array | Operand, a_axis: int, b_axis: int, dtype: DTypeLike | None = None
) -> Array:
    """The product of two matrices, contracted over an axis of each, of operands in a dtype."""
    b = b if isinstance(b, Operand) else Operand(b, b)
    result = compute_dtype(a, b.exact)
    # CPU: products of float32 are faster than those of narrower numbers, and exact for them.
    return lax.platform_dependent(
        a,
        b,
        cpu=lambda a, b: _dot(widen(a), widen(b.exact), a_axis, b_axis),
        default=lambda a, b: _dot(a, b.rounded, a_axis, b_axis, dtype).astype(result),
    )


def add_outer(sums: Array, a: Array, b: Array, dtype: DTypeLike) -> Array:
    """sums + aᵀ b."""
    known = all(isinstance(size, int) for size in (*sums.shape, *a.shape))
    on_cpu = _add_by_blocks if known else partial(_add_at_once, dtype=sums.dtype)
    at_once = partial(_add_at_once, dtype=dtype)
    return lax.platform_dependent(sums, a, b, cpu=on_cpu, default=at_once)


def _dot(a: Array, b: Array, a_axis: int, b_axis: int, dtype: DTypeLike | None = None) -> Array:
    dtype = common_dtype(a, b) if dtype is None else dtype
    a, b = a.astype(dtype), b.astype(dtype)
    contracted = ((a_axis,), (b_axis,)), ((), ())
    return lax.dot_general(a, b, contracted, preferred_element_type=compute_dtype(a, b))


def _add_at_once(sums: Array, a: Array, b: Array, dtype: DTypeLike) -> Array:
    return sums + _dot(a, b, 0, 0, dtype).astype(sums.dtype)


def _add_by_blocks(sums: Array, a: Array, b: Array) -> Array:
    """CPU: XLA stores a product before it adds it, so this adds some of the longer axis at a time.

    CPU: a product of the transpose in memory runs at 1.5 times the speed.
    """
    axis, n = int(sums.shape[0] <= sums.shape[1]), len(a)
    length, width = sums.shape[axis], sums.shape[1 - axis]
    # A quarter of the size of the longer operand.
    block = min(length, max(1, n * length // max(1, 4 * width) // _CACHE_LINE) * _CACHE_LINE)
    a_T = _transposed(a) if axis == 1 else None

    def add(sums, start, size):
        known = lax.dynamic_slice_in_dim(sums, start, size, axis)
        if a_T is None:
            part = _dot(_transposed(lax.dynamic_slice_in_dim(a, start, size, 1)), widen(b), 1, 0)
        else:
            part = _dot(a_T, widen(lax.dynamic_slice_in_dim(b, start, size, 1)), 1, 0)
        return lax.dynamic_update_slice_in_dim(sums, known + part, start, axis)

    whole = length // block
    sums = lax.fori_loop(0, whole, lambda i, sums: add(sums, i * block, block), sums)
    return add(sums, whole * block, length % block) if length % block else sums


def _transposed(a: Array) -> Array:
    return lax.optimization_barrier(widen(a).T)
