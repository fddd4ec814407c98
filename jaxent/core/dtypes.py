"""The precision of computation: float32, or float64 when an input is."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike


def compute_dtype(*arrays: Array | None) -> DTypeLike:
    """float64 if any of the arrays is, float32 otherwise."""
    wide = any(x is not None and x.dtype == jnp.float64 for x in arrays)
    return jnp.float64 if wide else jnp.float32


def common_dtype(x: Array, y: Array) -> DTypeLike:
    """The one that holds both, also where a user has forbidden JAX to find it by itself."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(x.dtype, y.dtype)


def widen(x: Array) -> Array:
    """x in the dtype of computation. The derivative comes back in the dtype of x."""
    return x.astype(compute_dtype(x))


def widen_both(x: Array, y: Array) -> tuple[Array, Array]:
    """Both in their common dtype of computation."""
    dtype = compute_dtype(x, y)
    return x.astype(dtype), y.astype(dtype)


def in_float64(x: Array) -> Array:
    """x in float64 if it is floating."""
    return x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x
