"""Times jaxent's losses against optax's; exits 1 where anyone's numbers are wrong."""

import argparse
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from bench.contestants import CASES, Case, Shape, exp
from bench.measure import TOLERANCES, disagreement, timings, value_and_grad_of_mean
from bench.report import Result, header, report

SHAPES = ((4096, 1000), (512, 32000))
INPUTS = 3  # in turn, so that no round finds the last one's arrays in a cache


def run(case: Case, shape: Shape, dtype: str, rounds: int | None = None) -> Result:
    """Judges everyone who has a loss, and times those who are right, beside the floor."""
    drawn = case.arguments(jax.random.key(0), shape, dtype)
    # One draw with its rows rotated: drawing every input would take longer than timing them.
    inputs = [tuple(jnp.roll(x, turn, axis=0) for x in drawn) for turn in range(INPUTS)]
    calls = {name: value_and_grad_of_mean(loss) for name, loss in case.losses.items()}
    want = value_and_grad_of_mean(case.reference)(*map(_in_float32, drawn))
    verdicts = {
        name: disagreement(call(*drawn), want, TOLERANCES[dtype]) for name, call in calls.items()
    }
    wrong = {name: verdict for name, verdict in verdicts.items() if verdict}
    right = {name: call for name, call in calls.items() if name not in wrong}
    return Result(case.name, shape, dtype, timings(right | {"exp": exp}, inputs, rounds), wrong)


def _in_float32(x: Array) -> Array:
    return x.astype("float32") if jnp.issubdtype(x.dtype, jnp.floating) else x


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    add = parser.add_argument
    add("--loss", action="append", metavar="NAME", help="part of a loss's name; repeatable")
    add("--shapes", action="append", type=shape, metavar="NxV", help="repeatable")
    add("--dtype", action="append", choices=list(TOLERANCES), help="repeatable")
    add("--rounds", type=positive, help="as many as a time budget allows, unless given")
    chosen = parser.parse_args(argv)
    chosen.cases = [c for c in CASES if any(part in c.name for part in chosen.loss or [""])]
    if not chosen.cases:
        parser.error(f"--loss must be part of one of {', '.join(case.name for case in CASES)}")
    return chosen


def shape(text: str) -> Shape:
    rows, classes = map(positive, text.split("x"))
    return rows, classes


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a pipe has no edge to wrap at
    console.print(header(), highlight=False)
    cells = [
        (case, size, dtype)
        for case in chosen.cases
        for size in chosen.shapes or SHAPES
        for dtype in chosen.dtype or TOLERANCES
    ]
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    results = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(cells))
        for case, size, dtype in cells:
            progress.update(task, description=f"{case.name} {size[0]}×{size[1]} {dtype}")
            results.append(run(case, size, dtype, chosen.rounds))
            progress.advance(task)
    console.print(report(results))
    return int(any(result.wrong for result in results))


if __name__ == "__main__":
    sys.exit(main())
