"""Labels that are distributions: smoothed, weighted by class, or spread from a few classes."""

import jax.numpy as jnp
from jax import Array, lax

from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.xlogy import mix

# Up to this many classes of a row are compared with all classes. More are scattered.
_FEW = 2**4


def smooth(label: Array, amount: Array | None, uniform: Array) -> Array:
    """(1 − amount) · label + amount · uniform (Szegedy et al., 2016).

    Cross-entropy is linear in its label. So this formula smooths a label towards the uniform
    distribution, and the loss of a label towards the loss of the uniform distribution.
    """
    return label if amount is None else mix(amount, uniform, label.astype(amount.dtype))


def target(
    rows: Rows, t: Array, class_weights: Array | None, label_smoothing: Array | None
) -> Array:
    """Labels (..., V) that are distributions, smoothed over the kept classes, then weighted."""
    if label_smoothing is not None:
        dtype = label_smoothing.dtype
        uniform = rows.class_weights(None, dtype) / rows.kept_count(dtype)[..., None]
        t = smooth(t, label_smoothing, uniform)
    if class_weights is None:
        return t
    dtype = class_weights.dtype
    return t.astype(dtype) * rows.class_weights(class_weights, dtype)


def spread(rows: Rows, y: Array, probs: Array) -> Array:
    """t_j = Σ_k probs_k [j = y_k] over the local classes, for labels and probs (..., K).

    A label outside of [0, V) has no class.
    """
    V, y = rows.values.shape[-1], rows.own(y)
    if y.shape[-1] > _FEW:
        here = (*jnp.indices(y.shape, sparse=True)[:-1], select(y < 0, V, y))
        return jnp.zeros(rows.values.shape, probs.dtype).at[here].add(probs, mode="drop")
    j = lax.broadcasted_iota(y.dtype, rows.values.shape, y.ndim - 1)
    t = jnp.zeros(rows.values.shape, probs.dtype)
    for k in range(y.shape[-1]):
        t = t + select(j == y[..., k, None], probs[..., k, None], 0)
    return t
