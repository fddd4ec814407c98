"""Contrastive losses: softmax cross-entropies of similarities within a batch.

The similarities are queries · keysᵀ, a linear head of which the keys are the kernel.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _heads
from jaxent._declare import TEMPERATURE, Reduction, loss
from jaxent._inputs import expect_floating, option
from jaxent._reduction import Reduced, of_total
from jaxent.core import formulas
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.divergence import divided
from jaxent.core.dtypes import compute_dtype
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
    r"""InfoNCE: each query picks its own key out of the batch's, as in MoCo and CLIP.

    With s_ij = queries_i · keys_j over temperature T:

        ℓ_i = −log softmax(s_i)_i        ∂ℓ_i/∂s_ij = p_ij − [j = i]

        ∂ℓ_i/∂T = −Σ_j (p_ij − [j = i]) s_ij / T,  p_i = softmax(s_i)

    and where it is symmetric the mean of that and the same with queries and keys exchanged. The
    vectors are taken as they are: divide them by their norms for cosine similarities. Inside
    `jax.shard_map` the batch is a device's own, as are the negatives.

    Args:
      queries: `(N, D)` floating.
      keys: `(M, D)` floating, M ≥ N: key i is the positive of query i and a negative of all others;
        the keys from N on are negatives alone.
      temperature: T > 0. CLIP learns it; its logit scale is 1/T.
      symmetric: also from keys to queries, as CLIP; then M = N.
      max_logits_bytes: as in `linear_softmax_cross_entropy`.
      where: `(N,)` boolean, False for pairs to drop: they have no loss, and are no negatives.
      weights: `(N,)`, one per pair. A pair of weight 0 is dropped likewise.
      reduction: see `jaxent`.

    Returns:
      `(N,)` in nats, or what `reduction` makes of it.

    Raises:
      TypeError: dtypes other than those above.
      ValueError: shapes that do not fit, a temperature that is not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> queries = jnp.array([[1.0, 0.0], [0.6, 0.8]])
      >>> keys = jnp.array([[0.8, 0.6], [0.0, 1.0]])
      >>> print(jaxent.info_nce(queries, keys, temperature=0.5))
      [0.1839 0.8659]

    Numerics, what is differentiable and kept: as `linear_softmax_cross_entropy`.

    Agrees with: `optax.losses.softmax_cross_entropy_with_integer_labels(queries @ keys.T / T, i)`.

    References: van den Oord et al., "Representation learning with contrastive predictive coding",
    2018; He et al., "MoCo", 2020; Radford et al., "CLIP", 2021. SimCLR has another loss: the
    negatives of its NT-Xent are of both views, without the query itself.
    """
    queries, keys = jnp.asarray(queries), jnp.asarray(keys)
    for name, x, shape in (("queries", queries, "(N, D)"), ("keys", keys, "(M, D)")):
        expect_floating(name, x)
        if x.ndim != 2:
            raise ValueError(f"{name} must have the shape {shape}, got {x.shape}")
    (n, width), m = queries.shape, keys.shape[0]
    known = isinstance(n, int) and isinstance(m, int)  # in an export they may be open
    enough = m == n if symmetric else not known or m >= n
    if not enough or keys.shape[1] != width:
        rows = f"{n} where symmetric" if symmetric else f"M ≥ {n}"
        raise ValueError(
            f"keys must have the shape ({rows}, {width}) for queries of shape"
            f" {queries.shape}, got {keys.shape}"
        )
    pairs = _heads.tokens(jnp.arange(n), (n,), m, where, weights)
    options = {"temperature": option("temperature", temperature, compute_dtype(queries, keys))}

    def towards(x: Array, y: Array) -> Array:
        """The losses, or their total, of x, each of which picks out of y."""
        arguments = (_against(x, y, pairs.kept),), (n,), pairs, options, max_logits_bytes
        return _heads.losses_or_total(_own, *arguments, reduction)

    made = towards(queries, keys)
    if symmetric:
        made = (made + towards(keys, queries)) / 2
    return made if reduction == "none" else of_total(made, n, pairs.kept, pairs.weights, reduction)


def _against(x: Array, y: Array, kept: Array | None) -> Head:
    """The head whose logits are x · yᵀ, and −inf for y that are not kept."""
    if y.shape[0] == 0:
        y = jnp.zeros((1, y.shape[1]), y.dtype)  # a softmax has a class
    if kept is None:
        return Head(x, y.T, None)
    kept = jnp.pad(kept, (0, y.shape[0] - kept.shape[0]), constant_values=True)
    left_out = select(kept, 0, -jnp.inf).astype(compute_dtype(x, y))
    return Head(x, select(kept[:, None], y, 0).T, left_out)


def _own(z: tuple[Array, ...], y: Array, options: _heads.Options) -> Array:
    return formulas.cross_entropy(Rows(divided(z[0], options["temperature"])), y, None, None, None)
