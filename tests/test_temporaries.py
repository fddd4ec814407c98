"""What a compiled mean and its gradient take besides their arguments and results: not over optax's.

On the CPU, for losses of the bench that optax has. A few floats a row are anyone's.
"""

import functools

import jax
import optax.losses
import pytest

import jaxent
from bench.cases import CASES
from bench.programs import of_mean
from bench.shapes import Shape

SHAPE = Shape("", 512, 1000)
# The CPU compiles fewer rows with another buffer.
MANY_ROWS = Shape("", 4096, 1000)
A_FEW_FLOATS_A_ROW = 64 * SHAPE.rows
NAMES = (
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "squared_error",
)
SOFTMAX = [case for case in CASES if case.name.startswith(("softmax", "poly"))]
ELEMENTWISE = [next(case for case in CASES if case.name == name) for name in NAMES]
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
@pytest.mark.parametrize("case", ELEMENTWISE, ids=lambda case: case.name)
def test_sums_of_terms_take_none(case, dtype):
    """Their values are summed as they are made, their gradients made from the arguments."""
    used = temporaries(getattr(jaxent, case.name), case.arguments(SHAPE, dtype))
    assert used <= A_FEW_FLOATS_A_ROW


@pytest.mark.parametrize(
    "loss",
    [
        functools.partial(jaxent.sigmoid_binary_cross_entropy, pos_weight=3.0),
        functools.partial(jaxent.sigmoid_focal_loss, alpha=0.25, gamma=1.5),
    ],
    ids=["pos_weight", "alpha"],
)
def test_nor_with_options(loss):
    (case,) = (case for case in CASES if case.name == "sigmoid_focal_loss")
    assert temporaries(loss, case.arguments(SHAPE, "float32")) <= A_FEW_FLOATS_A_ROW


@pytest.mark.parametrize("case", SOFTMAX, ids=lambda case: case.name)
def test_exponentials_are_in_the_gradient_s_own_memory(case):
    arguments = case.arguments(MANY_ROWS, "float32")
    assert temporaries(getattr(jaxent, case.name), arguments) <= 64 * MANY_ROWS.rows
