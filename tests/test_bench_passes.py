"""Which passes a compiled program makes, and the time that is said to be theirs."""

import jax.numpy as jnp
import pytest

from bench.cases import CASES
from bench.passes import Pass, instructions, main, passes, report
from bench.shapes import Shape

SQUARED_ERROR = next(case for case in CASES if case.name == "squared_error")


def test_an_instruction_is_named_by_what_is_computed_in_it():
    program = """
%fused (a: f32[8,4]) -> f32[8,4] {
  %a = f32[8,4]{1,0} parameter(0)
  %exp.1 = f32[8,4]{1,0} exponential(%a)
  ROOT %neg.1 = f32[8,4]{1,0} negate(%exp.1)
}

%summed (b: f32[8,4]) -> f32[8] {
  ROOT %sum.1 = f32[8]{0} reduce(%b), dimensions={1}
}

ENTRY %main.1 (z: f32[8,4]) -> (f32[8]) {
  %z = f32[8,4]{1,0} parameter(0)
  %both = f32[8,4]{1,0} fusion(%z), kind=kLoop, calls=%fused
  %sum = f32[8]{0} fusion(%both), kind=kCustom, calls=%summed, config={"kind":"__ynn_fusion"}
  ROOT %tuple.1 = (f32[8]{0}) tuple(%sum)
}
"""
    found = instructions(program)
    assert found["both"] == ("exponential, negate", "f32[8,4]")
    assert found["sum"] == ("ynn: reduce", "f32[8]")


def test_time_goes_to_the_pass_that_takes_it():
    """A gradient of 200 sines costs more than the rest of the program."""

    def slow(predictions, targets):
        x = predictions
        for _ in range(100):
            x = jnp.sin(x)
        return (x - targets) ** 2

    found = passes(SQUARED_ERROR, slow, Shape("", 64, 1000), "float32", "grad")
    assert "sine" in found[0].operations
    assert found[0].ms > 0.5 * sum(p.ms for p in found)


def test_passes_of_no_weight_are_left_out():
    text = report([Pass("exponential", "f32[8]", 9.5), Pass("add", "f32[]", 0)])
    assert text.startswith("9.50 ms")
    assert "exponential" in text
    assert "add" not in text


@pytest.mark.parametrize(
    ("argv", "said"),
    [("linear_softmax_cross_entropy --shape 4x3", "--shape"), ("nothing", "loss: must be one of")],
)
def test_what_is_not_in_the_table_is_refused(argv, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv.split())
    assert said in capsys.readouterr().err
