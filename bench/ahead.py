"""Compiles the losses for accelerators that need not be there: `python -m bench.ahead`.

The extra `ahead` brings the compilers of both kinds, on Linux: libtpu for TPUs, and NVIDIA's plugin
of JAX with its assembler for GPUs, without a driver. For each loss the table gives what the program
reads and writes in the device's memory, as XLA counts it, and its temporaries, both in units of the
logits. An argument of their shape counts as much again wherever it is read.
"""

import argparse
import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies
from jax.extend.backend import get_backend
from jax.sharding import Sharding, SingleDeviceSharding
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.cases import CASES, Case
from bench.contestants import Contestant, load
from bench.programs import Mode, of_mean
from bench.report import STYLE, number, wide_console
from bench.results import append
from bench.shapes import Shape

H200 = Path(__file__).with_name("h200.txtpb")
# libtpu asks the machine for a TPU unless it is told of one.
TPU_HOST = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
SHAPE = Shape("Llama-2", 4096, 32000)
DTYPES = ("float32", "bfloat16")
MODES: tuple[Mode, ...] = ("value", "grad")


@dataclass(frozen=True)
class Compiled:
    """One loss of one library, compiled for one target."""

    loss: str
    rows: int
    classes: int
    dtype: str
    mode: str  # value or grad
    contestant: str
    target: str
    accessed: float  # bytes read and written, over those of the logits
    temporaries: float  # bytes, over those of the logits
    versions: Mapping[str, str]  # of the compilers' packages
    day: str  # in UTC, as ISO 8601 has it


def h200() -> Sharding:
    """A GPU of Hopper's generation, by the description of the device that XLA asks for."""
    description = topologies.get_topology_desc(
        platform="cuda", topology_name="", topology="1x1x1", target_config=H200.read_text()
    )
    return SingleDeviceSharding(description.devices[0])


def v5e() -> Sharding:
    """One chip of a TPU v5e."""
    os.environ.update(TPU_HOST)
    description = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    return SingleDeviceSharding(description.devices[0])


TARGETS: Mapping[str, Callable[[], Sharding]] = {"h200": h200, "v5e": v5e}
COMPILERS = {"h200": ("jax-cuda13-plugin", "nvidia-cuda-nvcc"), "v5e": ("libtpu",)}


def compile_ahead(
    contestant: Contestant, case: Case, shape: Shape, dtype: str, mode: Mode, sharding: Sharding
) -> tuple[float, float]:
    """The bytes that a loss accesses, and its temporaries, over those of the logits."""
    arguments = case.arguments(Shape("", 1, shape.classes), dtype)
    like = [
        jax.ShapeDtypeStruct((shape.rows, *x.shape[1:]), x.dtype, sharding=sharding)
        for x in arguments
    ]
    loss = of_mean(contestant.losses[case.name], mode)
    executable: Any = jax.jit(loss).trace(*like).lower().compile()
    logits = like[0].size * like[0].dtype.itemsize
    memory = executable.memory_analysis()
    return _accessed(executable) / logits, memory.temp_size_in_bytes / logits


def _accessed(executable: Any) -> float:
    costs = executable.cost_analysis()
    if costs is None:
        # The compiler for GPUs does not count; XLA's own analysis of the program does, which JAX
        # has in no public module.
        xla = importlib.import_module("jax._src.lib").xla_client._xla
        module = executable.runtime_executable().hlo_modules()[0]
        costs = xla.hlo_module_cost_analysis(get_backend("cpu"), module)
    return costs["bytes accessed"]


def report(found: Sequence[Compiled]) -> Table:
    """Bytes accessed and temporaries: a line for each loss, a column for target and library."""
    columns = list(dict.fromkeys((c.target, c.contestant) for c in found))
    table = Table(title="bytes accessed (temporaries), over those of the logits", **STYLE)
    for heading in ("loss", "mode", "dtype"):
        table.add_column(heading, no_wrap=True)
    for target, contestant in columns:
        table.add_column(f"{target}\n{contestant}", justify="right")
    lines: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for c in found:
        figures = f"{number(c.accessed)} ({number(c.temporaries)})"
        lines.setdefault((c.loss, c.mode, c.dtype), {})[c.target, c.contestant] = figures
    for line, cells in lines.items():
        table.add_row(*line, *(cells.get(column, "") for column in columns))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m bench.ahead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="append each result as a line")
    parser.add_argument("--loss", default="", help="losses whose names hold this; default: all")
    parser.add_argument(
        "--target", nargs="+", choices=TARGETS, default=list(TARGETS), help="default: both"
    )
    chosen = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    shardings = {name: TARGETS[name]() for name in chosen.target}
    packages = ["jax", "jaxlib", "optax", *(p for name in chosen.target for p in COMPILERS[name])]
    result = functools.partial(
        Compiled,
        rows=SHAPE.rows,
        classes=SHAPE.classes,
        versions={package: version(package) for package in packages},
        day=datetime.now(UTC).date().isoformat(),
    )
    cases = [case for case in CASES if chosen.loss in case.name and not case.linear]
    if not cases:
        parser.error(f"argument --loss: no loss on logits has {chosen.loss} in its name")
    work = list(product(cases, MODES, DTYPES, shardings, map(load, ("jaxent", "optax"))))
    found = []
    for case, mode, dtype, target, contestant in track(work, console=Console(stderr=True)):
        if case.name not in contestant.losses:
            continue
        accessed, temporaries = compile_ahead(
            contestant, case, SHAPE, dtype, mode, shardings[target]
        )
        found.append(
            result(
                case.name,
                dtype=dtype,
                mode=mode,
                contestant=contestant.name,
                target=target,
                accessed=accessed,
                temporaries=temporaries,
            )
        )
        if chosen.json:
            append(chosen.json, [found[-1]])
    wide_console().print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
