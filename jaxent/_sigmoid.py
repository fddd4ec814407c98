"""Binary losses from logits."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent._declare import (
    FACTOR,
    FRACTION,
    MARGIN,
    NON_NEGATIVE,
    SMOOTHING,
    Reduction,
    loss,
)
from jaxent._inputs import option, per_class_option, prepare_elements
from jaxent._reduction import Reduced, reduce
from jaxent.core.asymmetric import asymmetric
from jaxent.core.bernoulli import cross_entropy, focal_terms
from jaxent.core.dtypes import widen_both
from jaxent.core.focal import balance, focal
from jaxent.core.labels import smooth
from jaxent.core.lower import second_pass, total


@loss(pos_weight=FACTOR, label_smoothing=SMOOTHING)
def sigmoid_binary_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    pos_weight: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Binary cross-entropy from logits, element by element.

    With logit z, label y, p = σ(z), q = 1 − p, and w the `pos_weight`:

        ℓ = −w y log p − (1 − y) log q        ∂ℓ/∂z = (1 − y) p − w y q

    Label smoothing α first replaces y by (1 − α) y + α/2.

    Args:
      logits: `(...)` floating.
      labels: `(...)` real, of the shape of `logits`: 0 and 1, booleans, or numbers between.
      pos_weight: at least 0. A number, or one per class of the last axis.
      label_smoothing: in [0, 1].
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `logits` is not floating, `labels` not real, or `where` not boolean.
      ValueError: shapes differ, as (4, 1) and (4,) do, or an option is out of its range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([2.0, -1.0, 30.0])
      >>> labels = jnp.array([1, 1, 1])
      >>> print(jaxent.sigmoid_binary_cross_entropy(logits, labels))
      [1.269e-01 1.313e+00 9.358e-14]

    Numerics: all terms come from one exponential exp(−|z|), and nothing cancels. At z = ±inf a
    certain and right answer has loss 0. A certain and wrong one has loss +inf and gradient ±1. NaN
    gives NaN in its own element.

    Differentiable: in both modes, to any order, by `logits`, `labels` and every numeric option.
    Residuals: the arguments in their own dtypes.

    Agrees with: `optax.losses.sigmoid_binary_cross_entropy(logits, labels)`,
    `torch.nn.functional.binary_cross_entropy_with_logits`.

    References: Cox, "The regression analysis of binary sequences", 1958.
    """
    binary = prepare_elements("logits", logits, labels, where, weights)
    smoothing = option("label_smoothing", label_smoothing, binary.dtype)
    y = smooth(binary.labels, smoothing, jnp.asarray(0.5, binary.dtype))
    positives = per_class_option("pos_weight", pos_weight, binary)
    losses = _cross_entropy(binary.values, y, positives)
    return reduce(losses, binary.kept, weights, reduction, add_up=total)


@loss(alpha=FRACTION, gamma=NON_NEGATIVE, label_smoothing=SMOOTHING)
def sigmoid_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Binary focal loss from logits, element by element.

    With logit z, label y, p = σ(z), and m = y (1 − p) + (1 − y) p the missed probability:

        ℓ = α_t m^γ (−y log p − (1 − y) log(1 − p)),    α_t = α y + (1 − α)(1 − y)

    The gradient by z for y = 1 is −α (1 − p)^γ [(1 − p) − γ p log p].

    Args:
      logits: `(...)` floating.
      labels: `(...)` real, of the shape of `logits`, between 0 and 1.
      alpha: in [0, 1], a number or one per class of the last axis. Positives have weight α,
        negatives 1 − α. None weighs neither. Use more than 1/2 for rare positives.
      gamma: at least 0. 0 gives the cross-entropy.
      label_smoothing: s in [0, 1]. It first replaces y by (1 − s) y + s/2.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `sigmoid_binary_cross_entropy`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([2.0, -1.0])
      >>> print(jaxent.sigmoid_focal_loss(logits, jnp.array([1, 1]), alpha=0.25))
      [0.00045 0.17547]

    Numerics: at z = ±inf a certain and right answer has value and gradient 0 for every γ. A certain
    and wrong one has loss +inf and the gradient of the cross-entropy.

    Differentiable: as `sigmoid_binary_cross_entropy`; by `alpha` and `gamma` too.

    Agrees with: `optax.losses.sigmoid_focal_loss(logits, labels, alpha=alpha, gamma=gamma)`.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    binary = prepare_elements("logits", logits, labels, where, weights)
    smoothing = option("label_smoothing", label_smoothing, binary.dtype)
    y = smooth(binary.labels, smoothing, jnp.asarray(0.5, binary.dtype))
    exponent = option("gamma", gamma, binary.dtype)
    losses = _focal(binary.values, y, exponent, per_class_option("alpha", alpha, binary))
    return reduce(losses, binary.kept, weights, reduction, add_up=total)


