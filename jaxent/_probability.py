"""Losses from probabilities."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import FACTOR, FRACTION, HALF, NON_NEGATIVE, Axis, Reduction, loss
from jaxent._inputs import fill_dropped, number, option, per_class_option, prepare_elements
from jaxent._reduction import Reduced, reduce
from jaxent.core.dtypes import compute_dtype, widen_both
from jaxent.core.focal import balance, focal
from jaxent.core.lower import row_sum, second_pass, total
from jaxent.core.mesh import select
from jaxent.core.probability import complement_cost, cost, label_prob, take_label
from jaxent.core.xlogy import clip


@loss(epsilon=HALF, pos_weight=FACTOR)
def binary_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-7,
    pos_weight: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Binary cross-entropy from probabilities, element by element.

        ℓ = −w y log max(p, ε) − (1 − y) log max(1 − p, ε)        w the `pos_weight`

    The gradient by p is −w y / p + (1 − y)/(1 − p). A term at its floor ε has gradient 0.

    Args:
      probs: `(...)` floating, in [0, 1]. Numbers outside are clipped.
      labels: `(...)` real, of the shape of `probs`, between 0 and 1.
      epsilon: in [0, 0.5], the floor of both probabilities. 0 for none.
      pos_weight: at least 0. A number, or one per class of the last axis.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `probs` is not floating, `labels` not real, or `where` not boolean.
      ValueError: shapes differ, or an option is out of its range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs, labels = jnp.array([0.5, 0.8, 0.3, 0.5]), jnp.array([0, 1, 0, 1])
      >>> print(jaxent.binary_cross_entropy(probs, labels, reduction="mean"))
      0.4915

    Numerics: 0 · log 0 = 0, in the derivatives too. A certain and right answer has loss exactly 0.
    Prefer logits and `sigmoid_binary_cross_entropy`, which needs no floor.

    Differentiable: in both modes, by every floating argument. Residuals: the arguments in their own
    dtypes.

    Agrees with: `keras.losses.BinaryCrossentropy()` to 1e-7. Keras gives certain and right answers
    a loss of 1e-7.
    """
    binary = prepare_elements("probs", probs, labels, where, weights)
    floor = number("epsilon", epsilon, binary.dtype)
    positives = per_class_option("pos_weight", pos_weight, binary)
    losses = _cross_entropy(binary.values, binary.labels, floor, positives)
    return reduce(losses, binary.kept, weights, reduction, add_up=total)


@loss(epsilon=HALF, alpha=FRACTION, gamma=NON_NEGATIVE)
def binary_focal_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-7,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Binary focal loss from probabilities, element by element.

        ℓ = α_t m^γ · binary_cross_entropy(p, y),    m = y (1 − p) + (1 − y) p

    with α_t = α y + (1 − α)(1 − y) and m the missed probability.

    Args:
      probs: `(...)` floating, in [0, 1]. Numbers outside are clipped.
      labels: `(...)` real, of the shape of `probs`, between 0 and 1.
      epsilon: in [0, 0.5], the floor of both probabilities in the logarithms. 0 for none.
      alpha: in [0, 1], a number or one per class of the last axis. Positives have weight α,
        negatives 1 − α. None weighs neither.
      gamma: at least 0. 0 gives the cross-entropy.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `binary_cross_entropy`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs, labels = jnp.array([0.5, 0.8]), jnp.array([0, 1])
      >>> print(jaxent.binary_focal_cross_entropy(probs, labels, gamma=2.0))
      [0.1733 0.0089]

    Numerics, Differentiable: as `binary_cross_entropy`.

    Agrees with: `keras.losses.BinaryFocalCrossentropy(gamma=gamma)`, and with `alpha=alpha,
    apply_class_balancing=True` in it where alpha is given.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    binary = prepare_elements("probs", probs, labels, where, weights)
    floor = number("epsilon", epsilon, binary.dtype)
    exponent = option("gamma", gamma, binary.dtype)
    balances = per_class_option("alpha", alpha, binary)
    losses = _focal(binary.values, binary.labels, floor, exponent, balances)
    return reduce(losses, binary.kept, weights, reduction, add_up=total)


