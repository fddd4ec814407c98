"""Compiles the sharded linear head for meshes that need not be there: `python -m bench.mesh`.

The compilers are those of `bench.ahead`. A line for each mesh gives what a device holds of features
and kernel, its temporaries, and what it receives in a step of value and gradients: how many
collectives of each kind, and the bytes of their results.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxent
from bench.ahead import gpus, tpus, versions
from bench.results import append

KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
# Two reductions of a few numbers a row, one of each gradient, and a kernel that is gathered.
MOST = {"all-reduce": 4, "all-gather": 1, "reduce-scatter": 1}


class Collective(NamedTuple):
    """One instruction of a compiled program, with the arrays that it makes on a device."""

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    bytes: int


def collectives(text: str) -> list[Collective]:
    """Those of a program's text, without those of single numbers."""
    found = []
    for made, kind in re.findall(rf" = (.*?) ({KINDS})(?:-start)?\(", text):
        arrays = re.findall(r"([a-z]+)(\d+)\[([\d,]+)\]", made)
        shapes = tuple(tuple(map(int, sizes.split(","))) for _, _, sizes in arrays)
        size = sum(int(bits) // 8 * prod(s) for (_, bits, _), s in zip(arrays, shapes, strict=True))
        if shapes:
            found.append(Collective(kind, shapes, size))
    return found


def too_many(sent: Mapping[str, tuple[int, int]]) -> bool:
    """Whether there are more collectives of a kind than the loss needs."""
    return any(count > MOST.get(kind, 0) for kind, (count, _) in sent.items())


class Target(NamedTuple):
    """A mesh of devices, data × vocab, and the head that is split over it."""

    devices: Callable[[], Sequence[Any]]
    mesh: tuple[int, int]
    rows: int
    features: int
    classes: int
    feature_axis: str | None = None


TARGETS: Mapping[str, Target] = {
    "8 H200": Target(partial(gpus, "1x1x8"), (2, 4), 16384, 4096, 128256),
    "v5e 4x4": Target(partial(tpus, "v5e:4x4"), (4, 4), 32768, 4096, 128256),
    "1024 v5p": Target(partial(tpus, "v5p:8x8x16"), (16, 64), 131072, 16384, 128256, "data"),
}


def compiled(target: Target) -> Any:
    """Value and gradients of the mean, with all rows of a device in one chunk."""
    mesh = Mesh(np.array(target.devices()).reshape(target.mesh), ("data", "vocab"))

    def like(shape, dtype, *spec):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, P(*spec)))

    loss = jaxent.sharded(
        jaxent.linear_softmax_cross_entropy,
        mesh=mesh,
        data_axis="data",
        vocab_axis="vocab",
        feature_axis=target.feature_axis,
    )
    mean = partial(loss, reduction="mean", max_logits_bytes=2**40)
    arguments = (
        like((target.rows, target.features), "bfloat16", "data"),
        like((target.features, target.classes), "bfloat16", target.feature_axis, "vocab"),
        like((target.rows,), "int32", "data"),
    )
    return jax.jit(jax.value_and_grad(mean, (0, 1))).trace(*arguments).lower().compile()


def sent(text: str) -> dict[str, tuple[int, int]]:
    """How many collectives of each kind, and their bytes together."""
    found: dict[str, tuple[int, int]] = {}
    for kind, _, size in collectives(text):
        count, total = found.get(kind, (0, 0))
        found[kind] = count + 1, total + size
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bench.mesh", description=__doc__)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append the results to a file")
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    chosen = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    found, many = [], False
    for name in chosen.target:
        program = compiled(TARGETS[name])
        memory, by_kind = program.memory_analysis(), sent(program.as_text())
        many |= too_many(by_kind)
        found.append(
            {
                "target": name,
                "arguments_mb": memory.argument_size_in_bytes / 1e6,
                "temporaries_mb": memory.temp_size_in_bytes / 1e6,
                "sent": ", ".join(
                    f"{n} {k} {size / 1e6:.1f} MB" for k, (n, size) in by_kind.items()
                ),
            }
        )
        print(*(f"{key} {x}" for key, x in found[-1].items()), sep="  ")
    if chosen.csv:
        append(chosen.csv, found, versions())
    return int(many)


if __name__ == "__main__":
    sys.exit(main())
