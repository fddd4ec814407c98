"""Information and entropy, in nats.

A negative logarithm is written 0 − log p, since what is certain informs of 0 and not of −0.
"""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._inputs import Axis, expect_floating, loss
from jaxent.core.bernoulli import bernoulli_stats
from jaxent.core.dense import unlabelled_stats
from jaxent.core.dtypes import widen
from jaxent.core.xlogy import xlogy


@loss()
def self_information(probs: ArrayLike) -> Array:
    """Self-information −log p, element by element, in nats.

    Args:
      probs: `(...)` floating, in [0, 1].

    Returns:
      `(...)`; +inf where p is 0.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.self_information(jnp.array([1.0, 0.5])))
      [0.     0.6931]
    """
    probs = jnp.asarray(probs)
    expect_floating("probs", probs)
    return 0 - jnp.log(widen(probs))


@loss()
def entropy(probs: ArrayLike, axis: Axis = -1) -> Array:
    """Entropy −Σ p_j log p_j of probabilities over classes, in nats.

    Args:
      probs: `(..., V, ...)` floating, in [0, 1].
      axis: the class axis or axes.

    Returns:
      `(...)`. 0 · log 0 = 0, and the derivative −log p_j − 1 is taken as 0 there.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.entropy(jnp.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])))
      [0.6931 0. ]

    References: Shannon, "A mathematical theory of communication", 1948.
    """
    p = widen(_classes.rows("probs", probs, axis, None).values)
    return 0 - jnp.sum(xlogy(p, p), axis=-1)


@loss()
def softmax_entropy(logits: ArrayLike, axis: Axis = -1) -> Array:
    """Entropy of softmax(logits), in nats: H = −Σ p_j log p_j, ∂H/∂z_j = −p_j (log p_j + H).

    Args:
      logits: `(..., V, ...)` floating.
      axis: the class axis or axes.

    Returns:
      `(...)`, with a confident row's 1e-8 intact. A class at −inf counts for nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.softmax_entropy(jnp.array([[0.0, 0.0], [20.0, 0.0]])))
      [6.931e-01 4.328e-08]
    """
    return unlabelled_stats(_classes.rows("logits", logits, axis, None)).entropy


@loss()
def sigmoid_entropy(logits: ArrayLike) -> Array:
    """Entropy of σ(logits), element by element, in nats: ∂H/∂z = −p (1 − p) z.

    Args:
      logits: `(...)` floating.

    Returns:
      `(...)`; 0 at ±inf.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> print(jaxent.sigmoid_entropy(jnp.array([0.0, 20.0])))
      [6.931e-01 4.328e-08]
    """
    logits = jnp.asarray(logits)
    expect_floating("logits", logits)
    return bernoulli_stats(logits).entropy
