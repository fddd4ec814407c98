"""The rounding errors of sums over classes in the order in which an accelerator adds.

A thread adds some hundred classes in series. Trees add the sums of threads. A CPU would run the one
reduction of `lower.one_pass` in series, so the classes are reshaped to blocks of blocks here.
`python -m tests.accelerator_sums` prints the largest errors, in units in the last place.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxent.core.lower import one_pass
from jaxent.core.rows import Rows
from jaxent.core.stats import finalize

ROWS, THREAD = 8, 256
# The classes of a row: threads in the rounds of a tree, and the classes of a thread.
SHAPES = [(16, THREAD), (128, THREAD), (8, 64, THREAD), (64, 64, THREAD)]


def statistics(z, y, shape):
    """The statistics of rows (N, V), reduced axis by axis of a shape of V classes."""
    rows = Rows(z.reshape(-1, *shape))
    starts = jnp.arange(0, math.prod(shape), THREAD, dtype=y.dtype).reshape(1, *shape[:-1])
    y = y.reshape(-1, *(1 for _ in shape[:-1])) - starts
    y = jnp.where((y >= 0) & (y < THREAD), y, THREAD)
    w = jnp.ones((1,) * rows.values.ndim, z.dtype)
    sums = one_pass.label_sums(rows, y, w, moment=True)
    for _ in shape[:-1]:
        sums = one_pass.merged(sums)
    return finalize(sums)


def added(x, shape):
    """`jnp.sum` of rows (N, V) in the same order."""
    x = x.reshape(-1, *shape)
    for _ in shape:
        x = lax.reduce(x, np.zeros((), x.dtype)[()], lax.add, (x.ndim - 1,))
    return x


def errors(shape, spread):
    """The largest errors of each statistic against float64."""
    V, rng = math.prod(shape), np.random.default_rng(0)
    z = (rng.normal(size=(ROWS, V)) * spread).astype(np.float32)
    y = rng.integers(0, V, ROWS).astype(np.int32)
    stats = jax.jit(partial(statistics, shape=shape))(z, y)
    wide = z.astype(np.float64)
    gaps = wide.max(-1, keepdims=True) - wide
    e = np.exp(-gaps)
    s, log_s = e.sum(-1), np.log(e.sum(-1))
    exps = np.exp(z - z.max(-1, keepdims=True))
    return {
        "sum of exponentials": ulp(1 + stats.rest, s),
        "jnp.sum of them": ulp(
            jax.jit(partial(added, shape=shape))(exps), exps.sum(-1, dtype=float)
        ),
        "nll": ulp(stats.nll, gaps[np.arange(ROWS), y] + log_s),
        "sum_nll": ulp(stats.sum_nll, gaps.sum(-1) + V * log_s),
        "entropy": ulp(stats.entropy, (e * gaps).sum(-1) / s + log_s),
    }


def ulp(got, want):
    return float(np.max(np.abs(np.float64(got) - want) / np.spacing(want.astype(np.float32))))


if __name__ == "__main__":
    for shape in SHAPES:
        for spread in (1, 4):
            found = ", ".join(
                f"{name} {error:.1f}" for name, error in errors(shape, spread).items()
            )
            print(f"{math.prod(shape)} classes, spread {spread}: {found}")
