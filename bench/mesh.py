"""Compiles the linear loss for meshes that need not be there: `python -m bench.mesh`.

With the extra `ahead`, as `bench.ahead`. For each mesh the table gives what a device holds of
features and kernel, its temporaries, and what devices send each other in a step of value and
gradients: for each kind of collective how often, and the bytes of its results on a device.
"""

import argparse
import functools
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rich.console import Console
from rich.progress import track
from rich.table import Table

import jaxent
from bench.ahead import COMPILERS, H200, TPU_HOST
from bench.report import STYLE, wide_console
from bench.results import append

KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
DTYPE = "bfloat16"
# Two of a few numbers a row and one of each gradient; a kernel split by features, to and fro.
MOST = {"all-reduce": 4, "all-gather": 1, "reduce-scatter": 1}


class Collective(NamedTuple):
    """One instruction of a compiled program, with the arrays that it makes on a device."""

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    bytes: int


def collectives(text: str) -> list[Collective]:
    """Those of a program's text, those of single numbers left out: they are anyone's."""
    found = []
    for made, kind in re.findall(rf" = (.*?) ({KINDS})(?:-start)?\(", text):
        arrays = re.findall(r"([a-z]+)(\d+)\[([\d,]+)\]", made)
        shapes = tuple(tuple(map(int, sizes.split(","))) for _, _, sizes in arrays)
        size = sum(int(bits) // 8 * prod(s) for (_, bits, _), s in zip(arrays, shapes, strict=True))
        if shapes:
            found.append(Collective(kind, shapes, size))
    return found


@dataclass(frozen=True)
class Target:
    """A mesh of devices, data × vocab, and the head that is split over it."""

    devices: Callable[[], Sequence[Any]]
    mesh: tuple[int, int]
    rows: int
    features: int
    classes: int
    feature_axis: str | None = None


@dataclass(frozen=True)
class Split:
    """What a device of a mesh holds and is sent in one step."""

    target: str
    mesh: tuple[int, int]
    rows: int
    features: int
    classes: int
    argument_bytes: int
    temp_bytes: int
    collectives: Mapping[str, tuple[int, int]]  # how many of a kind, and their bytes together
    versions: Mapping[str, str]


def tpus(name: str) -> Sequence[Any]:
    os.environ.update(TPU_HOST)
    return topologies.get_topology_desc(platform="tpu", topology_name=name).devices


def h200s() -> Sequence[Any]:
    description = topologies.get_topology_desc(
        platform="cuda", topology_name="", topology="1x1x8", target_config=H200.read_text()
    )
    return description.devices


TARGETS: Mapping[str, Target] = {
    "8 H200": Target(h200s, (2, 4), 16384, 4096, 128256),
    "v5e 4x4": Target(functools.partial(tpus, "v5e:4x4"), (4, 4), 32768, 4096, 128256),
    "1024 v5p": Target(
        functools.partial(tpus, "v5p:8x8x16"), (16, 64), 131072, 16384, 128256, "data"
    ),
}


def split(name: str, target: Target, versions: Mapping[str, str]) -> Split:
    """Compiles value and gradients of the mean, of one chunk of rows a device."""
    devices = np.array(target.devices()).reshape(target.mesh)
    mesh = Mesh(devices, ("data", "vocab"))

    def like(shape, dtype, *spec):
        return jax.ShapeDtypeStruct(
            shape, dtype, sharding=NamedSharding(mesh, PartitionSpec(*spec))
        )

    arguments = (
        like((target.rows, target.features), DTYPE, "data"),
        like((target.features, target.classes), DTYPE, target.feature_axis, "vocab"),
        like((target.rows,), "int32", "data"),
    )
    loss = functools.partial(
        jaxent.sharded_linear_softmax_cross_entropy,
        mesh=mesh,
        data_axis="data",
        vocab_axis="vocab",
        feature_axis=target.feature_axis,
        reduction="mean",
        max_logits_bytes=2**40,
    )
    program: Any = jax.jit(jax.value_and_grad(loss, (0, 1))).trace(*arguments).lower().compile()
    memory, sent = program.memory_analysis(), {}
    for kind, _, size in collectives(program.as_text()):
        count, total = sent.get(kind, (0, 0))
        sent[kind] = count + 1, total + size
    sizes = target.mesh, target.rows, target.features, target.classes
    held = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    return Split(name, *sizes, *held, sent, versions)


def too_many(sent: Mapping[str, tuple[int, int]]) -> bool:
    """Whether there are more collectives of a kind than the loss needs."""
    return any(count > MOST.get(kind, 0) for kind, (count, _) in sent.items())


def report(found: Sequence[Split]) -> Table:
    table = Table(title="per device and step: MB, and how many of a kind", **STYLE)
    for heading in ("target", "mesh", "rows×features×classes", "arguments", "temporaries", "sent"):
        table.add_column(heading, no_wrap=heading != "sent")
    for s in found:
        sent = ", ".join(
            f"{n} {kind} {size / 1e6:.1f}" for kind, (n, size) in s.collectives.items()
        )
        table.add_row(
            s.target,
            "×".join(map(str, s.mesh)),
            f"{s.rows}×{s.features}×{s.classes}",
            f"{s.argument_bytes / 1e6:.0f}",
            f"{s.temp_bytes / 1e6:.0f}",
            sent,
        )
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m bench.mesh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="append each result as a line")
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    chosen = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    packages = ["jax", "jaxlib", *(p for of in COMPILERS.values() for p in of)]
    versions = {package: version(package) for package in packages}
    found = []
    for name in track(chosen.target, console=Console(stderr=True)):
        found.append(split(name, TARGETS[name], versions))
        if chosen.json:
            append(chosen.json, [found[-1]])
    wide_console().print(report(found))
    return int(any(too_many(s.collectives) for s in found))


if __name__ == "__main__":
    sys.exit(main())
