"""Information and entropy, in nats.

The code has 0 − log p for −log p: an event with p = 1 then has information 0, not −0.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import Axis, Reduction, loss
from jaxent._inputs import prepare_elements
from jaxent._reduction import Reduced, reduce
from jaxent.core.bernoulli import bernoulli_entropy
from jaxent.core.dense import unlabelled_stats
from jaxent.core.dtypes import widen
from jaxent.core.lower import row_sum, second_pass, settled
from jaxent.core.mesh import AxisName
from jaxent.core.probability import entropy_term


@loss()
def self_information(
    probs: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Self-information of an event of probability p, element by element.

        I = −log p        ∂I/∂p = −1/p

    Args:
      probs: `(...)` floating, in [0, 1].
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, +inf where p is 0. Or the result of `reduction`.

    Raises:
      TypeError: `probs` is not floating.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.self_information(jnp.array([1.0, 0.5])))
      [0.     0.6931]

    Agrees with: `-jnp.log(probs)`, which has −0 where this has 0.

    References: Shannon, "A mathematical theory of communication", 1948.
    """
    p = prepare_elements("probs", probs, None, where, weights)
    return reduce(0 - jnp.log(widen(p.values)), p.kept, weights, reduction)


@loss()
def entropy(
    probs: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Entropy of probabilities over classes.

        H = −Σ_j p_j log p_j        ∂H/∂p_j = −log p_j − 1

    Args:
      probs: `(..., V, ...)` floating, in [0, 1].
      axis: the class axis, or several for one distribution over all of them, or None for all axes.
      where: boolean, of the rows' shape to drop rows, or of the shape of `probs` to drop terms.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `probs` is not floating.
      ValueError: an axis is out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.entropy(jnp.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])))
      [0.6931 0. ]

    Numerics: 0 · log 0 = 0, and its derivative is 0, where the true one is infinite.

    Agrees with: `scipy.stats.entropy(probs, axis=-1)` for rows that sum to 1.

    References: Shannon, "A mathematical theory of communication", 1948.
    """
    rows = _classes.prepare_rows("probs", probs, axis, where, weights)
    p = _classes.fill_rows(rows, rows.values, 1)
    return reduce(row_sum(_entropy_terms(p)), rows.kept, weights, reduction)


@second_pass
def _entropy_terms(probs: Array) -> Array:
    return entropy_term(widen(probs))


@loss()
def softmax_entropy(
    logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Entropy of the softmax of logits.

    For p = softmax(z):

        H = −Σ_j p_j log p_j        ∂H/∂z_j = −p_j (log p_j + H)

    Args:
      logits: `(..., V, ...)` floating.
      axis: the class axis, or several, or None for all.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `logits` is not floating.
      ValueError: an axis is out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.softmax_entropy(jnp.array([[0.0, 0.0], [20.0, 0.0]])))
      [6.931e-01 4.328e-08]

    Numerics: all terms are at least 0, so confident rows lose no digits. A class at −inf adds 0.

    Differentiable: in both modes, to any order. Residuals: the logits and a few floats per row.

    Agrees with: `torch.distributions.Categorical(logits=logits).entropy()`.
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    return reduce(
        settled(unlabelled_stats(rows, entropy=True).entropy), rows.kept, weights, reduction
    )


@loss()
def sigmoid_entropy(
    logits: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Entropy of a binary event of probability σ(z), element by element.

    For p = σ(z):

        H = −p log p − (1 − p) log(1 − p)        ∂H/∂z = −p (1 − p) z

    Args:
      logits: `(...)` floating.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `logits` is not floating.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.sigmoid_entropy(jnp.array([0.0, 20.0])))
      [6.931e-01 4.328e-08]

    Numerics: nothing cancels. The entropy at ±inf is 0.

    Differentiable: in both modes, to any order.

    Agrees with: `torch.distributions.Bernoulli(logits=logits).entropy()`.
    """
    z = prepare_elements("logits", logits, None, where, weights)
    return reduce(_sigmoid_entropy(z.values), z.kept, weights, reduction)


@second_pass
def _sigmoid_entropy(logits: Array) -> Array:
    return bernoulli_entropy(widen(logits))
