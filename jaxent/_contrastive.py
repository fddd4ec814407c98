"""Contrastive losses: softmax cross-entropies of similarities within a batch.

The similarities queries · keysᵀ are the logits of a linear head whose kernel is keysᵀ.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes, _heads, _labelled, _pairs
from jaxent._declare import ANY, NON_NEGATIVE, TEMPERATURE, Reduction, loss
from jaxent._heads import Options, RowInputs
from jaxent._inputs import expect_integer, option
from jaxent._pairs import Pairs
from jaxent._reduction import Reduced, count, reduce_total
from jaxent.core import formulas
from jaxent.core.bernoulli import information
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.lower import any_class, is_label, row_sum
from jaxent.core.mesh import AxisName, select
from jaxent.core.rows import Rows


@loss(KEPT_GRADIENTS, temperature=TEMPERATURE._replace(idle=None))
def info_nce(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    temperature: ArrayLike,
    positives: ArrayLike | None = None,
    exclude_self: bool = False,
    symmetric: bool = False,
    keys_where: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""InfoNCE: each query must pick its own key among all keys. CLIP, SimCLR and SupCon.

    With s_ij = queries_i · keys_j / T for the temperature T, p_i = softmax(s_i), and P_i the
    set of positives of query i, of size |P_i|:

        ℓ_i = −(1/|P_i|) Σ_{j∈P_i} log p_ij        ∂ℓ_i/∂s_ij = p_ij − [j ∈ P_i]/|P_i|

    The symmetric loss is the mean of this loss and of the one with queries and keys exchanged. The
    loss does not normalise the vectors: for cosine similarities divide them by their norms.

    Args:
      queries: `(N, D)` floating.
      keys: `(M, D)` floating. Without `positives`, M ≥ N and key i is the positive of query i. All
        other keys are its negatives: a queue of keys behind the first N, as MoCo has it, and those
        of the other queries.
      temperature: T > 0. CLIP learns its logit scale 1/T.
      positives: integers `(N,)`, the index of each query's positive among the keys, or `(N, K)`,
        the indices of up to K, padded with −1. A key that is listed twice counts twice. Any other
        index outside of [0, M) gives its query a loss of NaN. A positive that `keys_where` or
        `exclude_self` excludes is left out of several. As the only one it gives a loss of +inf. A
        query without positives has loss 0 and counts in the mean, unless `where` drops it.
      exclude_self: True leaves key i out of the softmax of query i, where queries and keys are the
        same vectors. It takes `positives`.
      symmetric: True gives the mean of the loss and of that from keys to queries, as CLIP does. It
        takes M = N keys, and neither `positives` nor `exclude_self` nor `keys_where`.
      keys_where: `(M,)` boolean, False for keys that count for no query.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      axis_name: inside `jax.shard_map`, the mesh axis, or axes, that shard queries and keys. The
        keys of all devices then count, and `positives` are indices among them.
      where: `(N,)` boolean, False for queries to drop. Their loss is 0. Without `positives` it
        drops pairs: their keys do not count either.
      weights: `(N,)`, one per query. A weight of 0 drops as `where` does.
      reduction: see [`jaxent`][].

    Returns:
      `(N,)` in nats, or the result of `reduction`.

    Raises:
      TypeError: a dtype is not one of those above.
      ValueError: a shape does not fit, or the temperature is not above 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> queries = jnp.array([[1.0, 0.0], [0.6, 0.8]])
      >>> keys = jnp.array([[0.8, 0.6], [0.0, 1.0]])
      >>> print(jaxent.info_nce(queries, keys, temperature=0.5))
      [0.1839 0.8659]

      NT-Xent of SimCLR has two views of each example, and SupCon a class for each view:

      >>> views = jnp.concatenate([queries, keys])
      >>> n = len(queries)
      >>> other_view = jnp.arange(2 * n).reshape(2, n)[::-1].reshape(-1)
      >>> print(jaxent.info_nce(
      ...     views, views, temperature=0.5, positives=other_view, exclude_self=True
      ... ))
      [0.6271 1.1143 1.1143 0.6271]
      >>> classes = jnp.array([0, 0, 1, 1])
      >>> same = (classes[:, None] == classes) & ~jnp.eye(2 * n, dtype=bool)
      >>> positives = jnp.where(same, jnp.arange(2 * n), -1)
      >>> print(jaxent.info_nce(
      ...     views, views, temperature=0.5, positives=positives, exclude_self=True
      ... ))
      [1.0271 1.5143 1.5143 1.0271 ]

    Numerics, Differentiable: as `linear_softmax_cross_entropy`.

    Agrees with: `optax.losses.softmax_cross_entropy_with_integer_labels(queries @ keys.T / T,
    jnp.arange(N))`.

    References: van den Oord et al., "Representation learning with contrastive predictive coding",
    2018; He et al., "MoCo", 2020; Radford et al., "CLIP", 2021; Chen et al., "SimCLR", 2020; Khosla
    et al., "Supervised contrastive learning", 2020 (the sum outside of the logarithm).
    """
    if symmetric and (positives is not None or exclude_self or keys_where is not None):
        raise ValueError(
            "symmetric must be False with positives, exclude_self or keys_where, got True"
        )
    if exclude_self and positives is None:
        raise ValueError("positives must be given where exclude_self=True, got None")
    if symmetric:
        both = queries, keys, temperature, max_logits_bytes, axis_name, where, weights, reduction
        return _both_ways(*both)
    paired = positives is None
    arrays = queries, keys, where, weights, axis_name, keys_where
    pairs = _pairs.prepare(*arrays, paired=paired, exclude_self=exclude_self)
    inputs = pairs.inputs._replace(labels=pairs.numbers)
    if positives is not None:
        inputs = _with_positives(inputs, jnp.asarray(positives), pairs, exclude_self)
    if exclude_self:
        if pairs.keys.shape[0] == 1:
            raise ValueError("keys must be two or more where exclude_self=True, got 1")
        inputs = inputs._replace(further=(pairs.numbers,))
    options = {"temperature": option("temperature", temperature, pairs.dtype)}
    head, shape = pairs.head(excludes=True), pairs.queries.shape[:1]
    arguments = (head,), shape, inputs, options, max_logits_bytes, reduction
    return _heads.reduced_losses(_cross_entropy, *arguments)[0]


