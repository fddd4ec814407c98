"""Dropped rows in the forms that accelerators compute, which a CPU runs here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

from jaxent.core.dense import target_stats, unlabelled_stats
from jaxent.core.integer import integer_stats
from jaxent.core.rows import Rows

LABELS = {
    "integer": lambda rows: integer_stats(rows, jnp.zeros(3, int)).nll,
    "distribution": lambda rows: target_stats(rows, jnp.full((3, 4), 0.25), miss=True).nll,
    "none": lambda rows: unlabelled_stats(rows, entropy=True).entropy,
}


@pytest.mark.parametrize("masked", [False, True], ids=["all classes", "a mask of classes"])
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.usefixtures("as_on_accelerators")
def test_an_accelerator_drops_rows_of_any_numbers(label, masked):
    z = jnp.array([[1.0, 2, 3, 4], [jnp.nan, jnp.inf, -jnp.inf, 0], [-jnp.inf] * 4])
    kept, classes = jnp.array([True, False, False]), jnp.ones(z.shape, bool) if masked else None

    def total(z):
        return jnp.sum(LABELS[label](Rows(z, classes, kept)))

    both = checkify.checkify(jax.jit(jax.value_and_grad(total)), errors=checkify.nan_checks)
    error, (value, gradient) = both(z)
    if not masked:
        error.throw()
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient[1:], 0)
