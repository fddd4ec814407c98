"""Softmax losses from logits. Each is a formula of a few statistics per row."""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxent import _classes
from jaxent._declare import ANY, NON_NEGATIVE, SMOOTHING, Axis, Reduction, loss
from jaxent._inputs import option
from jaxent._reduction import Reduced, reduce
from jaxent.core.dense import target_stats
from jaxent.core.dtypes import compute_dtype
from jaxent.core.formulas import (
    cross_entropy,
    distribution_cross_entropy,
    focal_loss,
    with_z_loss,
)
from jaxent.core.lower import settled
from jaxent.core.mesh import AxisName


@loss(label_smoothing=SMOOTHING, z_loss=NON_NEGATIVE)
def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Softmax cross-entropy, with labels that are distributions over classes.

    For logits z and labels t of a row, p = softmax(z):

        ℓ = −Σ_j t_j log p_j        ∂ℓ/∂z_j = p_j Σ_k t_k − t_j        ∂ℓ/∂t_j = −log p_j

    Label smoothing α replaces t_j by (1 − α) t_j + α/V, for V kept classes. Class weights w then
    multiply t_j by w_j. The z-loss adds z_loss · (log Σ exp z)².

    Args:
      logits: `(..., V, ...)` floating.
      labels: `(..., V, ...)` real, of the shape of `logits`. They need not sum to 1.
      axis: the class axis, or several for one distribution over all of them, or None for all axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes. A
        class is dropped together with its label mass; see [`jaxent`][].
      label_smoothing: in [0, 1].
      z_loss: at least 0. 1e-4 is usual.
      class_weights: `(V,)`, one per class.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, the shape of `logits` without the class axes. Or the result of `reduction`.

    Raises:
      TypeError: `logits` is not floating, `labels` not real, or `where` not boolean.
      ValueError: shapes differ, or an axis or option is out of its range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
      >>> labels = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
      >>> print(jaxent.softmax_cross_entropy(logits, labels))
      [0.2761 1.8018]

    Numerics: all terms have one sign, so nothing cancels and small losses stay exact. A class at
    −inf without label mass has probability 0 and gradient 0. With label mass the loss is +inf. A
    row with +inf, with NaN or with all logits at −inf has a loss of NaN. Other rows are unaffected.

    Differentiable: in both modes, to any order, by `logits`, `labels` and every numeric option.
    Residuals: the arguments in their own dtypes, and a few floats per row.

    Agrees with: `optax.losses.softmax_cross_entropy(logits, labels)`.

    References: Bridle, "Training stochastic model recognition algorithms as networks", 1990;
    Szegedy et al., "Rethinking the Inception architecture", 2016 (smoothing); Chowdhery et al.,
    "PaLM", 2022 (z-loss).
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    t = _classes.targets(rows, labels, axis, jnp.shape(logits), label_smoothing, class_weights)
    stats = target_stats(rows, t)
    losses = with_z_loss(stats.nll, stats.lse(), option("z_loss", z_loss, stats.nll.dtype))
    return reduce(settled(losses), rows.kept, weights, reduction)


@loss(label_smoothing=SMOOTHING, z_loss=NON_NEGATIVE)
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_probs: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Softmax cross-entropy with integer labels.

    For logits z and label y of a row, p = softmax(z):

        ℓ = −log p_y        ∂ℓ/∂z_j = p_j − [j = y]

    Small losses stay exact: logits [20, 0, 0] with label 0 give 4.1e-9, and a gradient of
    −4.1e-9 on the label, where optax gives 0 for both. Label smoothing α, class weights w and
    z-loss give

        ℓ = (1 − α) w_y (−log p_y) + α/V Σ_j w_j (−log p_j) + z_loss · (log Σ exp z)²

    Args:
      logits: `(..., V, ...)` floating.
      labels: `(...)` integers in [0, V), of any integer dtype. Any other number in a kept row gives
        that row a loss of NaN and a gradient of 0. Labels never wrap.
      axis: the class axis, or several, or None for all. With several axes a label is a flat index.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes.
      label_probs: `(..., K)` real, for rows whose label is a distribution over a few classes: top-K
        predictions of a teacher, or several right answers. Then `labels` is `(..., K)`, a label of
        −1 is no class, and ℓ = −Σ_k label_probs_k log p_{y_k}. They need not sum to 1.
      label_smoothing: in [0, 1], spread over the kept classes.
      z_loss: at least 0. 1e-4 is usual.
      class_weights: `(V,)`, one per class. No `reduction` divides by them. PyTorch's mean with
        `weight=w` does: it is `weights=w[labels], reduction="weighted_mean"` here, and with label
        smoothing the example below.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises:
      TypeError: `logits` is not floating, or `labels` is not of an integer dtype.
      ValueError: shapes differ, or an axis or option is out of its range.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1], [20.0, 0.0, 0.0]])
      >>> labels = jnp.array([0, 1, 0])
      >>> print(jaxent.softmax_cross_entropy_with_integer_labels(logits, labels))
      [2.761e-01 2.952e+00 4.122e-09]

      The mean of PyTorch's `cross_entropy` with `weight=w`, smoothing and `ignore_index`:

      >>> w, labels = jnp.array([1.0, 2.0, 3.0]), jnp.array([0, 1, -100])
      >>> kept = labels != -100
      >>> total = jaxent.softmax_cross_entropy_with_integer_labels(
      ...     logits, labels, where=kept, class_weights=w, label_smoothing=0.1, reduction="sum"
      ... )
      >>> print(total / jnp.sum(w[labels], where=kept))
      2.0702

    Numerics: computed as (max z − z_y) + log1p(the other exponentials), with the gradient
    −(1 − p_y) on the label. Neither cancels. Otherwise as `softmax_cross_entropy`.

    Differentiable: as `softmax_cross_entropy`.

    Agrees with: `optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)`.
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    dtype = compute_dtype(rows.values)
    by_class = _classes.class_vector("class_weights", class_weights, rows.values.shape[-1], dtype)
    smoothing = option("label_smoothing", label_smoothing, dtype)
    options = by_class, smoothing, option("z_loss", z_loss, dtype)
    if label_probs is None:
        y, valid = _classes.prepare_integer_labels("logits", labels, rows.shape, axis)
        losses = cross_entropy(rows.only(valid), y, *options)
    else:
        t, valid = _classes.few_classes("logits", labels, label_probs, rows)
        losses = settled(distribution_cross_entropy(rows, t, *options))
    return reduce(losses, rows.kept, weights, reduction, valid)


