"""Timing, interleaved: every round calls everyone once, in a random order, on rotating inputs."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

import numpy as np

from bench.cases import Arguments
from bench.programs import Program

# Inputs in turn, enough to be larger than a core's caches, within these numbers of them.
INPUT_BYTES = 2**26
FEWEST_INPUTS, MOST_INPUTS = 3, 64

# Without a fixed number of rounds: as many as fit into this time, within these numbers of them.
SECONDS = 0.5
FEWEST_ROUNDS, MOST_ROUNDS = 7, 100


def rotations(arguments: Arguments) -> list[Arguments]:
    """One draw with its rows rotated: drawing every input would take longer than timing it."""
    size = sum(x.nbytes for x in arguments)
    number = int(np.clip(INPUT_BYTES // size, FEWEST_INPUTS, MOST_INPUTS))
    rows = len(arguments[0])
    return [tuple(np.roll(x, i * rows // number, axis=0) for x in arguments) for i in range(number)]


def timings(
    programs: Mapping[str, Program], inputs: Sequence[Arguments], rounds: int | None = None
) -> dict[str, list[float]]:
    """The seconds of every program in every round, after two to warm up."""
    # Programs that place alike share their arrays.
    placed = {place: list(map(place, inputs)) for place in {p.place for p in programs.values()}}
    measured = interleaved(
        {name: program.call for name, program in programs.items()},
        {name: placed[program.place] for name, program in programs.items()},
    )
    # The first call takes several times as long.
    _, warm = next(measured), next(measured)
    if rounds is None:
        rounds = int(np.clip(SECONDS / sum(warm.values()), FEWEST_ROUNDS, MOST_ROUNDS))
    table = list(islice(measured, rounds))
    return {name: [row[name] for row in table] for name in programs}


def interleaved(
    calls: Mapping[str, Callable[..., Any]], inputs: Mapping[str, Sequence[tuple[Any, ...]]]
) -> Iterator[dict[str, float]]:
    """Yields the seconds of each call, round after round.

    The order is shuffled, and no two calls in a row have the same input: nobody always runs in the
    caches that the same other one left, and nobody on an array that another has just read.
    """
    shuffled = random.Random(0)
    turn = count()
    while True:
        order = shuffled.sample(list(calls), len(calls))
        yield {name: _seconds(calls[name], inputs[name], next(turn)) for name in order}


def _seconds(call: Callable[..., Any], inputs: Sequence[tuple[Any, ...]], turn: int) -> float:
    arguments = inputs[turn % len(inputs)]
    start = time.perf_counter()
    result = call(*arguments)
    stop = time.perf_counter()
    del result  # not before the clock has stopped: to free a large array takes time
    return stop - start
