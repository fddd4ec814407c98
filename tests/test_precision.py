"""Every loss stays within its bounds of error, in every dtype."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxent
from tests import oracle
from tests.laws import mainly
from tests.precision import CONFIDENT, DTYPES, SOFTMAX, TABLE
from tests.ulps import allowed, measure, ulps


@pytest.mark.parametrize(
    "dtype",
    [pytest.param("float32", marks=pytest.mark.always), *mainly(["bfloat16"], *DTYPES[1:])],
)
@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_error(entry, dtype):
    value, gradient = measure(entry, dtype)
    value_bound, gradient_bound = allowed(entry, dtype)
    assert value <= value_bound
    assert gradient <= gradient_bound


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("margin", [0, 20])
def test_error_at_a_million_classes(dtype, margin):
    """Logits of a few distinct values, of which the oracle counts each once."""
    rng = np.random.default_rng(0)
    z = rng.choice(rng.normal(size=50), 10**6).astype(dtype)
    z[123_456] += np.asarray(margin, z.dtype)
    loss, gradient = jax.value_and_grad(jaxent.softmax_cross_entropy_with_integer_labels)(
        jnp.asarray(z), 123_456
    )
    _, first, counts = np.unique(z.astype(float), return_index=True, return_counts=True)
    with mpmath.workprec(300):
        distinct = oracle.exp(oracle.exact(z[first]))
        total, label = (counts * distinct).sum(), oracle.exp(oracle.exact(z[123_456]))
        bounds = CONFIDENT if margin else SOFTMAX
        assert ulps(loss, -oracle.log(label / total), 0, np.float32) <= bounds[0]
        others = first[first != 123_456]
        want = distinct[first != 123_456] / total
        bound = bounds[1] if dtype == "float32" else 1
        assert ulps(np.asarray(gradient)[others], want, 0, gradient.dtype) <= bound
        assert ulps(gradient[123_456], label / total - 1, 0, gradient.dtype) <= bound


@pytest.mark.parametrize("offset", [1e4, 2.0**22])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_common_shift_changes_nothing(offset, dtype):
    """Logits that the offset leaves exact, up to rounding of the offset itself."""
    shift = np.asarray(offset).astype(dtype)
    z = (shift + np.spacing(shift) * np.array([0, 3, 1])).astype(dtype)
    unshifted = (z.astype(np.float64) - float(shift)).astype(dtype)
    for labels in (np.array(1), np.array([0.25, 0.25, 0.5], np.float32)):
        loss = (
            jaxent.softmax_cross_entropy_with_integer_labels
            if labels.ndim == 0
            else jaxent.softmax_cross_entropy
        )
        got = jax.value_and_grad(loss)(jnp.asarray(z), labels)
        want = jax.value_and_grad(loss)(jnp.asarray(unshifted), labels)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_max_ulp(*(np.asarray(x, np.float32) for x in (g, w)), 1)


def test_float64_labels_make_float64_losses_of_float32_logits():
    with jax.enable_x64(True):
        z, y = np.float32([0.3, -2, 5]), np.array([0.3, 0.7, 1])
        for loss, exact in (
            (jaxent.sigmoid_binary_cross_entropy, oracle.binary_cross_entropy),
            (jaxent.sigmoid_focal_loss, lambda z, y: oracle.binary_focal(z, y, 2)),
        ):
            with mpmath.workprec(300):
                want = exact(oracle.exact(z), oracle.exact(y)).value
                assert ulps(loss(z, y), want, 0, np.float64) <= 16
