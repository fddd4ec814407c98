"""Temporaries of the linear head's loss on accelerators, compiled ahead of time as `bench.ahead`.

The program computes value and gradients in bfloat16, at the size of Llama-3's head. Then it varies
rows, classes and budget, one at a time. It compiles optax's loss as well, which holds the logits.
The exit status is 1 if jaxent takes more than the budget and the kernel's gradient in float32.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import pandas as pd
from jax.sharding import Sharding
from matplotlib.figure import Figure

import jaxent
from bench.ahead import TARGETS, compile_for, versions
from bench.cases import CASES, HEAD
from bench.programs import of_mean
from bench.results import append
from bench.shapes import Shape

(CASE,) = (case for case in CASES if case.name == HEAD)
FEATURES = 4096
MIDDLE = {"rows": 8192, "classes": 128256, "budget": 2**30}
VARIED = {
    "rows": (2048, 4096, 8192, 16384, 32768),
    "classes": (32000, 64000, 128256, 256000),
    "budget": (2**27, 2**28, 2**29, 2**30, 2**31),
}
# The title of each axis of the plot, and the number that its unit stands for.
LABELS = {
    "rows": ("rows, thousands", 2**10),
    "classes": ("classes, thousands", 1000),
    "budget": ("max_logits_bytes, MiB", 2**20),
}


def sizes() -> list[dict[str, int]]:
    """Rows, classes and budgets, each varied alone."""
    points = [MIDDLE | {name: value} for name, values in VARIED.items() for value in values]
    return [p for i, p in enumerate(points) if p not in points[:i]]


def held(rows: int, classes: int, budget: int, target: Sharding) -> dict[str, int]:
    """The bytes of temporaries of jaxent and of optax, and those allowed to jaxent."""
    losses = {
        "jaxent": partial(jaxent.linear_softmax_cross_entropy, max_logits_bytes=budget),
        "optax": CASE.baseline()["optax"],
    }
    like = CASE.like(Shape("", rows, classes, FEATURES), "bfloat16")
    programs = {
        who: compile_for(target, of_mean(loss, "grad", CASE.learned), like)
        for who, loss in losses.items()
    }
    taken = {who: p.memory_analysis().temp_size_in_bytes for who, p in programs.items()}
    return taken | {"allowed": budget + 4 * FEATURES * classes}


def plot(found: pd.DataFrame, file: Path) -> None:
    figure = Figure(figsize=(10, 6), layout="constrained")
    grid = figure.subplots(len(TARGETS), len(VARIED), sharex="col", sharey=True)
    for row, target in zip(grid, TARGETS, strict=True):
        for axes, name in zip(row, VARIED, strict=True):
            label, unit = LABELS[name]
            fixed = [f"{other} == {x}" for other, x in MIDDLE.items() if other != name]
            alone = found.query(" and ".join(["target == @target", *fixed])).sort_values(name)
            for who, style in (("jaxent", "o-C1"), ("optax", "s--k"), ("allowed", ":C0")):
                label_of = "budget and ∂kernel" if who == "allowed" else who
                axes.loglog(alone[name] / unit, alone[who] / 2**30, style, label=label_of, base=2)
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
            axes.grid(alpha=0.3)
            axes.set_title(target, fontsize="medium")
            axes.set_xlabel(label)
        row[0].set_ylabel("temporaries, GiB")
    grid[0, 0].legend()
    figure.suptitle("Value and gradients of a linear head in bfloat16, 4096 features")
    figure.savefig(file, dpi=90)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bench.memory", description=__doc__)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append the results to a file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the temporaries")
    chosen = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    found: list[dict[str, Any]] = []
    for target, make in TARGETS.items():
        for size in sizes():
            found.append({"target": target} | size | held(**size, target=make()))
            print(*(f"{key} {x}" for key, x in found[-1].items()), sep="  ")
    if chosen.csv:
        append(chosen.csv, found, versions())
    if chosen.plot:
        plot(pd.DataFrame(found), chosen.plot)
    return int(any(m["jaxent"] > m["allowed"] for m in found))


if __name__ == "__main__":
    sys.exit(main())
