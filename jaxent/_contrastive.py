"""Contrastive losses: softmax cross-entropies of similarities within a batch.

The similarities queries · keysᵀ are the logits of a linear head whose kernel is keysᵀ.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _heads
from jaxent._declare import TEMPERATURE, Reduction, loss
from jaxent._inputs import expect_floating, option
from jaxent._reduction import Reduced, count, reduce_total
from jaxent.core import formulas
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.dtypes import common_dtype, compute_dtype
from jaxent.core.head import Head
from jaxent.core.mesh import select
from jaxent.core.rows import Rows


@loss(KEPT_GRADIENTS, temperature=TEMPERATURE)
def info_nce(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    temperature: ArrayLike,
    symmetric: bool = False,
    max_logits_bytes: int | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""InfoNCE: each query must pick its own key among the keys of the batch, as in MoCo and CLIP.

    With s_ij = queries_i · keys_j / T for the temperature T, and p_i = softmax(s_i):

        ℓ_i = −log softmax(s_i)_i        ∂ℓ_i/∂s_ij = p_ij − [j = i]

        ∂ℓ_i/∂T = −Σ_j (p_ij − [j = i]) s_ij / T

    The symmetric loss is the mean of this loss and of the one with queries and keys exchanged.

    Two traps. The loss does not normalise the vectors: for cosine similarities divide them by their
    norms. Inside `jax.shard_map` the negatives of a device are its own keys only.

    Args:
      queries: `(N, D)` floating.
      keys: `(M, D)` floating, M ≥ N. Key i is the positive of query i and a negative of the other
        queries. The keys from N on are negatives of all queries.
      temperature: T > 0. CLIP learns its logit scale 1/T.
      symmetric: True adds the loss from keys to queries, as CLIP does. Then M = N.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      where: `(N,)` boolean, False for pairs to drop. Their loss is 0, and their keys are no
        negatives.
      weights: `(N,)`, one per pair. A weight of 0 drops a pair as `where` does.
      reduction: see `jaxent`.

    Returns:
      `(N,)` in nats, or the result of `reduction`.

    Raises:
      TypeError: a dtype is not one of those above.
      ValueError: a shape does not fit, or the temperature is not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> queries = jnp.array([[1.0, 0.0], [0.6, 0.8]])
      >>> keys = jnp.array([[0.8, 0.6], [0.0, 1.0]])
      >>> print(jaxent.info_nce(queries, keys, temperature=0.5))
      [0.1839 0.8659]

    Numerics, Differentiable: as `linear_softmax_cross_entropy`.

    Agrees with: `optax.losses.softmax_cross_entropy_with_integer_labels(queries @ keys.T / T, i)`.

    References: van den Oord et al., "Representation learning with contrastive predictive coding",
    2018; He et al., "MoCo", 2020; Radford et al., "CLIP", 2021. This is not the NT-Xent loss of
    SimCLR, whose negatives are both views of all other examples.
    """
    queries, keys = jnp.asarray(queries), jnp.asarray(keys)
    for name, x, shape in (("queries", queries, "(N, D)"), ("keys", keys, "(M, D)")):
        expect_floating(name, x)
        if x.ndim != 2:
            raise ValueError(f"{name} must have the shape {shape}, got {x.shape}")
    _heads.expect_common_dtype("queries", queries, "keys", keys)
    (n, width), m = queries.shape, keys.shape[0]
    known = isinstance(n, int) and isinstance(m, int)  # an export may have symbolic sizes
    enough = m == n if symmetric else not known or m >= n
    if not enough or keys.shape[1] != width:
        rows = str(n) if symmetric else f"M ≥ {n}"
        raise ValueError(
            f"keys must have the shape ({rows}, {width}) for queries of shape"
            f" {queries.shape} and symmetric={symmetric}, got {keys.shape}"
        )
    pairs = _heads.prepare_row_inputs(jnp.arange(n), (n,), m, where, weights)
    dtype, operand_dtype = compute_dtype(queries, keys), common_dtype(queries, keys)
    options = {"temperature": option("temperature", temperature, dtype)}
    if symmetric:
        # The gradients of both ways are added before they are rounded.
        queries, keys = queries.astype(dtype), keys.astype(dtype)

    def losses_or_total(x: Array, y: Array) -> Array:
        """For queries x and keys y."""
        head = _similarity_head(x, y, pairs.kept, operand_dtype)
        arguments = (head,), (n,), pairs, options, max_logits_bytes
        return _heads.losses_or_total(_cross_entropy, *arguments, reduction)

    result = losses_or_total(queries, keys)
    if symmetric:
        result = (result + losses_or_total(keys, queries)) / 2
    if reduction == "none":
        return result
    return reduce_total(result, count(pairs.kept, n), pairs.kept, pairs.weights, reduction)


def _similarity_head(x: Array, y: Array, kept: Array | None, operand_dtype: DTypeLike) -> Head:
    """The head with logits x · yᵀ, and −inf for the keys y that are dropped."""
    if y.shape[0] == 0:
        y = jnp.zeros((1, y.shape[1]), y.dtype)  # a softmax needs a class
    if kept is None:
        return Head(x, y, None, axis=0, operand_dtype=operand_dtype)
    kept = jnp.pad(kept, (0, y.shape[0] - kept.shape[0]), constant_values=True)
    # A softmax needs a class. If no pair is kept, no row counts, so all keys may stay.
    bias = select(kept | ~jnp.any(kept), 0, -jnp.inf).astype(compute_dtype(x, y))
    y = select(kept[:, None], y, 0)
    return Head(x, y, bias, axis=0, operand_dtype=operand_dtype)


def _cross_entropy(z: tuple[Array, ...], y: Array, options: _heads.Options) -> Array:
    rows = Rows(z[0]).at_temperature(options["temperature"])
    return formulas.cross_entropy(rows, y, None, None, None)
