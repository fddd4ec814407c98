"""The judge of features and kernels, and what the losses of their logits share."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.dtypes import TypePromotionError
from jax.typing import ArrayLike

from jaxent._classes import class_numbers
from jaxent._inputs import expect_floating, expect_shape, kept_elements
from jaxent.core.chunked import per_row, summed
from jaxent.core.dtypes import common_dtype, compute_dtype, widen
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.softcap import softcap as capped
from jaxent.reduction import Reduced, Reduction, count_and_divisor, weighted

# The default of `max_logits_bytes`: this share of the kernel's size in the dtype of computation,
# beside whose gradient the logits then weigh little; and at least these bytes.
SHARE_OF_KERNEL, LEAST_LOGITS_BYTES = 7 / 8, 2**25
# Options for which a compiler may store further arrays of the logits' size.
LOGITS_MADE_ANEW = frozenset(
    ["softcap", "target_softcap", "temperature", "scale", "label_smoothing", "z_loss"]
)
# A formula of logits, labels and options, and these by name.
Losses = Callable[..., Array]
Options = dict[str, Any]


class Tokens(NamedTuple):
    """What belongs to each row besides its features, (N,) each; None where absent."""

    labels: Any
    valid: Any
    kept: Any
    weights: Any

    @property
    def used(self) -> Array | None:
        """Whose features count: a row dropped, or whose label is no class, may hold anything."""
        if self.valid is None or self.kept is None:
            return self.kept if self.valid is None else self.valid
        return self.valid & self.kept


def head(
    features: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    names: tuple[str, str, str] = ("features", "kernel", "bias"),
) -> Head:
    """Judges features (..., D) with their kernel and bias, and flattens them to rows (N, D)."""
    features, kernel = jnp.asarray(features), jnp.asarray(kernel)
    expect_floating(names[0], features)
    expect_floating(names[1], kernel)
    if features.ndim == 0:
        raise ValueError(f"{names[0]} must have an axis of features, got shape ()")
    if kernel.ndim != 2 or kernel.shape[0] != features.shape[-1] or kernel.shape[1] == 0:
        expected = f"({features.shape[-1]}, V) for {names[0]} of shape {features.shape}"
        raise ValueError(f"{names[1]} must have the shape {expected}, got {kernel.shape}")
    try:
        common_dtype(features, kernel)
    except TypePromotionError:
        raise TypeError(
            f"{names[1]} must have a dtype to which JAX promotes that of {names[0]},"
            f" {features.dtype}, got {kernel.dtype}"
        ) from None
    if bias is not None:
        bias = jnp.asarray(bias)
        expect_floating(names[2], bias)
        expect_shape(names[2], bias, kernel.shape[1:], "one number per class")
    rows = math.prod(features.shape[:-1])
    return Head(features.reshape(rows, kernel.shape[0]), kernel, bias)


def tokens(
    labels: ArrayLike | None,
    shape: tuple[int, ...],
    classes: int,
    where: ArrayLike | None,
    weights: ArrayLike | None,
) -> Tokens:
    """Judges labels, `where` and `weights` of rows of a shape, and flattens them."""
    kept, valid = kept_elements(shape, where, weights), None
    if labels is not None:
        labels, valid = class_numbers("features", labels, (*shape, classes))
    # Wide, as the gradients by them are until they have met their cotangent.
    found = labels, valid, kept, None if weights is None else widen(jnp.asarray(weights))
    return Tokens(*(None if x is None else x.reshape(-1) for x in found))


def chunk_rows(heads: tuple[Head, ...], options: Options, max_logits_bytes: int | None) -> int:
    """How many rows fit into so many bytes: logits, derivatives, and as much for some options."""
    size = jnp.dtype(compute_dtype(*(x for head in heads for x in head))).itemsize
    if max_logits_bytes is None:
        kernels = sum(head.kernel.size * size for head in heads)
        max_logits_bytes = max(LEAST_LOGITS_BYTES, int(kernels * SHARE_OF_KERNEL))
    classes = sum(head.kernel.shape[1] for head in heads)
    arrays = 2 * (1 + sum(options.get(name) is not None for name in LOGITS_MADE_ANEW))
    return max(1, max_logits_bytes // max(1, arrays * classes * size))


def reduced(
    losses: Losses,
    heads: tuple[Head, ...],
    shape: tuple[int, ...],
    tokens: Tokens,
    options: Options,
    max_logits_bytes: int | None,
    reduction: Reduction,
) -> Reduced:
    """Losses of rows of a shape, reduced, their logits made in chunks."""
    formula = partial(_weighted, losses)
    chunk = chunk_rows(heads, options, max_logits_bytes)
    arguments = formula, chunk, heads, tokens.used, tokens, options
    if reduction == "none":
        return per_row(*arguments).reshape(shape)
    total = summed(*arguments)
    size = math.prod(shape)
    count, divisor = count_and_divisor(size, tokens.kept, tokens.weights, reduction, total.dtype)
    return (total, count) if reduction == "total_and_count" else total / divisor


def _weighted(losses: Losses, z: tuple[Array, ...], tokens: Tokens, options: Options) -> Array:
    made = losses(z, tokens.labels, options)
    return weighted(made, tokens.kept, tokens.weights, tokens.valid)


def without_left_out(rows: Rows) -> Rows:
    """The rows without the classes at −inf, which a bias leaves out, as `where` would drop them."""
    return replace(rows, classes=~jnp.isneginf(rows.values))


def rows(z: Array, softcap: Array | None, axis_name: AxisName) -> Rows:
    """The rows of logits z, capped."""
    return Rows(z if softcap is None else capped(z, softcap), axis_name=axis_name)
