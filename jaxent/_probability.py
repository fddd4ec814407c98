"""Losses from probabilities."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import FRACTION, HALF, NON_NEGATIVE, POS_WEIGHT, Axis, Reduction, loss
from jaxent._inputs import elements, keep, number, option, per_class_option
from jaxent._reduction import Reduced, reduce
from jaxent.core.dtypes import compute_dtype
from jaxent.core.focal import balance, focal
from jaxent.core.mesh import select
from jaxent.core.xlogy import xlog1my, xlogy


@loss(epsilon=HALF, pos_weight=POS_WEIGHT)
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

    and the derivative by p is −w y / p + (1 − y)/(1 − p), without the term whose floor holds.

    Args:
      probs: `(...)` floating, in [0, 1]; numbers outside are taken as 0 or 1.
      labels: `(...)` real, of the shape of `probs`, between 0 and 1.
      epsilon: in [0, 0.5], the floor under both probabilities; 0 for none.
      pos_weight: at least 0; a number, or one per class of the last axis.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises:
      TypeError: `probs` not floating, `labels` not real, `where` not boolean.
      ValueError: shapes that differ, an option out of its range.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs, labels = jnp.array([0.5, 0.8, 0.3, 0.5]), jnp.array([0, 1, 0, 1])
      >>> print(jaxent.binary_cross_entropy(probs, labels, reduction="mean"))
      0.4915

    Numerics: 0 · log 0 = 0, in the derivatives too. A certain and right answer costs exactly 0.
    From logits, `sigmoid_binary_cross_entropy` has no floor and no limit.

    Differentiable: in both modes, by every floating argument. Kept: the arguments as they came.

    Agrees with: `keras.losses.BinaryCrossentropy()`, to 1e-7, which it adds to certain answers.
    """
    binary = elements("probs", probs, labels, where, weights)
    y = binary.labels.astype(binary.dtype)
    positives = per_class_option("pos_weight", pos_weight, binary)
    positive = y if positives is None else y * positives
    losses = _cross_entropy(binary.values, positive, 1 - y, number("epsilon", epsilon, y.dtype))
    return reduce(losses, binary.kept, weights, reduction)


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

    Args:
      probs: `(...)` floating, in [0, 1].
      labels: `(...)` real, of the shape of `probs`, between 0 and 1.
      epsilon: in [0, 0.5], the floor under both probabilities in the logarithms; 0 for none.
      alpha: in [0, 1], the weight of positives against 1 − α of negatives; None weighs neither.
        A number, or one per class of the last axis.
      gamma: at least 0; 0 gives the cross-entropy.
      where: `(...)` boolean.
      weights: `(...)` real.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises: as `binary_cross_entropy`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs, labels = jnp.array([0.5, 0.8]), jnp.array([0, 1])
      >>> print(jaxent.binary_focal_cross_entropy(probs, labels, gamma=2.0))
      [0.1733 0.0089]

    Numerics and what is differentiable: as `binary_cross_entropy`.

    Agrees with: `keras.losses.BinaryFocalCrossentropy(alpha=alpha, gamma=gamma)`, which weighs with
    alpha when `apply_class_balancing=True`.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    binary = elements("probs", probs, labels, where, weights)
    p, y = binary.values.astype(binary.dtype), binary.labels.astype(binary.dtype)
    ce = _cross_entropy(p, y, 1 - y, number("epsilon", epsilon, y.dtype))
    losses = focal(ce, y * (1 - p) + (1 - y) * p, option("gamma", gamma, y.dtype))
    losses = balance(losses, y, per_class_option("alpha", alpha, binary))
    return reduce(losses, binary.kept, weights, reduction)


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

        ℓ = −Σ_j t_j log max(p_j, ε)        ∂ℓ/∂p_j = −t_j / p_j, 0 below the floor

    Args:
      probs: `(..., V, ...)` floating, in [0, 1]. They are taken as they are: Keras divides a row
        by its sum first, which changes nothing where that is 1.
      labels: `(..., V, ...)` real, of the shape of `probs`.
      axis: the class axis or axes.
      where: of the rows' shape to drop rows, or of that of `probs` to drop classes, whose label
        mass goes with them; see `jaxent`.
      epsilon: in [0, 1], the floor under the probabilities; 0 for none.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises: as `softmax_cross_entropy`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs = jnp.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
      >>> labels = jnp.array([[0, 1, 0], [0, 0, 1]])
      >>> print(jaxent.categorical_cross_entropy(probs, labels))
      [0.0513 2.3026 ]

    Numerics: 0 · log 0 = 0, in the derivatives too. Differentiable in both modes.

    Agrees with: `keras.losses.CategoricalCrossentropy()` for rows that sum to 1.
    """
    rows = _classes.rows("probs", probs, axis, where, weights)
    t = _classes.class_values("labels", labels, rows, axis, jnp.shape(probs), "probs")
    t = t.astype(compute_dtype(rows.values, t))
    p = _floored(rows.values.astype(t.dtype), number("epsilon", epsilon, t.dtype))
    p = _classes.filled(rows, p, 1)
    return reduce(0 - jnp.sum(xlogy(t, p), axis=-1), rows.kept, weights, reduction)


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
    r"""Cross-entropy of probabilities over classes, with labels that are class numbers.

        ℓ = −log max(p_y, ε)

    Args:
      probs: `(..., V, ...)` floating, in [0, 1], taken as they are.
      labels: `(...)` integers in [0, V); another number makes that row's loss NaN, its gradient 0.
      axis: the class axis, or several, of which a label is then a flat index.
      where: of the rows' shape to drop rows, or of that of `probs` to drop classes. A class dropped
        has probability 0, below any epsilon: a label there costs +inf.
      epsilon: in [0, 1], the floor under the probabilities; 0 for none.
      weights: `(...)`, one per row.
      reduction: see `jaxent`.

    Returns:
      `(...)` in nats, or what `reduction` makes of it.

    Raises: as `softmax_cross_entropy_with_integer_labels`.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> probs = jnp.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
      >>> print(jaxent.categorical_cross_entropy_with_integer_labels(probs, jnp.array([1, 2])))
      [0.0513 2.3026 ]

    Agrees with: `keras.losses.SparseCategoricalCrossentropy()` for rows that sum to 1.
    """
    rows = _classes.rows("probs", probs, axis, where, weights)
    y, valid = _classes.class_numbers("probs", labels, rows.values.shape, axis)
    p = _of_label(rows.values.astype(compute_dtype(rows.values)), y)
    p = _floored(p, number("epsilon", epsilon, p.dtype))
    p = p if rows.classes is None else select(_of_label(rows.classes, y), p, 0)
    p = keep(p, rows.kept, 1)
    losses = 0 - jnp.log(select(valid, p, 1))
    return reduce(losses, rows.kept, weights, reduction, valid)


def _of_label(x: Array, y: Array) -> Array:
    return jnp.squeeze(jnp.take_along_axis(x, y[..., None], axis=-1), -1)


def _floored(p: Array, epsilon: Array) -> Array:
    """p within [epsilon, 1], with derivative 1 on the whole of that interval and 0 outside."""
    return select(p < epsilon, epsilon, select(p > 1, 1, p))


def _cross_entropy(probs: Array, positive: Array, negative: Array, epsilon: Array) -> Array:
    p = probs.astype(positive.dtype)
    p = _floored(p, jnp.zeros_like(epsilon))
    # The floor is under 1 − p itself: 1 − (1 − 1e-7) is 1.2e-7 in float32.
    certain = 1 - p < epsilon
    negative_term = xlog1my(negative, select(certain, 0.5, p))
    negative_term = select(certain, xlogy(negative, select(certain, epsilon, 1)), negative_term)
    return (0 - xlogy(positive, _floored(p, epsilon))) - negative_term
