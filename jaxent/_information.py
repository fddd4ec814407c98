"""Information and entropy, in nats.

A negative logarithm is written 0 − log p, since what is certain informs of 0 and not of −0.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import Axis, Reduction, loss
from jaxent._inputs import elements
from jaxent._reduction import Reduced, reduce
from jaxent.core.bernoulli import bernoulli_entropy
from jaxent.core.dense import unlabelled_stats
from jaxent.core.dtypes import widen
from jaxent.core.mesh import AxisName
from jaxent.core.tangents import in_two_passes, rows_apart
from jaxent.core.xlogy import xlogx


@loss()
def self_information(
    probs: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Self-information of an outcome of probability p, element by element.

        I = −log p        ∂I/∂p = −1/p

    Args:
      probs: `(...)` floating, in [0, 1].
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, +inf where p is 0; or what `reduction` makes of it.

    Raises:
      TypeError: `probs` not floating.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.self_information(jnp.array([1.0, 0.5])))
      [0.     0.6931]

    Agrees with: `-jnp.log(probs)`, but for the sign of its 0.

    References: Shannon, "A mathematical theory of communication", 1948.
    """
    p = elements("probs", probs, None, where, weights)
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
      axis: the class axis, several of them (one distribution over all), or None for all.
      where: of the rows' shape to drop rows, or of that of `probs` to leave terms out.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises:
      TypeError: `probs` not floating.
      ValueError: an axis out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.entropy(jnp.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])))
      [0.6931 0. ]

    Numerics: 0 · log 0 = 0, and the derivative is taken as 0 there.

    Agrees with: `scipy.stats.entropy(probs, axis=-1)` for rows that sum to 1.

    References: Shannon, "A mathematical theory of communication", 1948.
    """
    rows = _classes.rows("probs", probs, axis, where, weights)
    terms = xlogx(widen(_classes.filled(rows, rows.values, 1)))
    return reduce(0 - jnp.sum(terms, axis=-1), rows.kept, weights, reduction)


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
      axis: the class axis, several of them, or None for all.
      where: of the rows' shape to drop rows, or of the logits' to drop classes.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises:
      TypeError: `logits` not floating.
      ValueError: an axis out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.softmax_entropy(jnp.array([[0.0, 0.0], [20.0, 0.0]])))
      [6.931e-01 4.328e-08]

    Numerics: a sum of terms that are each at least 0, exact for confident rows. A class at −inf
    counts for nothing.

    Differentiable: in both modes, to any order. Kept: the logits and a few floats a row.

    Agrees with: `torch.distributions.Categorical(logits=logits).entropy()`.
    """
    rows = _classes.rows("logits", logits, axis, where, weights, axis_name)
    return reduce(rows_apart(unlabelled_stats(rows).entropy), rows.kept, weights, reduction)


@loss()
def sigmoid_entropy(
    logits: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Entropy of a binary outcome of probability σ(z), element by element.

        H = −p log p − (1 − p) log(1 − p)        ∂H/∂z = −p (1 − p) z

    Args:
      logits: `(...)` floating.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises:
      TypeError: `logits` not floating.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.sigmoid_entropy(jnp.array([0.0, 20.0])))
      [6.931e-01 4.328e-08]

    Numerics: without cancellation; 0 at ±inf. Differentiable in both modes, to any order.

    Agrees with: `torch.distributions.Bernoulli(logits=logits).entropy()`.
    """
    z = elements("logits", logits, None, where, weights)
    return reduce(_sigmoid_entropy(z.values), z.kept, weights, reduction)


@in_two_passes("cpu")
def _sigmoid_entropy(logits: Array) -> Array:
    return bernoulli_entropy(widen(logits))