@loss(epsilon=FRACTION)
def categorical_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-7,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Cross-entropy of probabilities over classes, with labels that are distributions.

        ℓ = −Σ_j t_j log max(p_j, ε)        ∂ℓ/∂p_j = −t_j / p_j, and 0 below the floor ε

    Args:
      probs: `(..., V, ...)` floating, in [0, 1]. The loss does not normalise them. Keras first
        divides each row by its sum.
      labels: `(..., V, ...)` real, of the shape of `probs`.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the shape of `probs` to drop classes. A
        class is dropped together with its label mass; see [`jaxent`][].
      epsilon: in [0, 1], the floor of the probabilities. 0 for none.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `softmax_cross_entropy`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs = jnp.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
      >>> labels = jnp.array([[0, 1, 0], [0, 0, 1]])
      >>> print(jaxent.categorical_cross_entropy(probs, labels))
      [0.0513 2.3026 ]

    Numerics: 0 · log 0 = 0, in the derivatives too.

    Differentiable: in both modes.

    Agrees with: `keras.losses.CategoricalCrossentropy()` for rows that sum to 1.
    """
    rows = _classes.prepare_rows("probs", probs, axis, where, weights)
    t = _classes.prepare_class_values("labels", labels, rows, axis, jnp.shape(probs), "probs")
    p = _classes.fill_rows(rows, rows.values, 1)
    floor = number("epsilon", epsilon, compute_dtype(p, t))
    return reduce(row_sum(_categorical_terms(p, t, floor)), rows.kept, weights, reduction)


@loss(epsilon=FRACTION)
def categorical_cross_entropy_with_integer_labels(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-7,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Cross-entropy of probabilities over classes, with integer labels.

        ℓ = −log max(p_y, ε)        ∂ℓ/∂p_y = −1 / p_y, and 0 below the floor ε

    Args:
      probs: `(..., V, ...)` floating, in [0, 1]. The loss does not normalise them.
      labels: `(...)` integers in [0, V). Any other number gives its row a loss of NaN and a
        gradient of 0.
      axis: the class axis, or several. With several axes a label is a flat index.
      where: boolean, of the rows' shape to drop rows, or of the shape of `probs` to drop classes. A
        label on a dropped class has loss +inf, whatever `epsilon` is.
      epsilon: in [0, 1], the floor of the probabilities. 0 for none.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `softmax_cross_entropy_with_integer_labels`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs = jnp.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
      >>> print(jaxent.categorical_cross_entropy_with_integer_labels(probs, jnp.array([1, 2])))
      [0.0513 2.3026 ]

    Agrees with: `keras.losses.SparseCategoricalCrossentropy()` for rows that sum to 1.
    """
    rows = _classes.prepare_rows("probs", probs, axis, where, weights)
    y, valid = _classes.prepare_integer_labels("probs", labels, rows.values.shape, axis)
    p = label_prob(rows.values, y).astype(rows.dtype)
    p = clip(p, number("epsilon", epsilon, p.dtype))
    p = p if rows.classes is None else select(take_label(rows.classes, y), p, 0)
    p = fill_dropped(p, rows.kept, 1)
    losses = 0 - jnp.log(select(valid, p, 1))
    return reduce(losses, rows.kept, weights, reduction, valid)


def _binary_terms(
    probs: Array, labels: Array, epsilon: Array, pos_weight: Array | None = None
) -> Array:
    p, y = widen_both(probs, labels)
    positive, negative = y if pos_weight is None else y * pos_weight, 1 - y
    return cost(positive, p, epsilon) + complement_cost(negative, p, epsilon)


_cross_entropy = second_pass(_binary_terms)


@second_pass
def _categorical_terms(probs: Array, labels: Array, epsilon: Array) -> Array:
    p, t = widen_both(probs, labels)
    return cost(t, p, epsilon)


@second_pass
def _focal(
    probs: Array, labels: Array, epsilon: Array, gamma: Array | None, alpha: Array | None
) -> Array:
    p, y = widen_both(probs, labels)
    ce = _binary_terms(p, y, epsilon)
    p = clip(p, 0)
    return balance(focal(ce, y * (1 - p) + (1 - y) * p, gamma), y, alpha)
