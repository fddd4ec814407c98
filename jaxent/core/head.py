r"""The linear map in front of a softmax, z = x W + b, its derivative and its transpose.

    ∂x = ∂z Wᵀ        ∂W = xᵀ ∂z        ∂b = Σ_rows ∂z

`lower.matmul` may round the operands of a product to `operand_dtype`, by default the common dtype
of features and kernel. The result is in float32 at least.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jaxent.core import lower
from jaxent.core.dtypes import common_dtype, compute_dtype, widen
from jaxent.core.mesh import select, varying, varying_over
from jaxent.core.tangents import added, moves

# A kernel of more bytes than this is masked in blocks.
_SMALL_KERNEL, _BLOCKS = 2**22, 8


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("features", "kernel", "bias", "rounded_kernel"),
    meta_fields=("axis", "operand_dtype"),
)
@dataclass(frozen=True)
class Head:
    """Features x (N, D), kernel W, and bias b (V,) or None; or one thing for each of the three.

    The class axis of a kernel (D, V) is 1, that of a kernel (V, D) is 0. `operand_dtype` is the
    dtype of the operands of products, None for the common dtype of features and kernel.
    `rounded_kernel` is the kernel in this dtype, None if each product rounds it. A tangent or a
    gradient of a head is a head as well, with None for what is absent.
    """

    features: Any
    kernel: Any
    bias: Any
    axis: int = 1
    operand_dtype: DTypeLike | None = None
    rounded_kernel: Any = None

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """Features, kernel and bias."""
        return self.features, self.kernel, self.bias

    @property
    def classes(self) -> int:
        """V."""
        return self.kernel.shape[self.axis]

    @property
    def dtype(self) -> DTypeLike:
        """The dtype of computation."""
        return compute_dtype(*self.arrays)

    @property
    def kernel_operand(self) -> Array | lower.Operand:
        """The kernel, as an operand of products in `operand_dtype`."""
        if self.rounded_kernel is None:
            return self.kernel
        return lower.Operand(self.kernel, self.rounded_kernel)

    def rounded(self) -> "Head":
        """The same with the kernel rounded once, for the products of many chunks."""
        dtype = self.operand_dtype
        if dtype is None or jnp.dtype(dtype).itemsize >= self.kernel.dtype.itemsize:
            return self
        return replace(self, rounded_kernel=self.kernel.astype(dtype))

    def widened(self) -> "Head":
        """The same with kernel and bias in the dtype of computation, where they are arrays."""
        kernel, bias = (widen(x) if moves(x) else x for x in (self.kernel, self.bias))
        return replace(self, kernel=kernel, bias=bias)


def logits(head: Head) -> Array:
    """z = x W + b, (N, V). A class of bias −inf has the logit −inf, whatever its weights are."""
    z = lower.matmul(head.features, head.kernel_operand, 1, 1 - head.axis, head.operand_dtype)
    z = z.astype(head.dtype)
    if head.bias is None:
        return z
    b = head.bias.astype(z.dtype)[None]
    return select(jnp.isneginf(b), b, z + b)


def logits_dot(head: Head, dot: Head) -> Array | None:
    """The tangent of the logits. Tangents of kernel and bias are in the dtype of computation."""
    along_features, terms = 1 - head.axis, []
    if moves(dot.features):
        W = _without_left_out(head.kernel, head.bias, head.axis)
        dtype = _tangent_operand_dtype(head, dot.features)
        terms.append(lower.matmul(dot.features, W, 1, along_features, dtype))
    if moves(dot.kernel):
        dtype = _tangent_operand_dtype(head, dot.kernel)
        terms.append(lower.matmul(head.features, dot.kernel, 1, along_features, dtype))
    if moves(dot.bias):
        terms.append(jnp.broadcast_to(dot.bias[None], (len(head.features), head.classes)))
    return added([term.astype(head.dtype) for term in terms]) if terms else None


def no_gradients(head: Head, moving: Head) -> Head:
    """Zeros for the gradients of kernel and bias that are wanted, for `pull` to add to."""
    x, W, b = head.arrays
    return replace(
        head,
        rounded_kernel=None,
        features=None,
        kernel=jnp.zeros(W.shape, compute_dtype(x, W)) if moving.kernel else None,
        bias=jnp.zeros(b.shape, head.dtype) if moving.bias else None,
    )


def pull(head: Head, moving: Head, z_bar: Array | None, sums: Head) -> tuple[Array | None, Head]:
    """∂x of these rows, and the sums of ∂W and ∂b with these rows added; None if not wanted."""
    x_bar = W_bar = b_bar = None
    if z_bar is not None:
        x, W, _ = head.arrays
        operand, dtype = z_bar.astype(compute_dtype(x, W)), _gradient_operand_dtype(head)
        if moving.features:
            x_bar = _times_transposed(operand, head, dtype)
        if moving.kernel:
            outer = (x, operand) if head.axis == 1 else (operand, x)
            W_bar = lower.add_outer(sums.kernel, *outer, dtype)
        if moving.bias:
            b_bar = sums.bias + jnp.sum(z_bar, axis=0)
    return x_bar, replace(sums, kernel=W_bar, bias=b_bar)


def _without_left_out(W: Array, b: Array | None, axis: int) -> Array:
    """W with zeros for the classes of bias −inf, since 0 · NaN is NaN."""
    if b is None:
        return W
    left_out = jnp.expand_dims(jnp.isneginf(b), 1 - axis)
    return select(left_out, jnp.zeros((), W.dtype), W)


def _times_transposed(z_bar: Array, head: Head, dtype: DTypeLike) -> Array:
    """z̄ Wᵀ without the classes of bias −inf, in blocks of classes. A masked W would be a copy."""
    W, b, axis, V = head.kernel, head.bias, head.axis, head.classes
    is_small = not isinstance(V, int) or W.size * W.dtype.itemsize <= _SMALL_KERNEL
    if dtype == head.operand_dtype:
        W = head.kernel_operand

    def product(z_bar, W, b):
        W = jax.tree.map(lambda W: _without_left_out(W, b, axis), W)
        return lower.matmul(z_bar, W, 1, axis, dtype)

    if b is None or is_small:
        return product(z_bar, W, b)
    size = -(-V // _BLOCKS)

    def add(sums, i):
        # The last block reaches back into the one before it.
        start = jnp.minimum(i * size, V - size)
        z_bar_here = lax.dynamic_slice_in_dim(z_bar, start, size, axis=1)
        W_here = jax.tree.map(lambda W: lax.dynamic_slice_in_dim(W, start, size, axis=axis), W)
        b_here = lax.dynamic_slice_in_dim(b, start, size)
        b_here = select(start + jnp.arange(size) < i * size, -jnp.inf, b_here)
        return sums + product(z_bar_here, W_here, b_here), None

    like = jax.eval_shape(product, z_bar, W, b)
    nothing = varying_over(varying(z_bar, W, b), jnp.zeros(like.shape, like.dtype))
    return lax.scan(add, nothing, jnp.arange(_BLOCKS))[0]


def _tangent_operand_dtype(head: Head, tangent: Array) -> DTypeLike | None:
    """The dtype of the operands of a product with a tangent. It holds the tangent exactly.

    If the product rounded the tangent, its transpose would round the gradient of every chunk.
    """
    dtype = head.operand_dtype
    rounds = dtype is not None and jnp.dtype(dtype).itemsize <= tangent.dtype.itemsize
    return tangent.dtype if rounds else dtype


def _gradient_operand_dtype(head: Head) -> DTypeLike:
    """The dtype of the operands of products with the logits' gradient."""
    dtype = head.operand_dtype or common_dtype(head.features, head.kernel)
    # A range as that of float16 is too narrow for the probabilities of a large vocabulary.
    narrow = jnp.finfo(dtype).smallest_normal > jnp.finfo(jnp.bfloat16).smallest_normal
    return jnp.float32 if narrow else dtype
