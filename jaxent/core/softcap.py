"""Soft-capped logits c · tanh(z / c) (Gemma 2), and their derivative."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core.mesh import select
from jaxent.core.tangents import along
from jaxent.core.xlogy import weigh

# tanh x = x + Σ c_n x^(2n+1), and so tanh x − x sech² x = Σ −2n c_n x^(2n+1).
_TANH = [-1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925, 21844 / 6081075]
_TANH += [-929569 / 638512875, 6404582 / 10854718875]


@jax.custom_jvp
def softcap(z: Array, cap: Array) -> Array:
    """cap · tanh(z / cap). An infinite logit, such as that of a padded class, stays infinite."""
    return select(jnp.isinf(z), z, cap * jnp.tanh(z / cap))


def _softcap_jvp(primals, tangents):
    z, cap = primals
    x = select(jnp.isinf(z), 0, z / cap)
    # 1 − tanh² by its exponential. The difference would cancel where the cap is reached.
    u = jnp.exp(-2 * jnp.abs(x))
    by_z = select(jnp.isinf(z), 0, 4 * u / (1 + u) ** 2)
    return softcap(z, cap), along(tangents, by_z, _by_cap(x, by_z))


def _by_cap(x: Array, by_z: Array) -> Array:
    """tanh x − x sech² x. The difference cancels for small x, where this sums a series."""
    small = jnp.abs(x) < 0.25
    square = select(small, x, 0) ** 2
    series = jnp.zeros_like(x)
    for n in range(len(_TANH), 0, -1):
        series = (series + -2 * n * _TANH[n - 1]) * square
    return select(small, x * series, jnp.tanh(x) - weigh(by_z, x))


softcap.defjvp(_softcap_jvp, symbolic_zeros=True)
