"""One case at one shape, dtype and mode: compares everyone's results, then times everyone."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bench.cases import Arrays, Case, Loss
from bench.programs import Mode, Program, compiled, of_mean, program
from bench.shapes import Shape

FLOOR = "floor"
# The errors of a value and a gradient that pass, over their norms. A peer that keeps
# log-probabilities of 1e5 classes in bfloat16 rounds them, near -12, by up to 3e-2.
TOLERANCES = {"float32": 1e-5, "bfloat16": 4e-2}
# Inputs in turn, enough to be larger than a core's caches.
INPUT_BYTES, INPUTS = 2**26, (3, 64)
# By default as many rounds as fit into this time, within bounds.
SECONDS, ROUNDS = 0.5, (7, 100)


def measure(
    case: Case,
    shape: Shape,
    dtype: str,
    mode: Mode,
    losses: Mapping[str, Loss],
    rounds: int | None = None,
) -> list[dict[str, Any]]:
    """A record for everyone: the median time, and quartiles of the time over jaxent's."""
    arrays = case.arrays(shape, dtype)
    programs = {name: program(name, loss, case, mode, arrays) for name, loss in losses.items()}
    wrong = complaints(case, mode, arrays, programs, TOLERANCES[dtype])
    programs[FLOOR] = compiled(floor(case), arrays)
    right = {name: p for name, p in programs.items() if name not in wrong}
    seconds = timings(right, rotations(arrays), rounds).reindex(columns=list(programs))
    ratios = {name: seconds[name] / seconds["jaxent"] for name in programs}
    return [
        {
            "loss": case.name,
            "mode": mode,
            "shape": str(shape),
            "dtype": dtype,
            "contestant": name,
            "ms": seconds[name].median() * 1e3,
            "low": ratios[name].quantile(0.25),
            "ratio": ratios[name].median(),
            "high": ratios[name].quantile(0.75),
            "temp_mb": p.temp_bytes / 1e6,
            "compile_s": p.compile_s,
            "wrong": wrong.get(name),
        }
        for name, p in programs.items()
    ]


def floor(case: Case) -> Loss:
    """The least work: an exponential of each logit, or the product that makes the logits."""
    if not case.linear:
        return lambda z, *_: jnp.exp(z)
    keys = case.public in ("info_nce", "siglip_loss")
    return lambda x, W, *_: x @ (W.T if keys else W)


def complaints(
    case: Case, mode: Mode, arrays: Arrays, programs: Mapping[str, Program], tolerance: float
) -> dict[str, str]:
    """Everyone whose results differ from the formula's in float32."""
    exact = [x if x.dtype.kind in "ib" else x.astype(np.float32) for x in arrays]
    formula = case.plain
    if mode != "eager":
        formula = of_mean(formula, mode, case.learned, case.drops)
    with jax.default_matmul_precision("highest"):
        want = outcome(Program(jax.jit(formula)), exact)
    found = {n: disagreement(outcome(p, arrays), want, tolerance) for n, p in programs.items()}
    return {name: complaint for name, complaint in found.items() if complaint}


def outcome(p: Program, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The value and the gradients, or the losses."""
    return [p.fetch(x) for x in jax.tree.leaves(p.call(*p.place(arrays)))]


def disagreement(
    got: Sequence[np.ndarray], want: Sequence[np.ndarray], tolerance: float
) -> str | None:
    for name, g, w in zip(("value", "gradient", "gradient by the kernel"), got, want, strict=False):
        w = w.mean(axis=tuple(range(g.ndim, w.ndim)))  # some peers return means
        if g.shape != w.shape:
            return f"{name} of shape {g.shape} instead of {w.shape}"
        error = np.linalg.norm(g - w) / max(np.linalg.norm(w), np.finfo(np.float32).tiny)
        if not error <= tolerance:
            return f"{name} off by {error:.1e} of its norm"
    return None


def rotations(arrays: Arrays) -> list[Arrays]:
    """One draw, its rows rotated: drawing each input would take longer than timing it."""
    n = int(np.clip(INPUT_BYTES // sum(x.nbytes for x in arrays), *INPUTS))
    return [tuple(np.roll(x, i * len(x) // n, axis=0) for x in arrays) for i in range(n)]


def timings(
    programs: Mapping[str, Program], inputs: Sequence[Arrays], rounds: int | None = None
) -> pd.DataFrame:
    """The seconds of everyone, a row for each round, after two rounds to warm up."""
    # Programs that place alike share their arrays.
    placed = {place: [*map(place, inputs)] for place in {p.place for p in programs.values()}}
    measured = interleaved(
        {name: p.call for name, p in programs.items()},
        {name: placed[p.place] for name, p in programs.items()},
    )
    # The first call takes several times as long.
    _, warm = next(measured), next(measured)
    if rounds is None:
        rounds = int(np.clip(SECONDS / sum(warm.values()), *ROUNDS))
    return pd.DataFrame(islice(measured, rounds))


def interleaved(
    calls: Mapping[str, Loss], inputs: Mapping[str, Sequence[Sequence[Any]]]
) -> Iterator[dict[str, float]]:
    """Yields the seconds of each call, round after round.

    The order is random and the inputs take turns. So nobody always finds the caches that the same
    other call left, and nobody finds its own input in them.
    """
    shuffled = random.Random(0)
    turn = count()
    while True:
        order = shuffled.sample(list(calls), len(calls))
        yield {name: seconds_of(calls[name], inputs[name], next(turn)) for name in order}


def seconds_of(call: Loss, inputs: Sequence[Sequence[Any]], turn: int) -> float:
    arguments = inputs[turn % len(inputs)]
    start = time.perf_counter()
    result = call(*arguments)
    stop = time.perf_counter()
    del result  # the clock does not count freeing it
    return stop - start