def _with_positives(
    inputs: RowInputs, positives: Array, pairs: Pairs, exclude_self: bool
) -> RowInputs:
    """The inputs with the index of one key for each query, or the indices of several.

    Excluded positives of a query with several have share 0.
    """
    expect_integer("positives", positives)
    n, m = pairs.queries.shape[0], pairs.keys.shape[0]
    if positives.ndim not in (1, 2) or positives.shape[0] != n:
        raise ValueError(f"positives must have the shape ({n},) or ({n}, K), got {positives.shape}")
    if positives.ndim == 1:
        y, valid = _classes.prepare_integer_labels("queries", positives, (n, m))
        return inputs._replace(labels=y, valid=valid)
    positives = _classes.wide(positives)
    counts = (positives >= 0) & (positives < m)
    here = select(counts, positives, 0).astype(pairs.numbers.dtype)
    if pairs.keys_kept is not None:
        counts &= jnp.take(pairs.keys_kept, here, mode="clip")
    if exclude_self:
        counts &= here != pairs.numbers[:, None]
    counts = counts.astype(pairs.dtype)
    shares = counts / jnp.maximum(1, jnp.sum(counts, axis=1, keepdims=True))
    named = "queries", positives, shares, (n, m), inputs.kept
    y, probs, valid = _classes.prepare_label_probs(*named)
    return inputs._replace(labels=y, label_probs=probs, valid=valid)


def _cross_entropy(z: tuple[Array, ...], inputs: RowInputs, options: Options) -> tuple[Array, None]:
    rows = Rows(z[0]).at_temperature(options["temperature"])
    if inputs.further:
        (own,) = inputs.further
        others = ~is_label(z[0], own) & ~jnp.isneginf(z[0])
        rows = replace(rows, classes=others, kept=any_class(others))
    return _labelled.cross_entropy(rows, inputs, None, None, None), None


def _both_ways(
    queries: ArrayLike,
    keys: ArrayLike,
    temperature: ArrayLike,
    max_logits_bytes: int | None,
    axis_name: AxisName,
    where: ArrayLike | None,
    weights: ArrayLike | None,
    reduction: Reduction,
) -> Reduced:
    """The mean of the loss from queries to keys and of the one from keys to queries."""
    pairs = _pairs.prepare(queries, keys, where, weights, axis_name, equal=True)
    options = {"temperature": option("temperature", temperature, pairs.dtype)}
    (n, _), head = pairs.queries.shape, pairs.head(excludes=False)
    chunk = _heads.rows_per_chunk((head,), options, max_logits_bytes)
    if axis_name is None and isinstance(n, int) and 0 < n <= chunk:
        # A chunk has all logits, those of both ways.
        arguments = (head,), (n,), pairs.inputs, options, max_logits_bytes, reduction
        return _heads.reduced_losses(_cross_entropies, *arguments)[0]

    def losses_or_total(x: Array, y: Array) -> Array:
        """For queries x and keys y."""
        one = _pairs.prepare(x, y, where, weights, axis_name)
        one_head = replace(one.head(excludes=True), operand_dtype=head.operand_dtype)
        arguments = (one_head,), (n,), one.inputs._replace(labels=one.numbers)
        rest = options, max_logits_bytes, reduction
        return _heads.losses_or_total(_cross_entropy, *arguments, *rest)[0]

    # The gradients of both ways are added before they are rounded.
    x, y = jnp.asarray(queries).astype(pairs.dtype), jnp.asarray(keys).astype(pairs.dtype)
    result = (losses_or_total(x, y) + losses_or_total(y, x)) / 2
    if reduction == "none":
        return result
    kept, weights = pairs.inputs.kept, pairs.inputs.weights
    return reduce_total(result, count(kept, n), kept, weights, reduction)


