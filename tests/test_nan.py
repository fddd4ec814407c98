"""A NaN is NaN in its row, whatever a compiler does with minima of long rows and large batches."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests import makers
from tests.cases import CASES
from tests.edges import floating, integer

ROWS, CLASSES, HERE = 64, 512, 3
PLAIN = [
    case
    for case in CASES
    # Masks drop elements. This loss takes no probability but the label's.
    if not case.keywords and case.name != "categorical_cross_entropy_with_integer_labels"
]
POISONED = [
    pytest.param(case, i, id=f"{case.name}, {i}") for case in PLAIN for i in case.differentiable
]


@pytest.mark.parametrize(("case", "i"), POISONED)
def test_nan_in_one_row_alone(case, i):
    with mock.patch.object(makers, "V", CLASSES):
        arrays = list(case.make((ROWS,), np.float32))
    batched = i in case.batched
    # A NaN among many numbers, in the row's or the kernel's last axis.
    place = (HERE, 5)[: arrays[i].ndim] if batched else (0, 5)
    arrays[i] = arrays[i].copy()
    arrays[i][place if arrays[i].shape[-1] > 5 or arrays[i].ndim == 1 else (HERE, 0)] = np.nan
    losses = jax.jit(case.function)(*arrays)
    assert losses.shape[0] == ROWS
    want = np.arange(ROWS) == HERE if batched else np.ones(ROWS, bool)
    np.testing.assert_array_equal(np.isnan(losses), want)
    assert np.isnan(jax.jit(lambda *arrays: jnp.mean(case.function(*arrays)))(*arrays))


@pytest.mark.parametrize("classes", [10, CLASSES])
@pytest.mark.parametrize("made", [jax.nn.one_hot, lambda y, n: jnp.arange(n)[None] == y[:, None]])
def test_beside_labels_that_are_made_with_the_loss(made, classes):
    """Of a boolean made a number, times another number, XLA makes a selection."""
    log_p = np.full((ROWS, classes), -np.log(classes), np.float32)
    log_p[HERE, 3] = np.nan

    @jax.jit
    def losses(log_p, y):
        return jaxent.kl_divergence(log_p, made(y, classes).astype(np.float32))

    found = np.isnan(losses(log_p, np.zeros(ROWS, int)))
    np.testing.assert_array_equal(found, np.arange(ROWS) == HERE)


@pytest.mark.parametrize("classes", [10, 4096])
@pytest.mark.parametrize("labels", [np.zeros(ROWS, int), None], ids=["numbers", "distributions"])
def test_in_every_statistic(labels, classes):
    logits = np.zeros((ROWS, classes), np.float32)
    if labels is None:
        labels = np.full_like(logits, 1 / classes)
    logits[HERE, 3] = np.nan
    for made in floating(jax.jit(jaxent.softmax_stats)(logits, labels)):
        np.testing.assert_array_equal(np.isnan(made), np.arange(ROWS) == HERE)


@pytest.mark.parametrize("rows", [ROWS, 512])
@pytest.mark.parametrize("classes", [2, 10, 17, 100])
@pytest.mark.parametrize("loss", [integer, jaxent.softmax_focal_loss])
def test_in_value_and_gradient_of_short_rows(loss, classes, rows):
    logits, labels = np.zeros((rows, classes), np.float32), np.zeros(rows, int)
    logits[HERE, 1] = np.nan
    for kept in (None, np.arange(rows) != HERE):

        def mean(logits, kept=kept):
            return loss(logits, labels, where=kept, reduction="mean")

        value, gradient = jax.jit(jax.value_and_grad(mean))(logits)
        poisoned = (np.arange(rows) == HERE) & (kept is None)
        assert np.isnan(value) == poisoned.any()
        np.testing.assert_array_equal(np.isnan(gradient).all(axis=-1), poisoned)
        np.testing.assert_array_equal(np.isnan(gradient).any(axis=-1), poisoned)
