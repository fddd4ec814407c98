"""Features and kernels, checked, and what the losses of their logits share."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.dtypes import TypePromotionError
from jax.typing import ArrayLike

from jaxent._classes import class_numbers
from jaxent._declare import Reduction
from jaxent._inputs import expect_floating, expect_shape, kept_elements
from jaxent._reduction import Reduced, of_total, weighted
from jaxent.core.chunked import Formula, per_row, summed
from jaxent.core.dtypes import common_dtype, compute_dtype, widen
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.softcap import softcap as capped

# The default of `max_logits_bytes`: this share of the kernel's size in the dtype of computation,
# beside whose gradient the logits then weigh little; and at least these bytes.
SHARE_OF_KERNEL, LEAST_LOGITS_BYTES = 7 / 8, 2**25
# An export may leave sizes open. A budget counts an open size as this, and gives this many rows.
SYMBOLIC_SIZE, SYMBOLIC_ROWS = 2**17, 2**10
# Options for which a compiler may store further arrays of the logits' size.
LOGITS_MADE_ANEW = frozenset(
    ["softcap", "target_softcap", "temperature", "label_smoothing", "z_loss"]
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
    """Checks features (..., D) with their kernel and bias, and flattens them to rows (N, D)."""
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
    """Checks labels, `where` and `weights` of rows of a shape, and flattens them."""
    kept, valid = kept_elements(shape, where, weights), None
    if labels is not None:
        labels, valid = class_numbers("features", labels, (*shape, classes), axis=None)
    # Wide, as the gradients by them are until they have met their cotangent.
    found = labels, valid, kept, None if weights is None else widen(jnp.asarray(weights))
    return Tokens(*(None if x is None else x.reshape(-1) for x in found))


def chunk_rows(heads: tuple[Head, ...], options: Options, max_logits_bytes: int | None) -> int:
    """How many rows fit into so many bytes: logits, derivatives, and as much for some options."""
    size = jnp.dtype(compute_dtype(*(x for head in heads for x in head))).itemsize
    features, classes = zip(*(map(_size, head.kernel.shape) for head in heads), strict=True)
    if max_logits_bytes is None:
        kernels = sum(D * V * size for D, V in zip(features, classes, strict=True))
        max_logits_bytes = max(LEAST_LOGITS_BYTES, int(kernels * SHARE_OF_KERNEL))
    arrays = 2 * (1 + sum(options.get(name) is not None for name in LOGITS_MADE_ANEW))
    rows = max(1, max_logits_bytes // max(1, arrays * sum(classes) * size))
    # A symbolic number of rows is padded to whole chunks.
    symbolic = any(not isinstance(head.features.shape[0], int) for head in heads)
    return min(rows, SYMBOLIC_ROWS) if symbolic else rows


def _size(n: int) -> int:
    """A size, or the number that stands for a symbolic one."""
    return n if isinstance(n, int) else SYMBOLIC_SIZE


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
    made = losses_or_total(losses, heads, shape, tokens, options, max_logits_bytes, reduction)
    if reduction == "none":
        return made
    return of_total(made, math.prod(shape), tokens.kept, tokens.weights, reduction)


def losses_or_total(
    losses: Losses,
    heads: tuple[Head, ...],
    shape: tuple[int, ...],
    tokens: Tokens,
    options: Options,
    max_logits_bytes: int | None,
    reduction: Reduction,
) -> Array:
    """The losses of each row, or their total, which the reduction is made of."""
    formula = partial(_weighted, losses)
    chunk = chunk_rows(heads, options, max_logits_bytes)
    if reduction == "none":
        return of_rows(formula, chunk, heads, shape, tokens, options)
    heads, tokens = whole_chunks(chunk, heads, tokens)
    return summed(formula, chunk, heads, tokens.used, tokens, options)


def of_rows(
    formula: Formula,
    chunk: int,
    heads: tuple[Head, ...],
    shape: tuple[int, ...],
    tokens: Tokens,
    options: Any,
) -> Any:
    """A formula's arrays for rows of a shape."""
    n = heads[0].features.shape[0]
    heads, tokens = whole_chunks(chunk, heads, tokens)
    made = per_row(formula, chunk, heads, tokens.used, tokens, options)
    return jax.tree.map(lambda x: x[:n].reshape(shape), made)


def whole_chunks(
    chunk: int, heads: tuple[Head, ...], tokens: Tokens
) -> tuple[tuple[Head, ...], Tokens]:
    """Pads a symbolic number of rows with dropped ones, to chunks of one size."""
    n = heads[0].features.shape[0]
    if isinstance(n, int):
        return heads, tokens
    kept = jnp.ones(n, bool) if tokens.kept is None else tokens.kept
    # In this form JAX can tell that the rows are no fewer than a chunk.
    padding = (n + chunk - 1) // chunk * chunk - n

    def pad(x):
        return jnp.pad(x, [(0, padding), *[(0, 0)] * (x.ndim - 1)])

    heads = tuple(head._replace(features=pad(head.features)) for head in heads)
    return heads, jax.tree.map(pad, tokens._replace(kept=kept))


def _weighted(losses: Losses, z: tuple[Array, ...], tokens: Tokens, options: Options) -> Array:
    made = losses(z, tokens.labels, options)
    return weighted(made, tokens.kept, tokens.weights, tokens.valid)


def without_left_out(rows: Rows) -> Rows:
    """The rows without the classes at −inf, which a bias leaves out, as `where` would drop them."""
    return replace(rows, classes=~jnp.isneginf(rows.values))


def rows(z: Array, softcap: Array | None, axis_name: AxisName) -> Rows:
    """The rows of logits z, capped."""
    return Rows(z if softcap is None else capped(z, softcap), axis_name=axis_name)
