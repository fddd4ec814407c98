"""The table of results."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import jax
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bench.contestants import Shape
from bench.measure import Timing


class Result(NamedTuple):
    """One loss at one shape and dtype: who was timed, and who was wrong and why."""

    loss: str
    shape: Shape
    dtype: str
    timings: Mapping[str, Timing]
    wrong: Mapping[str, str]


def header() -> str:
    device = jax.devices()[0]
    kind = f"cpu, {os.cpu_count()} cores" if device.platform == "cpu" else device.device_kind
    versions = (f"{package} {version(package)}" for package in ("jax", "jaxlib", "optax"))
    return " · ".join((kind, *versions))


def report(results: Sequence[Result]) -> Group:
    table = Table(title="value_and_grad of the mean, ms: median ± interquartile range")
    table.add_column("loss", overflow="fold")
    for column in ("shape", "dtype"):
        table.add_column(column, no_wrap=True)
    for column in ("jaxent", "optax", "optax / jaxent", "jaxent / exp"):
        table.add_column(column, justify="right")
    for result, following in zip(results, (*results[1:], None), strict=True):
        table.add_row(
            result.loss,
            _product(result.shape),
            result.dtype,
            _milliseconds(result, "jaxent"),
            _milliseconds(result, "optax"),
            _ratio(result, "optax", "jaxent"),
            _ratio(result, "jaxent", "exp"),
            end_section=following is None or following.loss != result.loss,
        )
    return Group(table, *(line for result in results for line in _complaints(result)))


def _product(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _milliseconds(result: Result, name: str) -> Text:
    if name in result.wrong:
        return Text("wrong", style="bold red")
    timing = result.timings[name]
    return Text(f"{timing.median * 1e3:.2f} ± {timing.spread * 1e3:.2f}")


def _ratio(result: Result, over: str, under: str) -> str:
    if over in result.wrong or under in result.wrong:
        return ""
    return f"{result.timings[over].median / result.timings[under].median:.2f}"


def _complaints(result: Result) -> list[Text]:
    cell = f"{result.loss} {_product(result.shape)} {result.dtype}"
    return [
        Text(f"{name} is wrong in {cell}: {reason}", style="red")
        for name, reason in result.wrong.items()
    ]
