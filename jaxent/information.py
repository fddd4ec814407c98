"""Information and entropy, in nats.

A negative logarithm is written 0 − log p, since what is certain informs of 0 and not of −0.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._inputs import Axis, expect_floating, loss
from jaxent.core.bernoulli import bernoulli_entropy
from jaxent.core.dense import unlabelled_stats
from jaxent.core.dtypes import widen
from jaxent.core.mesh import AxisName
from jaxent.core.tangents import in_two_passes, rows_apart
from jaxent.core.xlogy import xlogx


@loss()
def self_information(probs: ArrayLike) -> Array:
    r"""Self-information of an outcome of probability p, element by element.

        I = −log p        ∂I/∂p = −1/p

    Args:
      probs: `(...)` floating, in [0, 1].

    Returns:
      `(...)` in nats; +inf where p is 0.

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
    probs = jnp.asarray(probs)
    expect_floating("probs", probs)
    return 0 - jnp.log(widen(probs))


@loss()
def entropy(probs: ArrayLike, axis: Axis = -1) -> Array:
    r"""Entropy of probabilities over classes.

        H = −Σ_j p_j log p_j        ∂H/∂p_j = −log p_j − 1

    Args:
      probs: `(..., V, ...)` floating, in [0, 1].
      axis: the class axis, several of them (one distribution over all), or None for all.

    Returns:
      `(...)` in nats.

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
    p = widen(_classes.rows("probs", probs, axis, None).values)
    return 0 - jnp.sum(xlogx(p), axis=-1)


@loss()
def softmax_entropy(logits: ArrayLike, axis: Axis = -1, *, axis_name: AxisName = None) -> Array:
    r"""Entropy of the softmax of logits.

    For p = softmax(z):

        H = −Σ_j p_j log p_j        ∂H/∂z_j = −p_j (log p_j + H)

    Args:
      logits: `(..., V, ...)` floating.
      axis: the class axis, several of them, or None for all.
      axis_name: the mesh axis that splits the classes inside `jax.shard_map`; see `jaxent`.

    Returns:
      `(...)` in nats.

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
    rows = _classes.rows("logits", logits, axis, None, axis_name=axis_name)
    return rows_apart(unlabelled_stats(rows).entropy)


@loss()
def sigmoid_entropy(logits: ArrayLike) -> Array:
    r"""Entropy of a binary outcome of probability σ(z), element by element.

        H = −p log p − (1 − p) log(1 − p)        ∂H/∂z = −p (1 − p) z

    Args:
      logits: `(...)` floating.

    Returns:
      `(...)` in nats.

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
    logits = jnp.asarray(logits)
    expect_floating("logits", logits)
    return _sigmoid_entropy(logits)


@in_two_passes("cpu")
def _sigmoid_entropy(logits: Array) -> Array:
    return bernoulli_entropy(widen(logits))
