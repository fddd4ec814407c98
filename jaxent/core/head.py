r"""The linear map in front of a softmax, z = x W + b, its derivative and its transpose.

    ∂x = ∂z Wᵀ        ∂W = xᵀ ∂z        ∂b = Σ_rows ∂z

The operands of a product are in the common dtype of features and kernel, its result in float32 at
least.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jaxent.core.dtypes import common_dtype, compute_dtype, widen
from jaxent.core.mesh import select, varying, varying_over
from jaxent.core.tangents import added, moves

_ALIGNED = 128
# A kernel of more bytes is masked in so many blocks.
_SMALL_KERNEL, _BLOCKS = 2**22, 8


class Head(NamedTuple):
    """Features x (N, D), kernel W (D, V), and bias b (V,) or None; or something for each of them.

    What belongs to them, such as derivatives and whether they move, is None where absent.
    """

    features: Any
    kernel: Any
    bias: Any


def logits(head: Head) -> Array:
    """z = x W + b, (N, V); −inf where b is, whatever W holds there."""
    z = _product(head.features, head.kernel, 1, 0).astype(compute_dtype(*head))
    if head.bias is None:
        return z
    b = head.bias.astype(z.dtype)[None]
    return select(jnp.isneginf(b), b, z + b)


def logits_dot(head: Head, dot: Head) -> Array | None:
    """The derivative of the logits along what moves, of which kernel and bias are wide."""
    x, W, b = head
    terms = []
    if moves(dot.features):
        terms.append(_product(dot.features, _kept_columns(W, b), 1, 0))
    if moves(dot.kernel):
        terms.append(_product(x, dot.kernel, 1, 0))
    if moves(dot.bias):
        terms.append(jnp.broadcast_to(dot.bias[None], (x.shape[0], W.shape[1])))
    dtype = compute_dtype(*head)
    return added([term.astype(dtype) for term in terms]) if terms else None


def no_gradients(head: Head, moving: Head) -> Head:
    """Zeros for what of kernel and bias moves, for `pull` to add to."""
    x, W, b = head
    return Head(
        None,
        jnp.zeros(W.shape, compute_dtype(x, W)) if moving.kernel else None,
        jnp.zeros(b.shape, compute_dtype(*head)) if moving.bias else None,
    )


def pull(head: Head, moving: Head, z_bar: Array | None, sums: Head) -> tuple[Array | None, Head]:
    """∂x, and sums of ∂W and ∂b with those of these rows added; None for what does not move."""
    x_bar = W_bar = b_bar = None
    if z_bar is not None:
        x, W, b = head
        operand = z_bar.astype(compute_dtype(x, W))
        if moving.features:
            x_bar = _times_transposed(operand, W, b, _operand_dtype(x, W))
        if moving.kernel:
            W_bar = _plus_outer(sums.kernel, x, operand, _operand_dtype(x, W))
        if moving.bias:
            b_bar = sums.bias + jnp.sum(z_bar, axis=0)
    return x_bar, Head(None, W_bar, b_bar)


def _kept_columns(W: Array, b: Array | None) -> Array:
    """W with zeros in the columns of classes left out, of bias −inf. Times 0, NaN would be NaN."""
    return W if b is None else select(jnp.isneginf(b)[None], jnp.zeros((), W.dtype), W)


def _times_transposed(z_bar: Array, W: Array, b: Array | None, dtype: DTypeLike) -> Array:
    """z̄ Wᵀ without the classes left out, some classes at a time: a mask of W would copy it."""
    V = W.shape[1]
    if b is None or not isinstance(V, int) or W.size * W.dtype.itemsize <= _SMALL_KERNEL:
        return _product(z_bar, _kept_columns(W, b), 1, 1, dtype)
    size = -(-V // _BLOCKS)

    def add(sums, i):
        # The last block reaches back into the one before it.
        start = jnp.minimum(i * size, V - size)
        z_bar_here, W_here = (lax.dynamic_slice_in_dim(x, start, size, axis=1) for x in (z_bar, W))
        b_here = lax.dynamic_slice_in_dim(b, start, size)
        b_here = select(start + jnp.arange(size) < i * size, -jnp.inf, b_here)
        part = _product(z_bar_here, _kept_columns(W_here, b_here), 1, 1, dtype)
        return sums + part, None

    like = jax.eval_shape(lambda: _product(z_bar, W, 1, 1, dtype))
    nothing = varying_over(varying(z_bar, W, b), jnp.zeros(like.shape, like.dtype))
    return lax.scan(add, nothing, jnp.arange(_BLOCKS))[0]


def _operand_dtype(x: Array, W: Array) -> DTypeLike:
    """That of the logits' derivative where it is multiplied."""
    dtype = common_dtype(x, W)
    # Of float16 the range is too narrow for the probabilities of a large vocabulary.
    return jnp.float32 if dtype == jnp.float16 else dtype


def _product(a: Array, b: Array, a_axis: int, b_axis: int, dtype: DTypeLike | None = None) -> Array:
    """Of operands in a dtype, by default their common one."""
    # Of float32 the CPU's products are faster than of narrower numbers, and the same.
    return lax.platform_dependent(
        a,
        b,
        cpu=lambda a, b: _dot(widen(a), widen(b), a_axis, b_axis),
        default=lambda a, b: _dot(a, b, a_axis, b_axis, dtype),
    )


def _dot(a: Array, b: Array, a_axis: int, b_axis: int, dtype: DTypeLike | None = None) -> Array:
    dtype = common_dtype(a, b) if dtype is None else dtype
    a, b = a.astype(dtype), b.astype(dtype)
    contracted = ((a_axis,), (b_axis,)), ((), ())
    return lax.dot_general(a, b, contracted, preferred_element_type=compute_dtype(a, b))


def _plus_outer(sums: Array, x: Array, z_bar: Array, dtype: DTypeLike) -> Array:
    """sums + xᵀ z̄."""

    def at_once(sums, x, z_bar):
        return sums + _dot(x, z_bar, 0, 0, dtype)

    if not all(isinstance(size, int) for size in (*sums.shape, *x.shape)):
        return at_once(sums, x, z_bar)  # a block has a size that is known
    return lax.platform_dependent(sums, x, z_bar, cpu=_plus_outer_on_cpu, default=at_once)


def _plus_outer_on_cpu(sums: Array, x: Array, z_bar: Array) -> Array:
    """Some classes at a time: the CPU stores a product before it adds it."""
    (D, V), n = sums.shape, len(x)
    # Transposed in memory, or the CPU would multiply at two thirds of the speed.
    x_T = lax.optimization_barrier(widen(x).T)
    # A quarter of the logits then, of whole cache lines.
    block = min(V, max(1, n * V // max(1, 4 * D) // _ALIGNED) * _ALIGNED)

    def add(sums, start, size):
        part = lax.dynamic_slice_in_dim(z_bar, start, size, axis=1)
        known = lax.dynamic_slice_in_dim(sums, start, size, axis=1)
        added = known + _dot(x_T, widen(part), 1, 0)
        return lax.dynamic_update_slice_in_dim(sums, added, start, axis=1)

    whole = V // block
    sums = lax.fori_loop(0, whole, lambda i, sums: add(sums, i * block, block), sums)
    return add(sums, whole * block, V % block) if V % block else sums
