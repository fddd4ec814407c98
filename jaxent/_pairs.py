"""Validates the queries and keys of contrastive losses, and gathers the keys of all devices."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxent import _heads
from jaxent._heads import RowInputs
from jaxent._inputs import expect_boolean, expect_floating, expect_shape, expect_split
from jaxent.core.dtypes import common_dtype, compute_dtype
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName, first_over, select


class Pairs(NamedTuple):
    """Queries (N, D), the keys (M, D) of all devices, and the mask (M,) of those that count."""

    queries: Array
    keys: Array
    keys_kept: Array | None
    inputs: RowInputs
    numbers: Array  # of the keys that belong to the queries, (N,)

    @property
    def dtype(self) -> DTypeLike:
        """The dtype of computation."""
        return compute_dtype(self.queries, self.keys)

    def head(self, excludes: bool) -> Head:
        """The head with logits queries · keysᵀ, and −inf for the keys that do not count.

        Unless it `excludes` them, their logits are 0.
        """
        keys, kept = self.keys, self.keys_kept
        operand_dtype, bias = common_dtype(self.queries, keys), None
        if keys.shape[0] == 0:
            keys = jnp.zeros((1, keys.shape[1]), keys.dtype)  # a softmax needs a class
        elif kept is not None:
            keys = select(kept[:, None], keys, jnp.zeros((), keys.dtype))
            # A softmax needs a class. If no key counts, all rows are dropped, so all keys may stay.
            bias = select(kept | ~jnp.any(kept), 0, -jnp.inf).astype(self.dtype)
        return Head(self.queries, keys, bias if excludes else None, 0, operand_dtype)


def prepare(
    queries: ArrayLike,
    keys: ArrayLike,
    where: ArrayLike | None,
    weights: ArrayLike | None,
    axis_name: AxisName,
    keys_where: ArrayLike | None = None,
    *,
    paired: bool = True,
    equal: bool = False,
    exclude_self: bool = False,
) -> Pairs:
    """Validates queries and keys. If they are `paired`, `where` drops keys together with queries.

    `equal` says that there must be as many keys as queries. A query without a key is dropped.
    """
    queries, keys = jnp.asarray(queries), jnp.asarray(keys)
    for name, x, shape in (("queries", queries, "(N, D)"), ("keys", keys, "(M, D)")):
        expect_floating(name, x)
        if x.ndim != 2:
            raise ValueError(f"{name} must have the shape {shape}, got {x.shape}")
        expect_split(name, x, axis_name)
    _heads.expect_common_dtype("queries", queries, "keys", keys)
    (n, width), m = queries.shape, keys.shape[0]
    known = isinstance(n, int) and isinstance(m, int)  # an export may have symbolic sizes
    enough = m == n if equal else not (known and paired) or m >= n
    if not enough or keys.shape[1] != width:
        rows = str(n) if equal else f"M ≥ {n}" if paired else "M"
        raise ValueError(
            f"keys must have the shape ({rows}, {width}) for queries of shape {queries.shape},"
            f" got {keys.shape}"
        )
    inputs = _heads.prepare_row_inputs((n,), where, weights)
    kept = keys_kept(m, keys_where, inputs.kept if paired else None)
    numbers = first_over(axis_name, m) + jnp.arange(n)
    if axis_name is not None:
        keys = jnp.asarray(lax.all_gather(keys, axis_name, tiled=True))
        kept = None if kept is None else lax.all_gather(kept, axis_name, tiled=True)
    if kept is not None:
        inputs = inputs.only(has_key(kept, numbers, exclude_self))
    return Pairs(queries, keys, kept, inputs, numbers)


def has_key(kept: Array, numbers: Array, exclude_self: bool) -> Array:
    """Whether a key counts for each query, or a key that is not its own where `exclude_self`."""
    own = jnp.take(kept, numbers, mode="clip").astype(jnp.int32) if exclude_self else 0
    return jnp.broadcast_to(jnp.sum(kept, dtype=jnp.int32) > own, numbers.shape)


def keys_kept(m: int, keys_where: ArrayLike | None, of_queries: Array | None) -> Array | None:
    """The mask of the keys that count. Key i belongs to query i."""
    kept = None
    if keys_where is not None:
        kept = jnp.asarray(keys_where)
        expect_boolean("keys_where", kept)
        expect_shape("keys_where", kept, (m,), "the keys")
    if of_queries is None:
        return kept
    of_keys = jnp.pad(of_queries, (0, m - of_queries.shape[0]), constant_values=True)
    return of_keys if kept is None else kept & of_keys
