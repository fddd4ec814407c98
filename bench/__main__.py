"""The command line."""

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import jax
import pandas as pd

import bench
from bench import plot, results
from bench.cases import CASES, Case
from bench.measure import TOLERANCES, measure
from bench.peers import LOADERS, load
from bench.programs import MODES, Mode
from bench.shapes import DEFAULT, SHAPES, Shape, parse


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description=bench.__doc__,
        epilog="LIST is separated by commas. The exit status is 1 if a result of jaxent is wrong.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    shapes = ", ".join(map(str, SHAPES))
    add("--loss", default="", metavar="LIST", help="parts of the names of cases; default: all")
    add(
        "--shapes",
        type=shapes_of,
        default=DEFAULT,
        metavar="LIST",
        help=f"of {shapes}; or sizes: 64x1000, for linear heads 64x32x1000; default: {DEFAULT}",
    )
    add("--dtype", nargs="+", choices=TOLERANCES, default=[*TOLERANCES], help="default: both")
    add("--mode", nargs="+", choices=MODES, default=["grad"], help="default: grad")
    add("--against", nargs="+", choices=LOADERS, default=[], help="peers beside optax or plain JAX")
    add("--rounds", type=int, metavar="N", help="default: half a second, at least 7 rounds")
    add("--csv", type=Path, metavar="FILE", help="append the results to a file")
    add("--plot", type=Path, metavar="FILE", help="draw the results")
    reading = parser.add_mutually_exclusive_group()
    add = reading.add_argument
    add("--from", dest="source", type=results_of, metavar="FILE", help="print results of a file")
    add(
        "--page",
        type=results_of,
        metavar="FILE",
        help="write results of a file to docs/benchmarks.md",
    )
    add("--compare", nargs=2, type=results_of, metavar=("OLD", "NEW"), help="print what changed")
    chosen = parser.parse_args(argv)
    parts = chosen.loss.split(",")
    chosen.loss = [case for case in CASES if any(part in case.name for part in parts)]
    if not (
        chosen.source is not None or chosen.page is not None or chosen.compare or cells(chosen)
    ):
        parser.error("no case has such a name and shape; linear heads take sizes like 64x32x1000")
    return chosen


def shapes_of(text: str) -> list[Shape]:
    try:
        return list(map(parse, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def results_of(text: str) -> pd.DataFrame:
    try:
        return results.read(Path(text))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def cells(chosen: argparse.Namespace) -> list[tuple[Case, Mode, Shape, str]]:
    every = product(chosen.loss, chosen.mode, chosen.shapes, chosen.dtype)
    return [cell for cell in every if cell[0].linear == bool(cell[2].features)]


def measured(chosen: argparse.Namespace) -> pd.DataFrame:
    """Measures each cell, prints it, and appends it to the file."""
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are of compiling
    peers = {name: load(name) for name in chosen.against}
    run = results.this_run(peers)
    print(run)
    found, comment = [], run
    for case, mode, shape, dtype in cells(chosen):
        losses = {"jaxent": case.jaxent, **case.baseline()}
        losses |= {name: calls[case.name] for name, calls in peers.items() if case.name in calls}
        new = measure(case, shape, dtype, mode, losses, chosen.rounds)
        title, line = results.lines(pd.DataFrame(new))
        print(*([] if found and found[-1]["loss"] == case.name else [title]), line, sep="\n")
        if chosen.csv:
            results.append(chosen.csv, new, comment)
        found, comment = found + new, None
    frame = pd.DataFrame(found)
    frame.attrs["runs"] = [run]
    return frame


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    if chosen.compare:
        changed = results.changes(*chosen.compare)
        print(changed.to_string(index=False) if len(changed) else "no change beyond the spread")
        return 0
    if chosen.page is not None:
        results.rewrite(results.PAGE, chosen.page)
        return 0
    if chosen.source is not None:
        found = chosen.source
        print(*found.attrs["runs"], *results.lines(found), sep="\n")
    else:
        found = measured(chosen)
    slower = results.behind(found)
    print("\nSlower than a peer, geometric means over the shapes:")
    print(slower.to_string() if len(slower) else "none")
    if chosen.plot:
        plot.save(found, chosen.plot)
    return int(found[found.contestant == "jaxent"].wrong.notna().any())


if __name__ == "__main__":
    sys.exit(main())
