"""Errors in units in the last place (ulp), against an oracle given the same inputs.

A value is measured in the dtype it has (float32, or float64 when an input is), a gradient in the
dtype of its input. Where a result is a sum of terms of both signs, the unit is that of its largest
term. Numbers below the smallest normal one are flushed to zero by XLA on the CPU, so errors below
it do not count.
"""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np

from tests import oracle


@dataclasses.dataclass(frozen=True)
class Entry:
    """A loss, its oracle, inputs to compare them on, and the bounds its errors stay within."""

    name: str
    loss: Callable
    exact: Callable
    inputs: Callable[[np.random.Generator, np.dtype], Iterator[tuple]]
    bounds: tuple[float, float]
    bits: int = 300  # working precision of the oracle


def ulps(got, want, terms, dtype) -> float:
    """The largest error in units of the last place of the exact result, or of its terms."""
    got = np.atleast_1d(np.asarray(got))
    want, terms = (np.broadcast_to(np.asarray(x, object), got.shape) for x in (want, terms))
    info = ml_dtypes.finfo(dtype)
    normal = float(info.smallest_normal)
    flushed = normal if dtype == np.float64 else float(np.finfo(np.float32).smallest_normal)
    worst = 0.0
    for g, w, t in zip(got.ravel(), want.ravel(), terms.ravel(), strict=True):
        size = max(abs(w), abs(t), normal)
        unit = mpmath.ldexp(1, int(mpmath.floor(mpmath.log(size, 2))) - info.nmant)
        error = abs(mpmath.mpf(float(g)) - w)
        if not error <= flushed:
            worst = max(worst, float(error / unit))
    return worst


def measure(entry: Entry, dtype_name: str) -> tuple[float, float]:
    """The largest errors of value and gradient over all the inputs of an entry."""
    dtype = np.dtype(getattr(ml_dtypes, dtype_name, dtype_name))
    value_error = gradient_error = 0.0

    @jax.jit
    def both(x, *others):
        value, pullback = jax.vjp(lambda x: entry.loss(x, *others), x)
        return value, pullback(jnp.ones_like(value))[0]

    with jax.enable_x64(dtype_name == "float64"), mpmath.workprec(entry.bits):
        for arguments in entry.inputs(np.random.default_rng(0), dtype):
            value, gradient = both(*arguments)
            want = entry.exact(*(x if isinstance(x, int) else oracle.exact(x) for x in arguments))
            value_error = max(value_error, ulps(value, want.value, want.value_terms, value.dtype))
            gradient_error = max(
                gradient_error, ulps(gradient, want.gradient, want.gradient_terms, dtype)
            )
    return value_error, gradient_error


def allowed(entry: Entry, dtype_name: str) -> tuple[float, float]:
    """Values are float32 or wider always; a 16-bit gradient has one ulp."""
    value, gradient = entry.bounds
    return value, gradient if dtype_name in ("float64", "float32") else 1
