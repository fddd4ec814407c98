"""What the linear loss holds on accelerators that need not be there, beside logits that are held.

The programs of value and gradients by features and kernel, in bfloat16, are compiled ahead of time
for an H200 and a TPU v5e (see `bench.ahead`) at the size of Llama-3's head, and with rows, classes
and budget varied one by one. A line is printed for each; `--plot FILE` draws their temporaries.
`--json FILE` keeps them. The exit status is 1 where jaxent takes more than its budget of logits and
the gradient of the kernel in float32.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Sharding
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

import jaxent
from bench.ahead import COMPILERS, TARGETS
from bench.results import append

ROWS, FEATURES, CLASSES, BUDGET = 8192, 4096, 128256, 2**30
DTYPE = "bfloat16"
VARIED = {
    "rows": (2048, 4096, 8192, 16384, 32768),
    "classes": (32000, 64000, 128256, 256000),
    "budget": (2**27, 2**28, 2**29, 2**30, 2**31),
}
LABELS = {"rows": "rows", "classes": "classes", "budget": "max_logits_bytes, MiB"}


@dataclass(frozen=True)
class Held:
    """The temporaries of one program."""

    rows: int
    features: int
    classes: int
    budget: int  # max_logits_bytes; nothing to optax
    contestant: str
    target: str
    temp_bytes: int
    versions: dict[str, str]

    @property
    def allowed(self) -> int:
        """The budget, and the kernel's gradient in float32."""
        return self.budget + 4 * self.features * self.classes


def jaxent_loss(budget: int) -> Callable[..., Array]:
    return lambda x, W, y: jaxent.linear_softmax_cross_entropy(
        x, W, y, max_logits_bytes=budget, reduction="mean"
    )


def optax_loss(budget: int) -> Callable[..., Array]:
    del budget
    of_class_numbers = optax.losses.softmax_cross_entropy_with_integer_labels
    return lambda x, W, y: jnp.mean(of_class_numbers(x @ W, y))


LOSSES = {"jaxent": jaxent_loss, "optax": optax_loss}


def held(rows: int, classes: int, budget: int, contestant: str, target: Sharding) -> int:
    """The bytes of temporaries of value and gradients."""
    like = [
        jax.ShapeDtypeStruct(shape, dtype, sharding=target)
        for shape, dtype in (
            ((rows, FEATURES), DTYPE),
            ((FEATURES, classes), DTYPE),
            ((rows,), "int32"),
        )
    ]
    program = jax.jit(jax.value_and_grad(LOSSES[contestant](budget), (0, 1)))
    executable: Any = program.trace(*like).lower().compile()
    return executable.memory_analysis().temp_size_in_bytes


def sizes() -> list[tuple[int, int, int]]:
    """Rows, classes and budgets, each varied alone."""
    middle = {"rows": ROWS, "classes": CLASSES, "budget": BUDGET}
    points = [middle | {name: value} for name, values in VARIED.items() for value in values]
    return sorted({(p["rows"], p["classes"], p["budget"]) for p in points})


def plot(found: Sequence[Held], file: Path) -> None:
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(len(TARGETS), len(VARIED), sharey=True, squeeze=False)
    middle = {"rows": ROWS, "classes": CLASSES, "budget": BUDGET}
    for line, target in enumerate(TARGETS):
        for column, name in enumerate(VARIED):
            ax = axes[line, column]
            others = {k: v for k, v in middle.items() if k != name}
            on_line = [
                h
                for h in found
                if h.target == target and all(getattr(h, k) == v for k, v in others.items())
            ]
            for contestant, style in (("jaxent", "o-"), ("optax", "s--")):
                points = sorted(
                    (getattr(h, name), h.temp_bytes / 2**30)
                    for h in on_line
                    if h.contestant == contestant
                )
                color = "tab:orange" if contestant == "jaxent" else "black"
                ax.loglog(*zip(*points, strict=True), style, label=contestant, color=color)
            allowed = sorted({(getattr(h, name), h.allowed / 2**30) for h in on_line})
            ax.loglog(*zip(*allowed, strict=True), ":", color="tab:blue", label="allowed")
            ax.grid(alpha=0.3, which="both")
            unit = 2**20 if name == "budget" else 1
            ax.set_xticks(VARIED[name], [f"{value // unit:,}" for value in VARIED[name]])
            ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
            ax.tick_params(axis="x", labelrotation=20, labelsize="small")
            ax.set_xlabel(LABELS[name])
            ax.set_title(target)
        axes[line, 0].set_ylabel("temporaries, GiB")
    axes[0, 0].legend()
    figure.suptitle(
        f"Value and gradients of a linear head in bfloat16: {ROWS} rows, {FEATURES} features,"
        f" {CLASSES} classes, budget {BUDGET // 2**20} MiB, one of them varied"
    )
    figure.savefig(file, dpi=150)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m bench.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="append each result as a line")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the temporaries")
    chosen = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    targets = {name: make() for name, make in TARGETS.items()}
    packages = ["jax", "jaxlib", "optax", *(p for of in COMPILERS.values() for p in of)]
    versions = {package: version(package) for package in packages}
    console, found = Console(highlight=False), []
    work = list(product(sizes(), LOSSES, targets))
    for (rows, classes, budget), contestant, target in track(work, console=Console(stderr=True)):
        size = held(rows, classes, budget, contestant, targets[target])
        made = Held(rows, FEATURES, classes, budget, contestant, target, size, versions)
        found.append(made)
        console.print(
            f"{target} {contestant:6} {rows}×{FEATURES}×{classes} budget {budget / 1e6:.0f} MB:"
            f" {size / 1e6:.0f} MB"
            + (f" of {made.allowed / 1e6:.0f}" if contestant == "jaxent" else "")
        )
        if chosen.json:
            append(chosen.json, [made])
    if chosen.plot:
        plot(found, chosen.plot)
    return int(any(h.temp_bytes > h.allowed for h in found if h.contestant == "jaxent"))


if __name__ == "__main__":
    sys.exit(main())
