"""The passes of a compiled loss, and the time of each, on the device that JAX finds.

XLA compiles a loss to passes over its arrays, each a fusion of operations or one operation alone.
For jaxent and its peer a table lists the passes that take 1 % of the time or more: milliseconds of
a call by JAX's profiler, the shape that the pass writes, and its operations. XLA's CPU compiler
hands those behind `ynn:` to a library.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax

from bench.cases import CASES, Case, Loss
from bench.measure import TOLERANCES, rotations
from bench.programs import Mode, of_mean
from bench.shapes import Shape, parse

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


def passes(case: Case, loss: Loss, shape: Shape, dtype: str, mode: Mode) -> list[Pass]:
    """The passes of a program, the longest first."""
    inputs = [jax.device_put(x) for x in rotations(case.arrays(shape, dtype))]
    function = of_mean(loss, mode, case.learned, case.drops)
    compiled = jax.jit(function).lower(*inputs[0]).compile()
    jax.block_until_ready(compiled(*inputs[0]))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for call in range(CALLS):
                jax.block_until_ready(compiled(*inputs[call % len(inputs)]))
        (file,) = Path(folder).rglob("*.xplane.pb")
        durations = durations_of(jax.profiler.ProfileData.from_file(str(file)))
    found = [
        Pass(*what, median(durations[name]) * len(durations[name]) / CALLS)
        for name, what in instructions(compiled.as_text() or "").items()
        if name in durations
    ]
    return sorted(found, key=lambda p: -p.ms)


def durations_of(profile: Any) -> dict[str, list[float]]:
    """The milliseconds of every event, by its name."""
    found: dict[str, list[float]] = {}
    for plane in profile.planes:
        for line in plane.lines:
            for event in line.events:
                found.setdefault(event.name, []).append(event.duration_ns / 1e6)
    return found


def report(found: Sequence[Pass]) -> str:
    """A line for each pass that matters, below their sum."""
    ms = sum(p.ms for p in found)
    long = [p for p in found if p.ms >= LEAST_SHARE * ms]
    return "\n".join([f"{ms:.2f} ms", *(f"{p.ms:8.2f}  {p.shape:20} {p.operations}" for p in long)])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bench.passes", description=__doc__)
    parser.add_argument("loss", help="the name of a case of `python -m bench`")
    parser.add_argument(
        "--shape", type=parse, help="default: ImageNet, for linear heads DALL-E head"
    )
    parser.add_argument("--dtype", choices=TOLERANCES, default="float32")
    parser.add_argument("--mode", choices=("value", "grad"), default="grad")
    chosen = parser.parse_args(argv)
    case = next((case for case in CASES if case.name == chosen.loss), None)
    if case is None:
        parser.error(f"argument loss: must be one of {'; '.join(case.name for case in CASES)}")
    shape = chosen.shape or parse("DALL-E head" if case.linear else "ImageNet")
    if case.linear != bool(shape.features):
        parser.error("argument --shape: linear heads take sizes like 64x32x1000, others 64x1000")
    for contestant, loss in ({"jaxent": case.jaxent} | case.baseline()).items():
        found = passes(case, loss, shape, chosen.dtype, chosen.mode)
        print(f"{contestant}, {chosen.mode}, {shape} {chosen.dtype}: {report(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
