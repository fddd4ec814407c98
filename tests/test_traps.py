"""Points where the obvious formula, or the compiler, is known to go wrong."""

import jax
import numpy as np
import pytest

import jaxent
from tests.edges import (
    INF,
    binary,
    integer,
)


@pytest.mark.parametrize("y", [0.0, 0.5, 1.0])
def test_the_gradient_at_a_logit_of_zero(y):
    """max(z, 0) − z·y + log1p(exp(−|z|)) has −0.5 for 0 there at y = 0.5."""
    assert jax.grad(binary)(0.0, y) == 0.5 - y
    assert jax.grad(jax.grad(binary))(0.0, y) == 0.25


def test_float64_log1p_near_its_branch():
    with jax.enable_x64(True):
        p = np.linspace(0.2, 0.6, 4001)
        got = np.asarray(jaxent.binary_cross_entropy(p, np.zeros_like(p)))
        np.testing.assert_array_max_ulp(got, -np.log1p(-p), 4)


def test_subnormals_are_flushed():
    assert jaxent.self_information(np.float32(1e-40)) == INF


def test_losses_are_never_negative():
    z = np.random.default_rng(0).normal(size=(1000, 7)).astype(np.float32) * 30
    assert np.all(integer(z, np.argmax(z, -1)) >= 0)
    assert not np.any(np.signbit(integer(z, np.argmax(z, -1))))
    certain = np.array([1.0, 0.0])
    for loss in (
        jaxent.binary_cross_entropy(certain, certain),
        jaxent.categorical_cross_entropy(certain, certain),
        jaxent.categorical_cross_entropy_with_integer_labels(certain, 0),
        jaxent.entropy(certain),
        jaxent.self_information(np.ones(1)),
    ):
        assert np.all(loss == 0)
        assert not np.any(np.signbit(loss))


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4])
def test_close_distributions_have_their_true_divergence(gap):
    """KL of logits (gap, 0) from (0, 0) is gap²/8 to leading order."""
    z, target = np.array([gap, 0.0], np.float32), np.zeros(2, np.float32)
    np.testing.assert_allclose(
        jaxent.softmax_kl_divergence(z, target), np.float32(gap) ** 2 / 8, rtol=1e-5
    )
