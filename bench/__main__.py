"""The command line."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

import bench
from bench import plot, readme
from bench.cases import CASES, Case
from bench.compare import changes
from bench.contestants import PEERS, load
from bench.measure import TOLERANCES, measure
from bench.programs import MODES
from bench.report import changed, report, wide_console
from bench.results import Measurement, Results, append, by_cell, read, run_of
from bench.runs import this_run
from bench.shapes import DEFAULT, SHAPES, Shape, parse

# The options that read files of measurements, by where they are kept.
READING = {"source": "--from", "compare": "--compare", "readme": "--readme"}


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description=bench.__doc__,
        epilog="Lists are separated by commas. The exit status is 1 where jaxent is wrong.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--loss",
        type=_cases,
        default=CASES,
        metavar="LIST",
        help="losses whose names hold one of these; default: all",
    )
    what.add_argument(
        "--shapes",
        type=_shapes,
        default=DEFAULT,
        metavar="LIST",
        help=f"of {', '.join(map(str, SHAPES))}; or sizes such as 64x1000, with features for a"
        " linear head 64x32x1000; or all of those named;"
        f" default: {', '.join(shape.name for shape in DEFAULT)}",
    )
    what.add_argument(
        "--dtype",
        type=_some_of(TOLERANCES),
        default=list(TOLERANCES),
        metavar="LIST",
        help=f"of {', '.join(TOLERANCES)}; default: all",
    )
    what.add_argument(
        "--mode",
        type=_some_of(MODES),
        default=["grad"],
        metavar="LIST",
        help="value: the compiled mean; grad: that and its gradient; eager: the losses, called as"
        " a user types it; default: grad",
    )
    what.add_argument(
        "--against",
        type=_some_of(PEERS),
        default=["optax"],
        metavar="LIST",
        help=f"of {', '.join(PEERS)}, which must be installed; one that has no such loss takes no"
        " part in it; default: optax",
    )
    what.add_argument(
        "--rounds",
        type=_rounds,
        metavar="N",
        help="how often everyone is timed; default: what fits into half a second, and at least 7",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--json",
        type=_file,
        metavar="FILE",
        help="append every measurement as a line; bench/results.py describes its fields",
    )
    sources = files.add_mutually_exclusive_group()
    sources.add_argument(
        "--from",
        dest="source",
        type=_results,
        metavar="FILE",
        help="tabulate, and plot, what was measured into FILE, and measure nothing",
    )
    files.add_argument(
        "--plot", type=_figure, metavar="FILE", help="draw everyone's time relative to jaxent's"
    )
    sources.add_argument(
        "--compare",
        nargs=2,
        type=_results,
        metavar=("OLD", "NEW"),
        help="say what got faster or slower, beyond the spread, and measure nothing",
    )
    sources.add_argument(
        "--readme",
        type=_results,
        metavar="FILE",
        help="write a summary of what was measured into FILE to README.md, and measure nothing",
    )
    chosen = parser.parse_args(argv)
    _refuse_what_is_ignored(parser, chosen)
    return chosen


def _refuse_what_is_ignored(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """Who reads a file of measurements measures nothing, and draws by --from alone."""
    given = {name for name, x in vars(chosen).items() if x is not parser.get_default(name)}
    for source in given & READING.keys():
        drawing = {"plot"} if source == "source" else set()
        for name in sorted(given - READING.keys() - drawing):
            parser.error(f"argument --{name}: not allowed with argument {READING[source]}")


def _cases(text: str) -> list[Case]:
    parts = text.split(",")
    if not all(part and any(part in case.name for case in CASES) for part in parts):
        names = ", ".join(case.name for case in CASES)
        raise argparse.ArgumentTypeError(f"must be parts of {names}, got {text!r}")
    return [case for case in CASES if any(part in case.name for part in parts)]


def _shapes(text: str) -> Sequence[Shape]:
    if text == "all":
        return SHAPES
    try:
        return [parse(part) for part in text.split(",")]
    except ValueError:
        names = ", ".join(shape.name for shape in SHAPES)
        message = f"must be all, names out of {names}, or sizes such as 64x1000, got {text}"
        raise argparse.ArgumentTypeError(message) from None


def _some_of(choices: Sequence[str] | dict[str, Any]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if not set(names) <= set(choices):
            raise argparse.ArgumentTypeError(f"must be out of {', '.join(choices)}, got {text}")
        return names

    return chosen


def _rounds(text: str) -> int:
    most = 10**6
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}, got {text!r}")
    return int(text)


def _file(text: str) -> Path:
    file = Path(text)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be a file that can be written, got {text}")
    return file


def _figure(text: str) -> Path:
    file = _file(text)
    if file.suffix[1:].lower() not in plot.FORMATS:
        formats = ", ".join(plot.FORMATS)
        raise argparse.ArgumentTypeError(f"must end in one of {formats}, got {text}")
    return file


def _results(text: str) -> Results:
    try:
        results = by_cell(read(Path(text)))
        run_of(results)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return results


def measured(chosen: argparse.Namespace, console: Console) -> list[Measurement]:
    """Measures every cell that was chosen; writes each to the file as soon as it is there."""
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are of compiling
    contestants = [load(name) for name in ("jaxent", *chosen.against)]
    run = this_run(chosen.against)
    console.print(str(run), highlight=False)
    cells = [
        (case, mode, shape, dtype)
        for case, mode, shape, dtype in product(
            chosen.loss, chosen.mode, chosen.shapes, chosen.dtype
        )
        if case.linear == bool(shape.features)
    ]
    if not cells:
        raise SystemExit(
            "nothing to measure: linear losses take sizes like 64x32x1000, others like 64x1000"
        )
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    found = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(cells))
        for case, mode, shape, dtype in cells:
            progress.update(task, description=f"{case.name}, {mode}, {shape} {dtype}")
            new = measure(case, shape, dtype, mode, contestants, run, chosen.rounds)
            if chosen.json:
                append(chosen.json, new)
            found += new
            progress.advance(task)
    return found


def compare_results(old: Results, new: Results, console: Console) -> None:
    console.print(f"old: {run_of(old)}\nnew: {run_of(new)}", highlight=False)
    console.print(changed(changes(old, new), old, new))


def tabulate(chosen: argparse.Namespace, console: Console) -> int:
    """Measures or reads, prints and plots; the exit status tells whether jaxent is wrong."""
    results = chosen.source
    if results is None:
        results = by_cell(measured(chosen, console))
    else:
        console.print(str(run_of(results)), highlight=False)
    console.print(report(results))
    if chosen.json:
        console.print(f"appended to {chosen.json}", highlight=False)
    if chosen.plot:
        plot.save(results, chosen.plot)
        console.print(f"drawn into {chosen.plot}", highlight=False)
    return int(any(contest["jaxent"].wrong for contest in results.values()))


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    console = wide_console()
    if chosen.compare:
        old, new = chosen.compare
        compare_results(old, new, console)
    elif chosen.readme:
        readme.rewrite(readme.README, chosen.readme)
    else:
        return tabulate(chosen, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
