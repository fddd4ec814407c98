"""The exponentials of logits against the maximum of their row, and their derivative.

A compiler may contract x · c − m to one fused multiply-add. At the maximum that leaves the rounding
residue of x · c instead of 0. A minimum between the product and the subtraction forbids it.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxent.core.mesh import select


def gaps(z: Array, m: Array) -> Array:
    """m − z ≥ 0, for logits z of a row whose maximum m is held constant."""
    reference = finite_reference(m)
    return reference - _bounded(z, reference)


def gaps_and_exps(z: Array, m: Array, beta: Array | None) -> tuple[Array, Array]:
    """β(m − z_j) ≥ 0 and exp(β(z_j − m)) ≤ 1, for rows z (..., V) of maxima m (...)."""
    reference = finite_reference(m)[..., None]
    return against(reference, _bounded(z, reference), beta)


def finite_reference(m: Array) -> Array:
    """m, and the smallest finite number where it is −inf: exponentials of −inf are then 0."""
    return jnp.maximum(m, jnp.finfo(m.dtype).min)


def against(reference: Array, z: Array, beta: Array | None) -> tuple[Array, Array]:
    """The gaps and the exponentials of z, which is nowhere above the reference."""
    gaps = scaled(reference - z, beta)
    exps = jnp.exp(scaled(z - reference, beta))
    if exps.dtype == jnp.float64:
        # float64 only: exp multiplies the rounding error of m − z_j by up to gap/2. This adds the
        # error back. In float32 it would double the cost of a loss.
        exps = exps - exps * lax.stop_gradient(scaled(_rounding(reference, z), beta))
    return gaps, exps


def scaled(x: Array, beta: Array | None) -> Array:
    """β x, and x where there is no β."""
    return x if beta is None else _product(beta, x)


@jax.custom_jvp
def _product(beta: Array, x: Array) -> Array:
    """β x. An infinite gap x has no derivative by β, and its exponential is 0 for every β."""
    return beta * x


@_product.defjvp
def _product_jvp(primals, tangents):
    (beta, x), (beta_dot, x_dot) = primals, tangents
    return _product(beta, x), select(jnp.isinf(x), 0, x) * beta_dot + beta * x_dot


@jax.custom_jvp
def _bounded(z: Array, m: Array) -> Array:
    """min(m, z), which is z. Its derivative is that of z, also where z = m."""
    # In this order, since some processors return the second of two numbers if one is NaN.
    return jnp.minimum(m, z)


@_bounded.defjvp
def _bounded_jvp(primals, tangents):
    return _bounded(*primals), tangents[0]


def _rounding(m: Array, z: Array) -> Array:
    """What m − z loses when it is rounded (Knuth's TwoSum)."""
    # Past a gap of 1000 the exponential is 0. The bound keeps infinities out.
    gaps = jnp.minimum(m - z, 1000)
    z = jnp.maximum(z, (m - gaps) - 1)
    rounded = gaps - m
    return (m - (gaps - rounded)) - (z + rounded)