@loss(gamma=NON_NEGATIVE, label_smoothing=SMOOTHING)
def softmax_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Focal loss over softmax classes: cross-entropy that weighs easy rows down.

    For label y of a row, p = softmax(z):

        ℓ = w_y (1 − p_y)^γ (−log p_y)
        ∂ℓ/∂z_j = w_y [(1 − p_y)^γ − γ (1 − p_y)^(γ−1) p_y log p_y] (p_j − [j = y])

    Label smoothing α mixes it with the mean of this loss over every class as the label:

        ℓ = (1 − α) ℓ_y + α/V Σ_j ℓ_j,    ℓ_j = w_j (1 − p_j)^γ (−log p_j)

    Args:
      logits: `(..., V, ...)` floating.
      labels: `(...)` integers in [0, V), as in `softmax_cross_entropy_with_integer_labels`.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes.
      gamma: at least 0. 0 gives the cross-entropy.
      label_smoothing: in [0, 1], spread over the kept classes. It costs one more pass over the
        logits.
      class_weights: `(V,)`, the α of the paper, one per class.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `softmax_cross_entropy_with_integer_labels`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
      >>> print(jaxent.softmax_focal_loss(logits, jnp.array([0, 0]), gamma=2.0))
      [4.492e-05 3.895e+00]

    Numerics: 1 − p_y does not cancel in confident rows. At p_y = 1 value and gradient are 0 for
    every γ. Otherwise as `softmax_cross_entropy`.

    Differentiable: as `softmax_cross_entropy`; by `gamma` too.

    Agrees with: `keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma,
    label_smoothing=label_smoothing, from_logits=True)`, whose labels are one-hot.

    References: Lin et al., "Focal loss for dense object detection", 2017.
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    y, valid = _classes.prepare_integer_labels("logits", labels, rows.shape, axis)
    dtype = compute_dtype(rows.values)
    by_class = _classes.class_vector("class_weights", class_weights, rows.values.shape[-1], dtype)
    smoothing = option("label_smoothing", label_smoothing, dtype)
    exponent = option("gamma", gamma, dtype)
    losses = focal_loss(rows.only(valid), y, by_class, exponent, smoothing)
    return reduce(losses, rows.kept, weights, reduction, valid)


@loss(epsilon=ANY, label_smoothing=SMOOTHING)
def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""Poly-1 loss: cross-entropy plus ε times the missed probability 1 − p.

        ℓ = −Σ_j t_j log p_j + ε Σ_j t_j (1 − p_j)

        ∂ℓ/∂z_j = p_j Σ_k t_k − t_j − ε p_j (t_j − Σ_k t_k p_k)

    Label smoothing and class weights change t first, as in `softmax_cross_entropy`.

    Args:
      logits: `(..., V, ...)` floating.
      labels: `(..., V, ...)` real, of the shape of `logits`.
      epsilon: the coefficient of the first polynomial term. The paper uses −1 to 6.
      axis: the class axis or axes.
      where: boolean, of the rows' shape to drop rows, or of the logits' shape to drop classes.
      label_smoothing: in [0, 1], spread over the kept classes.
      class_weights: `(V,)`, one per class.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][].

    Returns:
      `(...)` in nats, or the result of `reduction`.

    Raises: as `softmax_cross_entropy`.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> logits = jnp.array([[1.2, -0.8, -0.5]])
      >>> print(jaxent.poly_loss_cross_entropy(logits, jnp.array([[1.0, 0.0, 0.0]]), epsilon=2.0))
      [0.7587]

    Numerics: as `softmax_cross_entropy`. A negative `epsilon` subtracts, and can cancel.

    Differentiable: as `softmax_cross_entropy`; by `epsilon` too.

    Agrees with: `optax.losses.poly_loss_cross_entropy(logits, labels, epsilon=epsilon)`.

    References: Leng et al., "PolyLoss", 2022.
    """
    rows = _classes.prepare_rows("logits", logits, axis, where, weights, axis_name)
    t = _classes.targets(rows, labels, axis, jnp.shape(logits), label_smoothing, class_weights)
    stats = target_stats(rows, t, miss=True)
    factor = option("epsilon", epsilon, stats.nll.dtype)
    losses = stats.nll if factor is None else stats.nll + factor * stats.miss
    return reduce(settled(losses), rows.kept, weights, reduction)
