r"""Losses of a linear head, which compute the logits of one chunk of rows at a time.

A *formula* is a function of the logits of some rows, of other inputs of these rows, and of options.
It returns numbers per row. JAX differentiates it on the logits of a chunk, so a loss has the same
derivative here as on logits in memory. `head` applies the chain rule through features and kernel.
There are two schedules:

`summed`   A sum over rows. Its cotangent is one number, a factor, so the gradients are computed
           together with the value, chunk by chunk. That takes three matrix products in all. The
           derivative in either mode is the inner product with these gradients. The formula also
           returns auxiliary arrays of the rows, which have no derivative.
`per_row`  Numbers per row. Their cotangents are known in the backward pass only, which recomputes
           the logits of each chunk. That takes four matrix products in all.

`head` says in which dtype the operands of a product are. All sums are in float32 at least, and so
are the gradients until they are multiplied by their cotangent.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxent.core.dtypes import widen
from jaxent.core.head import Head, logits, logits_dot, no_gradients, pull
from jaxent.core.mesh import select, summed_to_vary_like, varying, varying_over
from jaxent.core.tangents import added, along_moving, moves, restricted

T = TypeVar("T")
_TILE = 8
# The residuals of reverse mode besides the arguments. Row statistics are not among them: to save
# those of a chunk would compute its logits once more.
_GRADIENTS = "jaxent gradients"
KEPT_GRADIENTS = jax.checkpoint_policies.save_only_these_names(_GRADIENTS)
Heads = tuple[Head, ...]
Formula = Callable[[tuple[Array, ...], Any, Any], Any]


def per_row(
    formula: Formula, chunk: int, heads: Heads, kept: Array | None, rows: Any, options: Any
) -> Any:
    """The formula's arrays (N,), computed from the logits of at most `chunk` rows at a time.

    `rows` are the formula's other inputs, (N, ...) each. `options` are the same for all chunks.
    Floating ones of both are in the dtype of computation. Features of rows outside of `kept`, where
    it is not None, count as 0.
    """
    # Outside of the loop, so that devices add up their gradients once and not once a chunk.
    heads = varying_over(varying(heads), heads)
    return _per_row(formula, chunk, heads, kept, rows, options)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _per_row(formula, chunk, heads, kept, rows, options):
    heads = tuple(head.rounded() for head in heads)

    def of_chunk(start, size):
        here, _, rows_here = _chunk_of(heads, kept, rows, start, size)
        return formula(tuple(map(logits, here)), rows_here, options)

    return _over_chunks(of_chunk, heads[0].features.shape[0], chunk)


def _per_row_jvp(formula, chunk, primals, tangents):
    heads, kept, rows, options = primals
    heads_dot, _, rows_dot, options_dot = tangents
    # Widened outside of the loop, so that its transpose accumulates in float32.
    heads_dot = tuple(dot.widened() for dot in heads_dot)

    def along_chunk(start, size):
        here, kept_here, rows_here = _chunk_of(heads, kept, rows, start, size)
        here_dot, _, rows_here_dot = _chunk_of(heads_dot, kept, rows_dot, start, size)
        z = tuple(map(logits, here))
        z_dot = tuple(_only(kept_here, dot) for dot in map(logits_dot, here, here_dot))
        point, direction = (z, rows_here, options), (z_dot, rows_here_dot, options_dot)
        results_dot = along_moving(formula, point, direction)
        return [x for x in jax.tree.leaves(results_dot) if x.dtype != jax.dtypes.float0]

    def of_chunk(start, size):
        return jax.checkpoint(partial(along_chunk, size=size), prevent_cse=False)(start)

    results = _per_row(formula, chunk, *primals)
    found = iter(_over_chunks(of_chunk, heads[0].features.shape[0], chunk))
    return results, jax.tree.map(lambda x: next(found) if _is_floating(x) else _still(x), results)


_per_row.defjvp(_per_row_jvp, symbolic_zeros=True)


def summed(
    formula: Formula, chunk: int, heads: Heads, kept: Array | None, rows: Any, options: Any
) -> tuple[Array, Any]:
    """The sum of the losses (N,) of a formula, and its auxiliary arrays (N, ...).

    The formula returns both. The arguments are those of `per_row`.
    """
    of_features = varying([head.features for head in heads], kept)
    # Devices along the other axes of a kernel share the rows, and have some of the classes.
    by_class = varying([head.kernel for head in heads]) - of_features
    by_row = varying(rows) - by_class | of_features
    kept, rows, options = varying_over(by_row, (kept, rows, options))
    heads = varying_over(by_row | varying(heads), heads)
    return _summed(formula, chunk, heads, kept, rows, options)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _summed(formula, chunk, *arguments):
    losses, aux = per_row(formula, chunk, *arguments)
    return jnp.sum(losses), aux


def _summed_jvp(formula, chunk, primals, tangents):
    directions = jax.tree.structure(primals).flatten_up_to(tangents)
    moving = tuple(map(moves, directions))
    *results, aux = _value_and_gradients(formula, chunk, moving, *primals)
    value, gradients = checkpoint_name(results, _GRADIENTS)
    directions = filter(moves, directions)
    slopes = [jnp.sum(g * x.astype(g.dtype)) for g, x in zip(gradients, directions, strict=True)]
    # A device with some of the classes computes their part of the derivative.
    slopes = [summed_to_vary_like(value, slope.astype(value.dtype)) for slope in slopes]
    return (value, aux), (added(slopes), jax.tree.map(_still, aux))


_summed.defjvp(_summed_jvp, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _value_and_gradients(
    formula: Formula,
    chunk: int,
    moving: Sequence[bool],
    heads: Heads,
    kept: Array | None,
    rows: Any,
    options: Any,
) -> tuple[Array, tuple[Array, ...], Any]:
    """The sum of the losses, its gradients by the perturbed arguments, and the auxiliary arrays.

    Gradients are in float32 at least.
    """
    tree = jax.tree.structure((heads, kept, rows, options))
    heads_move, _, rows_move, options_move = tree.unflatten(moving)
    formula_moves = tuple(any(move.arrays) for move in heads_move), rows_move, options_move
    heads = tuple(head.rounded() for head in heads)
    size, starts, overlaps = _chunks(heads[0].features.shape[0], chunk)

    def step(sums, at):
        """Adds a chunk, whose first rows may overlap the chunk before it."""
        start, overlap = at
        heads_sums, options_sums = sums
        here, kept_here, rows_here = _chunk_of(heads, kept, rows, start, size)
        arguments = tuple(map(logits, here)), rows_here, options
        losses_of, point = restricted(formula, arguments, jax.tree.leaves(formula_moves))
        losses, pullback, aux = jax.vjp(losses_of, *point, has_aux=True)
        new = jnp.arange(size) >= overlap
        gradients = iter(pullback(select(new, jnp.ones_like(losses), 0)))
        z_bars, rows_bar, options_bar = jax.tree.map(
            lambda does: next(gradients) if does else None, formula_moves
        )
        x_bars, heads_sums = zip(
            *(
                pull(head, move, _only(kept_here, z_bar), head_sums)
                for head, move, z_bar, head_sums in zip(
                    here, heads_move, z_bars, heads_sums, strict=True
                )
            ),
            strict=True,
        )
        value = jnp.sum(select(new, losses, 0))
        options_sums = jax.tree.map(jnp.add, options_sums, options_bar)
        x_bars = tuple(_only(kept_here, x_bar) for x_bar in x_bars)
        return (heads_sums, options_sums), (value, (x_bars, rows_bar, aux))

    def zeros(does, x):
        return varying_over(varying(x), jnp.zeros_like(x)) if does else None

    nothing = (
        varying_over(varying(heads), tuple(map(no_gradients, heads, heads_move))),
        jax.tree.map(zeros, options_move, options),
    )
    if starts.shape[0] == 1:
        sums, (value, by_row) = step(nothing, (0, 0))
    else:
        sums, (values, by_row) = lax.scan(step, nothing, (starts, overlaps))
        value, by_row = jnp.sum(values), _joined(by_row, heads[0].features.shape[0], chunk)
    (heads_bar, options_bar), (x_bars, rows_bar, aux) = sums, by_row
    heads_bar = [replace(h, features=x) for h, x in zip(heads_bar, x_bars, strict=True)]
    return value, tuple(jax.tree.leaves((heads_bar, rows_bar, options_bar))), aux


def _value_and_gradients_jvp(formula, chunk, moving, primals, tangents):
    *results, aux = _value_and_gradients(formula, chunk, moving, *primals)
    # In 16 bits a gradient would be rounded, or overflow, before the product with its cotangent.
    primals, tangents = (
        jax.tree.map(lambda x: widen(x) if isinstance(x, Array) and _is_floating(x) else x, tree)
        for tree in (primals, tangents)
    )

    def again(*arguments):
        """The same numbers from losses per row, whose derivative takes bounded memory."""
        sum_of_rows, point = restricted(
            lambda *arguments: jnp.sum(per_row(formula, chunk, *arguments)[0]), arguments, moving
        )
        by_each = jax.value_and_grad(sum_of_rows, argnums=tuple(range(len(point))))(*point)
        return jax.tree.map(lambda x, like: x.astype(like.dtype), by_each, tuple(results))

    results_dot = along_moving(again, primals, tangents)
    return (*results, aux), (*results_dot, jax.tree.map(_still, aux))


_value_and_gradients.defjvp(_value_and_gradients_jvp, symbolic_zeros=True)


def _chunk_of(
    heads: Heads, kept: Array | None, rows: T, start: ArrayLike, size: int
) -> tuple[Heads, Array | None, T]:
    """The part of each argument that belongs to a chunk, with features of 0 in dropped rows."""

    def cut(x):
        return lax.dynamic_slice_in_dim(x, start, size) if isinstance(x, Array) else x

    kept = cut(kept)
    here = tuple(replace(head, features=_only(kept, cut(head.features))) for head in heads)
    return here, kept, jax.tree.map(cut, rows)


def _only(kept: Array | None, x: Any) -> Any:
    """An array with 0 in dropped rows, even in place of NaN; anything else unchanged."""
    if kept is None or not isinstance(x, Array):
        return x
    return select(kept[:, None], x, 0)


def rows_of_a_chunk(chunk: int, n: int) -> int:
    """The number of rows in each chunk of n rows, which is at most `chunk`."""
    return _chunks(n, chunk)[0]


def _chunks(n: int, chunk: int) -> tuple[int, Any, Any]:
    """The size of the chunks of n rows, the start of each, and its overlap with the one before it.

    All chunks have one size, so the last one may overlap the one before it. A symbolic number of
    rows is a multiple of the chunk, since `_heads` pads it with dropped rows.
    """
    if not isinstance(n, int):
        starts = jnp.arange(n // chunk) * chunk
        return chunk, starts, jnp.zeros_like(starts)
    if n <= chunk:
        return n, np.zeros(1, int), np.zeros(1, int)
    # Chunks of almost equal size, but a multiple of the tiles of matrix units.
    size = min(chunk, -(-n // -(-n // chunk) // _TILE) * _TILE)
    ends = np.arange(size, n + size, size)
    return size, np.minimum(ends, n) - size, np.maximum(ends - n, 0)


def _over_chunks(of_chunk: Callable[[ArrayLike, int], T], n: int, chunk: int) -> T:
    """The arrays of all rows, from a function of a chunk's start and size."""
    size, starts, _ = _chunks(n, chunk)
    if starts.shape[0] == 1:
        return of_chunk(0, n)
    results = lax.map(lambda start: of_chunk(start, size), starts)
    return _joined(results, n, chunk)


def _joined(chunks: T, n: int, chunk: int) -> T:
    """The arrays of n rows from those of chunks, the last of which may overlap."""
    overlaps = _chunks(n, chunk)[2]
    overlap = overlaps[-1] if isinstance(n, int) else 0

    def join(x):
        if overlap == 0:
            return x.reshape(n, *x.shape[2:])
        whole = x[:-1].reshape(-1, *x.shape[2:])
        return jnp.concatenate([whole, x[-1, overlap:]])

    return jax.tree.map(join, chunks)


def _is_floating(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def _still(x: Array) -> SymbolicZero:
    """The tangent of an array that has no derivative."""
    return SymbolicZero(jax.typeof(x).to_tangent_aval())
