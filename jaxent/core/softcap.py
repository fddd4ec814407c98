"""Soft-capped logits c · tanh(z / c) (Gemma 2), and their derivative."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core.tangents import along


@jax.custom_jvp
def softcap(z: Array, cap: Array) -> Array:
    """cap · tanh(z / cap). An infinite logit, such as that of a class left out, stays."""
    return jnp.where(jnp.isinf(z), z, cap * jnp.tanh(z / cap))


def _softcap_jvp(primals, tangents):
    z, cap = primals
    x = jnp.where(jnp.isinf(z), 0, z / cap)
    # 1 − tanh², which would cancel where the cap is reached.
    u = jnp.exp(-2 * jnp.abs(x))
    by_z = jnp.where(jnp.isinf(z), 0, 4 * u / (1 + u) ** 2)
    return softcap(z, cap), along(tangents, by_z, jnp.tanh(x) - x * by_z)


softcap.defjvp(_softcap_jvp, symbolic_zeros=True)
