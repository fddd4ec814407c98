"""Validates the arguments of linear heads, and computes their losses in chunks of rows."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxent._declare import Reduction
from jaxent._inputs import expect_floating, expect_shape, fill_dropped, kept_mask
from jaxent._reduction import Reduced, count, reduce_total, weighted
from jaxent.core.chunked import Formula, per_row, summed
from jaxent.core.dtypes import common_dtype, compute_dtype, widen
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.softcap import softcap as capped

# The default of `max_logits_bytes`: this fraction of the kernel's size in the dtype of computation,
# so that a chunk takes less memory than the kernel's gradient, and at least MIN_LOGITS_BYTES. By
# default a chunk has at least MIN_ROWS rows, since products of fewer rows run at a lower speed.
KERNEL_FRACTION, MIN_LOGITS_BYTES, MIN_ROWS = 7 / 8, 2**25, 2**8
# An export may have symbolic sizes. The budget counts one as SYMBOLIC_SIZE, and a chunk then has at
# most SYMBOLIC_ROWS rows.
SYMBOLIC_SIZE, SYMBOLIC_ROWS = 2**17, 2**10
# With each of these options XLA may materialise two more arrays of the logits' size.
OPTIONS_WITH_TEMPORARIES = frozenset(
    ["softcap", "target_softcap", "temperature", "label_smoothing"]
)
Options = dict[str, Any]


class RowInputs(NamedTuple):
    """The arguments with something for each row, (N, ...) each. An absent one is None.

    Labels are class indices (N,), or distributions (N, V), or class indices (N, K) that have the
    probabilities `label_probs` (N, K).
    """

    labels: Any
    valid: Any
    kept: Any
    weights: Any
    label_probs: Any = None
    further: tuple[Any, ...] = ()  # what else a formula takes

    def only(self, kept: Array) -> "RowInputs":
        """The inputs with the rows outside of `kept` (N,) dropped as well."""
        return self._replace(kept=kept if self.kept is None else self.kept & kept)

    @property
    def feature_mask(self) -> Array | None:
        """The mask of rows whose features count: kept rows with a valid label."""
        if self.valid is None or self.kept is None:
            return self.kept if self.valid is None else self.valid
        return self.valid & self.kept


def kernel_axis(name: str, axis: Any) -> int:
    """The axis of a kernel's classes, as 0 or 1."""
    if axis not in (-2, -1, 0, 1):
        raise ValueError(f"{name} must be an axis of a kernel, from -2 to 1, got {axis!r}")
    return axis % 2


def prepare_head(
    features: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    axis: int,
    operand_dtype: DTypeLike | None = None,
    prefix: str = "",
) -> Head:
    """Validates features (..., D), kernel and bias, and reshapes the features to (N, D)."""
    names = [prefix + name for name in ("features", "kernel", "bias", "axis")]
    features, kernel = jnp.asarray(features), jnp.asarray(kernel)
    expect_floating(names[0], features)
    expect_floating(names[1], kernel)
    if features.ndim == 0:
        raise ValueError(f"{names[0]} must have an axis of features, got shape ()")
    given, D = axis, features.shape[-1]
    axis = kernel_axis(names[3], given)
    if kernel.ndim != 2 or kernel.shape[1 - axis] != D:
        expected = (f"(V, {D})", f"({D}, V)")[axis]
        transposed = kernel.ndim == 2 and kernel.shape[axis] == D
        hint = f". If its classes come first, pass {names[3]}={1 - axis}" if transposed else ""
        raise ValueError(
            f"{names[1]} must have the shape {expected} for {names[0]} of shape {features.shape}"
            f" and {names[3]}={given}, got {kernel.shape}{hint}"
        )
    if kernel.shape[axis] == 0:
        raise ValueError(f"{names[1]} must have at least one class, got shape {kernel.shape}")
    if operand_dtype is None:
        hint = ", or give operand_dtype"
        expect_common_dtype(names[0], features, names[1], kernel, hint)
    if bias is not None:
        bias = jnp.asarray(bias)
        expect_floating(names[2], bias)
        expect_shape(names[2], bias, kernel.shape[axis : axis + 1], "one number per class")
    rows = math.prod(features.shape[:-1])
    return Head(features.reshape(rows, D), kernel, bias, axis, operand_dtype)


def expect_common_dtype(name: str, x: Array, other: str, y: Array, hint: str = "") -> None:
    """Checks that JAX promotes the dtypes of two operands of a product to one."""
    try:
        common_dtype(x, y)
    except ValueError:
        raise TypeError(
            f"{other} must have a dtype to which JAX promotes that of {name}, {x.dtype},"
            f" got {y.dtype}{hint}"
        ) from None


def prepare_row_inputs(
    shape: tuple[int, ...], where: ArrayLike | None, weights: ArrayLike | None
) -> RowInputs:
    """Validates `where` and `weights` of the rows' shape, and flattens them."""
    kept = kept_mask(shape, where, weights)
    kept = None if kept is None else kept.reshape(-1)
    return RowInputs(None, None, kept, None if weights is None else flat(weights, shape))


def flat(x: ArrayLike, shape: tuple[int, ...]) -> Array:
    """An array (*shape, ...) with one axis of rows. Floating ones are widened.

    Wide arrays have wide gradients. Those are multiplied by a cotangent before they are rounded.
    """
    x = jnp.asarray(x)
    x = widen(x) if jnp.issubdtype(x.dtype, jnp.floating) else x
    return x.reshape(math.prod(shape), *x.shape[len(shape) :])


