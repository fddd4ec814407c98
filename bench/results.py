"""Measurements, and the files they are kept in: one JSON object a line, appended.

`Measurement` is the schema; `run` is a nested object with the fields of `Run`. A later run of the
same cell counts in place of an earlier one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from bench.runs import Run
from bench.shapes import Shape

FLOOR = "floor"


class Cell(NamedTuple):
    """What contestants are compared in: one loss at one shape and dtype, in one mode."""

    loss: str
    shape: Shape
    dtype: str
    mode: str


@dataclass(frozen=True)
class Measurement:
    """One contestant in one cell.

    The three times are the median and the quartiles over the rounds; they are null for a contestant
    whose numbers are wrong, which is not timed. The floor is a contestant, too.
    """

    loss: str  # jaxent's name of it
    shape: str  # the name in `bench.shapes`, or empty
    rows: int
    classes: int
    dtype: str
    mode: str  # value, grad or eager
    contestant: str  # jaxent, a peer, or "floor"
    wrong: str | None  # what is wrong with its numbers
    rounds: int  # how often it was timed
    low_ms: float | None
    median_ms: float | None
    high_ms: float | None
    moved_bytes: int  # what must move between memory and processor at the least
    temp_bytes: int | None  # the compiled program's temporaries, where there is one
    compile_s: float | None  # tracing, lowering and compiling it, nothing cached
    run: Run
    features: int = 0  # of a linear head; 0 for losses of logits

    @property
    def cell(self) -> Cell:
        shape = Shape(self.shape, self.rows, self.classes, self.features)
        return Cell(self.loss, shape, self.dtype, self.mode)

    @property
    def gb_per_s(self) -> float | None:
        """The rate at which the bytes that must move have moved."""
        return self.median_ms and self.moved_bytes / self.median_ms / 1e6


Contest = Mapping[str, Measurement]  # by contestant
Results = Mapping[Cell, Contest]


def append(file: Path, records: Iterable[Any]) -> None:
    """Measurements, or records of another dataclass, to a file of one kind."""
    with file.open("a") as lines:
        for record in records:
            lines.write(json.dumps(asdict(record)) + "\n")


def read(file: Path) -> list[Measurement]:
    found = [_measurement(file, line) for line in file.read_text().splitlines()]
    if not found:
        raise ValueError(f"{file} holds no measurement")
    return found


def _measurement(file: Path, line: str) -> Measurement:
    try:
        fields = json.loads(line)
        return Measurement(**fields | {"run": Run(**fields["run"])})
    except (KeyError, TypeError, ValueError) as error:
        message = f"{file} holds a line that is no measurement of `python -m bench`: {line[:60]}"
        raise ValueError(message) from error


def by_cell(measurements: Iterable[Measurement]) -> Results:
    """The contestants of the last run of each cell, in the order in which cells first came.

    Contestants of different runs are never put side by side: what they are compared by is having
    been interleaved.
    """
    cells: dict[Cell, dict[str, Measurement]] = {}
    for new in measurements:
        contest = cells.setdefault(new.cell, {})
        if any(old.run != new.run for old in contest.values()):
            contest.clear()
        contest[new.contestant] = new
    return cells


def slowdown(contest: Contest, name: str, baseline: str) -> float | None:
    """A contestant's time over another's, where both were timed."""
    over, under = (contest[key].median_ms if key in contest else None for key in (name, baseline))
    return over / under if over is not None and under is not None else None


def run_of(results: Results) -> Run:
    """The last run, with everyone's versions; those before it must have been on the same."""
    runs = sorted(
        (m.run for contest in results.values() for m in contest.values()),
        key=lambda run: run.started,
    )
    last, versions = runs[-1], {}
    for run in runs:
        if run.host != last.host or run.versions | versions != versions | run.versions:
            raise ValueError(f"results of different machines or versions:\n{run}\n{last}")
        versions |= run.versions
    return replace(last, versions=versions, load=max(run.load for run in runs))
