"""A bound that a NaN passes."""

import jax.numpy as jnp
from jax import Array


def at_most(bound: Array, x: Array) -> Array:
    """min(bound, x), NaN where x is NaN, for a bound that is no constant."""
    # In this order: where one of two is NaN, the library in which XLA's CPU compiler runs such
    # arithmetic takes the second, as x86's instruction for a minimum does. Beside a constant, which
    # the compiler puts where it likes, NaN gets lost.
    return jnp.minimum(bound, x)
