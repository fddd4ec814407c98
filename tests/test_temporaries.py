"""What a compiled mean and its gradient take besides their arguments and results: not over optax's.

On the CPU, for losses of the bench, beside optax's where it has them. A few floats a row are
anyone's.
"""

import functools

import jax
import jax.numpy as jnp
import optax.losses
import pytest

import jaxent
from bench.cases import CASES
from bench.programs import of_mean
from bench.shapes import Shape
from jaxent.core.lower import row_sum

SHAPE = Shape("", 512, 1000)
# The CPU compiles fewer rows with another buffer.
MANY_ROWS = Shape("", 4096, 1000)
NAMES = (
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "squared_error",
    "entropy",
    "categorical_cross_entropy",
    "categorical_cross_entropy_with_integer_labels",
)
SOFTMAX_NAMES = (
    "softmax_cross_entropy_with_integer_labels",
    "softmax_cross_entropy",
    "softmax_focal_loss",
    "poly_loss_cross_entropy",
)
SOFTMAX = [case for case in CASES if case.name in SOFTMAX_NAMES]
ELEMENTWISE = [next(case for case in CASES if case.name == name) for name in NAMES]
BINARY = next(case for case in CASES if case.name == "sigmoid_binary_cross_entropy")
SHARED = [c for c in CASES if hasattr(optax.losses, c.name)]


def few_floats_a_row(shape):
    return 64 * shape.rows


def temporaries(loss, arguments, mode="grad"):
    compiled = jax.jit(of_mean(loss, mode)).lower(*arguments).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("shape", [SHAPE, MANY_ROWS], ids=["few rows", "many rows"])
@pytest.mark.parametrize("mode", ["value", "grad"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", SHARED, ids=lambda case: case.name)
def test_no_more_than_optax(case, dtype, mode, shape):
    arguments = case.arrays(shape, dtype)
    losses = (getattr(module, case.name) for module in (jaxent, optax.losses))
    ours, theirs = (temporaries(loss, arguments, mode) for loss in losses)
    assert ours <= theirs + few_floats_a_row(shape)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", ELEMENTWISE, ids=lambda case: case.name)
def test_sums_of_terms_take_none(case, dtype):
    """Their values are summed as they are made, their gradients made from the arguments."""
    used = temporaries(getattr(jaxent, case.name), case.arrays(SHAPE, dtype))
    assert used <= few_floats_a_row(SHAPE)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "loss",
    [
        jaxent.sigmoid_binary_cross_entropy,
        functools.partial(jaxent.sigmoid_binary_cross_entropy, pos_weight=3.0),
        jaxent.sigmoid_focal_loss,
        functools.partial(jaxent.sigmoid_focal_loss, alpha=0.25, gamma=1.5),
    ],
    ids=["BCE", "pos_weight", "focal", "alpha"],
)
def test_means_of_binary_losses(loss, dtype):
    """The sums of four rows each, and whether one of the four is NaN."""
    arguments = BINARY.arrays(SHAPE, dtype)
    used = temporaries(loss, arguments)
    assert used <= 1.25 * SHAPE.rows * SHAPE.classes + few_floats_a_row(SHAPE)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_mean_of_binary_entropies(dtype):
    """The entropies, before they are summed."""
    logits, _ = BINARY.arrays(SHAPE, dtype)
    used = temporaries(jaxent.sigmoid_entropy, (logits,))
    assert used <= 4 * SHAPE.rows * SHAPE.classes + few_floats_a_row(SHAPE)


def test_the_maximum_of_a_row_is_not_stored_for_each_class():
    """A divergence stores the exponentials of both logits alone."""
    z = jnp.ones((MANY_ROWS.rows, MANY_ROWS.classes))
    used = temporaries(jaxent.softmax_kl_divergence, (z, z))
    assert used <= 2 * z.nbytes + few_floats_a_row(MANY_ROWS)


@pytest.mark.parametrize("classes", [1, 10, 16])
def test_short_rows_are_summed_as_they_are_made(classes):
    def sums_of_selected(z):
        return row_sum(jnp.where(z > 0, jnp.exp(z), 0))

    compiled = jax.jit(sums_of_selected).lower(jnp.zeros((4096, classes))).compile()
    # Of every row, whether it has a NaN.
    assert compiled.memory_analysis().temp_size_in_bytes < 2 * 4096


@pytest.mark.parametrize("case", SOFTMAX, ids=lambda case: case.name)
def test_exponentials_are_in_the_gradient_s_own_memory(case):
    arguments = case.arrays(MANY_ROWS, "float32")
    assert temporaries(getattr(jaxent, case.name), arguments) <= few_floats_a_row(MANY_ROWS)
