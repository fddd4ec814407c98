"""Agreement first, then interleaved timing."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle, islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Call = Callable[..., Any]
ValueAndGrad = tuple[Array, Array]

# How far a value and a gradient may be from the reference, relative to its norm. A peer that
# computes in bfloat16 throughout is off by a few of its roundings, 4e-3 each.
TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2}

# Without a fixed number of rounds: as many as fit into this time, within these bounds.
SECONDS = 1.0
FEWEST, MOST = 5, 50


class Timing(NamedTuple):
    """Seconds: the median over rounds, and the distance between its quartiles."""

    median: float
    spread: float


@cache  # the reference is a contestant, too: it compiles once
def value_and_grad_of_mean(loss: Callable[..., Array]) -> Callable[..., ValueAndGrad]:
    def mean(*arguments: Array) -> Array:
        return jnp.mean(loss(*arguments))

    return jax.jit(jax.value_and_grad(mean))


def disagreement(got: ValueAndGrad, want: ValueAndGrad, tolerance: float) -> str | None:
    """What is wrong with a contestant's value and gradient, or None."""
    for name, g, w in zip(("value", "gradient"), got, want, strict=True):
        error = float(_relative_error(g, w))
        if not error <= tolerance:  # NaN is a disagreement
            return f"{name} off by {error:.1e} of its norm, {tolerance:.0e} allowed"
    return None


@jax.jit
def _relative_error(got: Array, want: Array) -> Array:
    error = jnp.linalg.norm(got.astype(want.dtype) - want)
    return jnp.where(error == 0, 0, error / jnp.linalg.norm(want))


def timings(
    calls: Mapping[str, Call], inputs: Sequence[tuple[Array, ...]], rounds: int | None = None
) -> dict[str, Timing]:
    """Times every call on the same inputs, after a round to warm up."""
    measured = interleaved(calls, inputs)
    warm_up = sum(next(measured).values())
    if rounds is None:
        rounds = int(np.clip(SECONDS / warm_up, FEWEST, MOST))
    table = list(islice(measured, rounds))
    return {name: _summary([row[name] for row in table]) for name in calls}


def interleaved(
    calls: Mapping[str, Call], inputs: Sequence[tuple[Array, ...]]
) -> Iterator[dict[str, float]]:
    """Yields the seconds of each call, round after round, on one input a round.

    The order is shuffled: nobody always runs in the caches that the same other one left.
    """
    shuffled = random.Random(0)
    for arguments in cycle(inputs):
        order = shuffled.sample(list(calls), len(calls))
        yield {name: _seconds(calls[name], arguments) for name in order}


def _seconds(call: Call, arguments: tuple[Array, ...]) -> float:
    start = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    stop = time.perf_counter()
    del result  # not before the clock has stopped: to free a large array takes time
    return stop - start


def _summary(seconds: Sequence[float]) -> Timing:
    low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return Timing(float(median), float(high - low))
