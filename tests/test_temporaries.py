"""What a compiled mean and its gradient take besides their arguments and results: not over optax's.

On the CPU, for losses of the bench that optax has. A few floats a row are anyone's.
"""

import jax
import optax.losses
import pytest

import jaxent
from bench.cases import CASES
from bench.programs import of_mean
from bench.shapes import Shape

SHAPE = Shape("", 512, 1000)
A_FEW_FLOATS_A_ROW = 64 * SHAPE.rows
SHARED = [c for c in CASES if hasattr(optax.losses, c.name)]


def temporaries(loss, arguments):
    compiled = jax.jit(of_mean(loss, "grad")).lower(*arguments).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", SHARED, ids=lambda case: case.name)
def test_no_more_than_optax(case, dtype):
    arguments = case.arguments(SHAPE, dtype)
    ours, theirs = (temporaries(getattr(m, case.name), arguments) for m in (jaxent, optax.losses))
    assert ours <= theirs + A_FEW_FLOATS_A_ROW


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["sigmoid_binary_cross_entropy", "squared_error"])
def test_elementwise_losses_take_none(name, dtype):
    """Their gradients are made from the arguments, in a pass of their own."""
    (case,) = (case for case in CASES if case.name == name)
    used = temporaries(getattr(jaxent, name), case.arguments(SHAPE, dtype))
    assert used <= A_FEW_FLOATS_A_ROW
