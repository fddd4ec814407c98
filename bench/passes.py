"""What a compiled loss spends its time on, on the device that JAX finds.

XLA compiles a loss to passes over its arrays, each a fusion of operations or one operation alone.
For jaxent's and optax's programs a table lists the passes that take 1 % of the time or more: the
operations in it (`ynn:` before those that XLA hands to a library of its own on the CPU), the shape
that it writes, and the milliseconds that it takes per call, by JAX's profiler.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
from rich.table import Table

from bench.cases import CASES, Case
from bench.contestants import load
from bench.programs import MODES, Mode, of_mean
from bench.report import STYLE, wide_console
from bench.shapes import Shape, parse
from bench.timing import rotations

CALLS = 20
LEAST_SHARE = 0.01
# What XLA's text calls an operation that computes nothing.
SILENT = {"parameter", "constant", "broadcast", "bitcast", "iota", "tuple", "copy", "convert"}


class Pass(NamedTuple):
    """One instruction of a compiled program, and the milliseconds of a call that it takes."""

    operations: str
    shape: str
    ms: float


def instructions(program: str) -> dict[str, tuple[str, str]]:
    """The operations and the shape of every instruction, by its name in XLA's text."""
    bodies = dict(re.findall(r"^(?:ENTRY )?%([\w.-]+) \(.*?\{\n(.*?)^\}", program, re.M | re.S))
    line = re.compile(r"^ *(?:ROOT )?%([\w.-]+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$", re.M)
    found = {}
    for body in bodies.values():
        for name, shape, opcode, rest in line.findall(body):
            called = re.search(r"calls=%([\w.-]+)", rest)
            inner = line.findall(bodies[called[1]]) if called else [("", "", opcode, "")]
            kinds = dict.fromkeys(kind for *_, kind, _ in inner if kind not in SILENT)
            library = "ynn: " if "__ynn_fusion" in rest else ""
            found[name] = library + ", ".join(kinds), re.sub(r"\{[\d,]*\}", "", shape)
    return found


def passes(case: Case, loss: Any, shape: Shape, dtype: str, mode: Mode) -> tuple[float, list[Pass]]:
    """The milliseconds of a call, and its passes in the order of the time that they take."""
    inputs = [jax.device_put(x) for x in rotations(case.arguments(shape, dtype))]
    compiled = jax.jit(of_mean(loss, mode)).lower(*inputs[0]).compile()
    jax.block_until_ready(compiled(*inputs[0]))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for call in range(CALLS):
                jax.block_until_ready(compiled(*inputs[call % len(inputs)]))
        (file,) = Path(folder).rglob("*.xplane.pb")
        durations = _durations(jax.profiler.ProfileData.from_file(str(file)))
    found = [
        Pass(*what, _per_call(durations[name]))
        for name, what in instructions(compiled.as_text() or "").items()
        if name in durations
    ]
    return sum(p.ms for p in found), sorted(found, key=lambda p: -p.ms)


def _durations(profile: Any) -> dict[str, list[float]]:
    """The milliseconds of every event, by its name."""
    found: dict[str, list[float]] = {}
    for plane in profile.planes:
        for line in plane.lines:
            for event in line.events:
                found.setdefault(event.name, []).append(event.duration_ns / 1e6)
    return found


def _per_call(durations: Sequence[float]) -> float:
    return median(durations) * len(durations) / CALLS


def report(title: str, ms: float, found: Sequence[Pass]) -> Table:
    """A table of the passes that matter."""
    table = Table(title=f"{title}: {ms:.2f} ms", title_justify="left", title_style="bold", **STYLE)
    table.add_column("ms", justify="right")
    table.add_column("writes", no_wrap=True)
    table.add_column("operations")
    for one in found:
        if one.ms >= LEAST_SHARE * ms:
            table.add_row(f"{one.ms:.2f}", one.shape, one.operations)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m bench.passes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names: Mapping[str, Case] = {case.name: case for case in CASES}
    parser.add_argument("loss", choices=names, metavar="LOSS", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--shape",
        type=parse,
        default=parse("ImageNet"),
        metavar="SHAPE",
        help="a name or sizes, as of `python -m bench`; default: ImageNet",
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="default: float32"
    )
    modes = [mode for mode in MODES if mode != "eager"]
    parser.add_argument("--mode", choices=modes, default="grad", help="default: grad")
    chosen = parser.parse_args(argv)
    case = names[chosen.loss]
    if case.linear != bool(chosen.shape.features):
        parser.error(
            "argument --shape: linear losses take sizes like 64x32x1000, others like 64x1000"
        )
    out = wide_console()
    for contestant in map(load, ("jaxent", "optax")):
        if case.name in contestant.losses:
            loss = contestant.losses[case.name]
            title = f"{contestant.name}, {chosen.mode}, {chosen.shape} {chosen.dtype}"
            out.print(report(title, *passes(case, loss, chosen.shape, chosen.dtype, chosen.mode)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