@loss(gamma_pos=NON_NEGATIVE, gamma_neg=NON_NEGATIVE, margin=MARGIN)
def sigmoid_asymmetric_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    gamma_pos: ArrayLike = 0.0,
    gamma_neg: ArrayLike = 4.0,
    margin: ArrayLike = 0.05,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Asymmetric loss of multi-label classification from logits, element by element.

    With logit z, label y, p = σ(z), margin m and p_m = max(p − m, 0):

        ℓ = −y (1 − p)^γ₊ log p − (1 − y) p_m^γ₋ log(1 − p_m)

    The gradient by z for y = 1 is −(1 − p)^γ₊ [(1 − p) − γ₊ p log p]. For y = 0 and p > m it is
    p (1 − p) p_m^γ₋ [1/(1 − p_m) − γ₋ log(1 − p_m)/p_m], and 0 for p ≤ m. With a margin it falls
    to 0 again where p is near 1: the loss of a negative is at most −(1 − m)^γ₋ log m.

    Args:
      logits: `(...)` floating.
      labels: `(...)` real, of the shape of `logits`, between 0 and 1.
      gamma_pos: γ₊ at least 0, the focal exponent of positives.
      gamma_neg: γ₋ at least 0, that of negatives. It exceeds γ₊ where positives are rare.
      margin: m in [0, 1). Negatives of a probability up to m have loss 0.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `sigmoid_binary_cross_entropy`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([2.0, 2.0, -4.0])
      >>> print(jaxent.sigmoid_asymmetric_loss(logits, jnp.array([1, 0, 0])))
      [0.1269 0.8464 0. ]

    Numerics: as `sigmoid_focal_loss` for m = 0. For m > 0 a negative of probability 1 has the loss
    −(1 − m)^γ₋ log m, and the gradient 0.

    Differentiable: as `sigmoid_binary_cross_entropy`; by `gamma_pos`, `gamma_neg` and `margin` too.

    Agrees with: the authors' `AsymmetricLoss(gamma_neg, gamma_pos, clip=margin)`, whose gradients
    pass through the focal factor, up to the 1e-8 in its logarithms.

    References: Ridnik et al., "Asymmetric loss for multi-label classification", 2021.
    """
    binary = prepare_elements("logits", logits, labels, where, weights)
    named = {"gamma_pos": gamma_pos, "gamma_neg": gamma_neg, "margin": margin}
    options = (option(name, value, binary.dtype) for name, value in named.items())
    losses = _asymmetric(binary.values, binary.labels, *options)
    return reduce(losses, binary.kept, weights, reduction, add_up=total)


@second_pass
def _cross_entropy(logits: Array, labels: Array, pos_weight: Array | None) -> Array:
    return cross_entropy(*widen_both(logits, labels), pos_weight)


@second_pass
def _focal(logits: Array, labels: Array, gamma: Array | None, alpha: Array | None) -> Array:
    z, y = widen_both(logits, labels)
    return balance(focal(*focal_terms(z, y), gamma), y, alpha)


@second_pass
def _asymmetric(
    logits: Array,
    labels: Array,
    gamma_pos: Array | None,
    gamma_neg: Array | None,
    margin: Array | None,
) -> Array:
    return asymmetric(*widen_both(logits, labels), gamma_pos, gamma_neg, margin)
