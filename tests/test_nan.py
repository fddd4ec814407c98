"""A NaN is NaN in its row, whatever a compiler does with minima of long rows and large batches."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import makers
from tests.cases import CASES

ROWS, CLASSES, HERE = 64, 512, 3
PLAIN = [
    case
    for case in CASES
    if "options" not in case.name
    and "dropped" not in case.name
    # Drops elements; takes no probability but the label's.
    and case.name not in ("reduce_losses", "categorical_cross_entropy_with_integer_labels")
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
