"""The bench's count of what a program moves, on a target that is always there."""

import io

import jax
import pytest
from jax.sharding import SingleDeviceSharding
from rich.console import Console

from bench.ahead import Compiled, compile_ahead, report
from bench.cases import CASES
from bench.contestants import Contestant, load
from bench.shapes import Shape

SQUARED_ERROR = next(case for case in CASES if case.name == "squared_error")
SHAPE = Shape("", 64, 1000)


def accessed(contestant, mode):
    sharding = SingleDeviceSharding(jax.devices()[0])
    return compile_ahead(contestant, SQUARED_ERROR, SHAPE, "float32", mode, sharding)[0]


def test_every_array_is_counted_as_often_as_it_is_read_or_written():
    """A value reads predictions and targets; a gradient reads both, perhaps again, and writes."""
    assert accessed(load("jaxent"), "value") == pytest.approx(2, rel=0.05)
    assert 3 <= accessed(load("jaxent"), "grad") <= 5.1


def test_one_who_moves_more_is_seen():
    def sorted_first(predictions, targets):
        return (jax.numpy.sort(predictions) - targets) ** 2

    who = Contestant("slow", {SQUARED_ERROR.name: sorted_first})
    assert accessed(who, "value") > accessed(load("jaxent"), "value") + 1


def test_the_table_has_a_column_for_each_target_and_library():
    made = [
        Compiled("a loss", 1, 1, "float32", "value", who, target, 2.0, 0.5, {}, "2026-01-01")
        for target in ("h200", "v5e")
        for who in ("jaxent", "optax")
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(report(made))
    text = console.file.getvalue()
    assert text.count("2.00 (0.500)") == 4
    assert text.count("h200") == text.count("v5e") == text.count("jaxent") == 2