def rows_per_chunk(heads: tuple[Head, ...], options: Options, max_logits_bytes: int | None) -> int:
    """The number of rows whose arrays fit into the budget.

    These are the logits, their derivative, and the temporaries of some options.
    """
    least = MIN_ROWS if max_logits_bytes is None else 1
    size = jnp.dtype(compute_dtype(*(x for head in heads for x in head.arrays))).itemsize
    classes = [_size_or_estimate(head.classes) for head in heads]
    if max_logits_bytes is None:
        kernels = size * sum(math.prod(map(_size_or_estimate, head.kernel.shape)) for head in heads)
        max_logits_bytes = max(MIN_LOGITS_BYTES, int(kernels * KERNEL_FRACTION))
    arrays = 2 * (1 + sum(options.get(name) is not None for name in OPTIONS_WITH_TEMPORARIES))
    rows = max(least, max_logits_bytes // max(1, arrays * sum(classes) * size))
    # `pad_to_chunks` pads a symbolic number of rows, so that a large chunk would waste work.
    symbolic = any(not isinstance(head.features.shape[0], int) for head in heads)
    return min(rows, SYMBOLIC_ROWS) if symbolic else rows


def _size_or_estimate(n: int) -> int:
    """A size, or the estimate that replaces a symbolic one."""
    return n if isinstance(n, int) else SYMBOLIC_SIZE


def reduced_losses(
    losses: Formula,
    heads: tuple[Head, ...],
    shape: tuple[int, ...],
    inputs: RowInputs,
    options: Options,
    max_logits_bytes: int | None,
    reduction: Reduction,
) -> tuple[Reduced, Any]:
    """The losses of rows of a shape, reduced, and the auxiliary arrays of the rows.

    The formula `losses` gives (losses, auxiliary arrays). Logits exist for one chunk at a time.
    """
    result, aux = losses_or_total(
        losses, heads, shape, inputs, options, max_logits_bytes, reduction
    )
    if reduction == "none":
        return result, aux
    kept = count(inputs.kept, math.prod(shape))
    return reduce_total(result, kept, inputs.kept, inputs.weights, reduction), aux


def losses_or_total(
    losses: Formula,
    heads: tuple[Head, ...],
    shape: tuple[int, ...],
    inputs: RowInputs,
    options: Options,
    max_logits_bytes: int | None,
    reduction: Reduction,
) -> tuple[Array, Any]:
    """The weighted losses for the reduction "none", or their total, and the auxiliary arrays."""
    formula = partial(_weighted_losses, losses)
    chunk = rows_per_chunk(heads, options, max_logits_bytes)
    if reduction == "none":
        return per_row_in_chunks(formula, chunk, heads, shape, inputs, options)
    n = heads[0].features.shape[0]
    heads, inputs = pad_to_chunks(chunk, heads, inputs)
    total, aux = summed(formula, chunk, heads, inputs.feature_mask, inputs, options)
    return total, _unpadded(aux, n, shape)


def per_row_in_chunks(
    formula: Formula,
    chunk: int,
    heads: tuple[Head, ...],
    shape: tuple[int, ...],
    inputs: RowInputs,
    options: Any,
) -> Any:
    """The arrays of a formula, for rows of a shape."""
    n = heads[0].features.shape[0]
    heads, inputs = pad_to_chunks(chunk, heads, inputs)
    arrays = per_row(formula, chunk, heads, inputs.feature_mask, inputs, options)
    return _unpadded(arrays, n, shape)


def _unpadded(arrays: Any, n: int, shape: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda x: x[:n].reshape(*shape, *x.shape[1:]), arrays)


def pad_to_chunks(
    chunk: int, heads: tuple[Head, ...], inputs: RowInputs
) -> tuple[tuple[Head, ...], RowInputs]:
    """Pads a symbolic number of rows with dropped rows, to a multiple of the chunk."""
    n = heads[0].features.shape[0]
    if isinstance(n, int):
        return heads, inputs
    kept = jnp.ones(n, bool) if inputs.kept is None else inputs.kept
    # From this form JAX can prove that there are at least as many rows as in a chunk.
    padding = (n + chunk - 1) // chunk * chunk - n

    def pad(x):
        return jnp.pad(x, [(0, padding), *[(0, 0)] * (x.ndim - 1)])

    heads = tuple(replace(head, features=pad(head.features)) for head in heads)
    return heads, jax.tree.map(pad, inputs._replace(kept=kept))


def _weighted_losses(
    losses: Formula, z: tuple[Array, ...], inputs: RowInputs, options: Options
) -> tuple[Array, Any]:
    """The losses times their weights, and the auxiliary arrays, which have no derivative."""
    unweighted, aux = losses(z, inputs, options)
    aux = jax.tree.map(lambda x: lax.stop_gradient(fill_dropped(x, inputs.kept, 0)), aux)
    return weighted(unweighted, inputs.kept, inputs.weights, inputs.valid), aux


def without_excluded_classes(rows: Rows) -> Rows:
    """The rows with their classes at −inf dropped. A bias of −inf excludes a class this way."""
    return replace(rows, classes=~jnp.isneginf(rows.values))


def capped_rows(z: Array, softcap: Array | None, axis_name: AxisName) -> Rows:
    """The rows of the soft-capped logits."""
    return Rows(z if softcap is None else capped(z, softcap), axis_name=axis_name)