def _cross_entropies(
    z: tuple[Array, ...], inputs: RowInputs, options: Options
) -> tuple[Array, None]:
    """Those of both ways, from the logits of all pairs."""
    kept, y = inputs.kept, jnp.arange(z[0].shape[0])
    classes = None if kept is None else jnp.broadcast_to(kept, z[0].shape)
    ways = (Rows(logits, classes, kept) for logits in (z[0], z[0].T))
    there, back = (
        formulas.cross_entropy(rows.at_temperature(options["temperature"]), y, None, None, None)
        for rows in ways
    )
    return (there + back) / 2, None


@loss(KEPT_GRADIENTS, scale=NON_NEGATIVE._replace(idle=None), bias=ANY._replace(idle=None))
def siglip_loss(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    scale: ArrayLike,
    bias: ArrayLike,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""The sigmoid loss of SigLIP: each pair of a query and a key is a binary classification.

    With z_ij = scale · queries_i · keys_j + bias, σ the sigmoid, and δ_ij = 1 if i = j, else 0:

        ℓ_i = −log σ(z_ii) − Σ_{j≠i} log σ(−z_ij)        ∂ℓ_i/∂z_ij = σ(z_ij) − δ_ij

    The mean over i is the loss of the paper, which divides the sum over all pairs by N. The
    N · M logits are never held together: they exist for one chunk of queries at a time.

    Args:
      queries: `(N, D)` floating. For cosine similarities divide the vectors by their norms.
      keys: `(M, D)` floating, M ≥ N. Key i is the positive of query i. It is a negative of the
        other queries.
      scale: at least 0, the exponential of the paper's t′. Initialise it to 10.
      bias: the paper's b. Initialise it to −10.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      axis_name: inside `jax.shard_map`, the mesh axis that shards queries and keys. The keys of all
        devices are then negatives.
      where: `(N,)` boolean, False for pairs to drop. Their loss is 0, and their keys are no
        negatives.
      weights: `(N,)`, one per query. A weight of 0 drops a pair as `where` does.
      reduction: see [`jaxent`][].

    Returns:
      `(N,)` in nats, or the result of `reduction`.

    Raises: as `info_nce`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> queries = jnp.array([[1.0, 0.0], [0.6, 0.8]])
      >>> keys = jnp.array([[0.8, 0.6], [0.0, 1.0]])
      >>> print(jaxent.siglip_loss(queries, keys, scale=10.0, bias=-10.0))
      [2.1270 2.6399]

    Numerics, Differentiable: as `linear_softmax_cross_entropy`; by `scale` and `bias` too.

    References: Zhai et al., "Sigmoid loss for language image pre-training", 2023.
    """
    pairs = _pairs.prepare(queries, keys, where, weights, axis_name)
    named = {"scale": scale, "bias": bias}
    options = {name: option(name, value, pairs.dtype) for name, value in named.items()}
    options["keys_kept"] = pairs.keys_kept
    inputs, shape = pairs.inputs._replace(labels=pairs.numbers), pairs.queries.shape[:1]
    head = pairs.head(excludes=False)
    arguments = (head,), shape, inputs, options, max_logits_bytes, reduction
    return _heads.reduced_losses(_sigmoid_losses, *arguments)[0]


def _sigmoid_losses(
    z: tuple[Array, ...], inputs: RowInputs, options: Options
) -> tuple[Array, None]:
    kept = options["keys_kept"]
    of_pair, of_others = information(options["scale"] * z[0] + options["bias"])
    terms = select(is_label(z[0], inputs.labels), of_pair, of_others)
    return row_sum(terms if kept is None else select(kept[None], terms, 0)), None
