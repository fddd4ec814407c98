"""Label smoothing (Szegedy et al., 2016)."""

from jax import Array

from jaxent.core.xlogy import mix


def smooth(label: Array, amount: Array | None, uniform: Array) -> Array:
    """(1 − amount) · label + amount · uniform.

    Cross-entropy is linear in its label. So this formula smooths a label towards the uniform
    distribution, and the loss of a label towards the loss of the uniform distribution.
    """
    return label if amount is None else mix(amount, uniform, label.astype(amount.dtype))
