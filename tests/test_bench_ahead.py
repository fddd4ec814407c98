"""The bench's count of bytes and temporaries, on a target that is always there."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from bench import ahead, memory
from bench.ahead import costs, line
from bench.cases import CASES
from bench.shapes import Shape

CASE = {case.name: case for case in CASES}
SQUARED, DENSE = CASE["squared_error"], CASE["softmax_cross_entropy"]


def here():
    return SingleDeviceSharding(jax.devices()[0])


def cost(case, loss, mode, dtype="float32"):
    return costs(case, loss, Shape("", 256, 1000), dtype, mode, here())


def test_every_array_is_counted_as_often_as_it_is_read_or_written():
    """A value reads predictions and targets. A gradient reads both, perhaps again, and writes."""
    assert cost(SQUARED, SQUARED.jaxent, "value")[0] == pytest.approx(2, rel=0.05)
    assert 3 <= cost(SQUARED, SQUARED.jaxent, "grad")[0] <= 5.1
    assert cost(DENSE, lambda z, t: z + t, "value", "bfloat16")[0] == pytest.approx(2, rel=0.05)


def test_a_loss_that_moves_and_holds_more_is_seen():
    def sorted_first(predictions, targets):
        return (jnp.sort(predictions) - targets) ** 2

    moved, held = cost(SQUARED, sorted_first, "value")
    assert moved > cost(SQUARED, SQUARED.jaxent, "value")[0] + 1
    assert held == pytest.approx(1, rel=0.1)


def test_a_line_has_both_modes():
    m = {"contestant": "optax", "value": 1, "value_temp": 0, "grad": 3, "grad_temp": 0.5}
    assert line(m) == "optax  1.00 (0.00) / 3.00 (0.50) "


def test_the_linear_head_holds_less_than_logits(monkeypatch):
    monkeypatch.setattr(memory, "FEATURES", 64)
    held = memory.held(1024, 4000, 2**20, here())
    assert held["optax"] > 1024 * 4000 * 2
    assert held["jaxent"] < held["optax"] / 2
    assert held["allowed"] == 2**20 + 4 * 64 * 4000


@pytest.mark.parametrize("missing", [NotImplementedError, RuntimeError])
def test_without_a_compiler_the_command_says_what_installs_it(monkeypatch, missing):
    def none(**description):
        raise missing

    monkeypatch.setattr(ahead.topologies, "get_topology_desc", none)
    with pytest.raises(SystemExit, match="`make ahead` installs it"):
        ahead.gpus("1x1x1")


def test_each_size_is_varied_alone():
    for size in memory.sizes():
        assert sum(size[key] != x for key, x in memory.MIDDLE.items()) <= 1
    assert len(memory.sizes()) == sum(map(len, memory.VARIED.values())) - 2
