"""Points where the obvious formula, or the compiler, is known to go wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests.edges import (
    INF,
    binary,
    dense,
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


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("distance", [1e-2, 1e-4])
def test_close_distributions_of_a_wide_range_do_too(distance, temperature):
    """Rounded quotients of logits near 100 are farther apart than these distributions are."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=(6, 50)).astype(np.float32) * 50
    z = target + rng.normal(size=target.shape).astype(np.float32) * np.float32(distance)
    got = jaxent.softmax_kl_divergence(z, target, temperature=temperature)
    log_p, log_t = (log_softmax(x.astype(np.longdouble) / temperature) for x in (z, target))
    x = log_t - log_p
    want = (np.exp(log_t) * (x + np.expm1(-x))).sum(-1)
    np.testing.assert_allclose(got, want.astype(float), rtol=3e-5, atol=1e-37)


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def test_a_divergence_made_of_what_the_target_all_but_lacks():
    z, target = np.float32([0, -73]), np.float32([0, -88])
    np.testing.assert_allclose(
        jaxent.softmax_kl_divergence(z, target), np.exp(-73) - np.exp(-88), rtol=1e-5
    )


@pytest.mark.parametrize("loss", [dense, jaxent.poly_loss_cross_entropy], ids=["CE", "poly"])
def test_a_gap_beyond_all_numbers_is_infinite_unless_weighed_by_0(loss):
    z = np.float32([3e38, -3e38, 0])
    assert loss(z, np.float32([0, 1, 0])) == INF
    assert loss(z, np.float32([0.5, 1e-30, 0.5])) == INF
    assert loss(z, np.float32([1, 0, 0])) == 0
    assert integer(z, 1) == INF


@pytest.mark.parametrize("z", [1.8e38, -1.8e38, 3.4e38, -3.4e38])
@pytest.mark.parametrize("gamma", [1.0, 2.0, 5.0])
def test_the_gradient_of_focal_losses_at_the_largest_logits(z, gamma):
    y = float(z < 0)
    slope = jax.grad(lambda z: jaxent.sigmoid_focal_loss(z, y, gamma=gamma))(z)
    assert slope == np.sign(z)
    row = jax.grad(lambda x: jaxent.softmax_focal_loss(x, 1, gamma=gamma))
    np.testing.assert_array_equal(row(jnp.array([abs(z), 0.0])), [1, -1])


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4])
def test_close_distributions_have_their_true_divergence(gap):
    """KL of logits (gap, 0) from (0, 0) is gap²/8 to leading order."""
    z, target = np.array([gap, 0.0], np.float32), np.zeros(2, np.float32)
    np.testing.assert_allclose(
        jaxent.softmax_kl_divergence(z, target), np.float32(gap) ** 2 / 8, rtol=1e-5
    )


def test_boolean_labels_with_rows_dropped_under_strict_promotion():
    with jax.numpy_dtype_promotion("strict"):
        loss = dense(np.ones((2, 3), np.float32), np.eye(2, 3) > 0, where=np.array([True, False]))
    np.testing.assert_allclose(loss, [np.log(3), 0], rtol=1e-6)


def test_no_label_is_too_small_to_be_wrong_at_infinity():
    tiny = np.float32(1e-20)
    assert binary(np.float32(-INF), tiny, pos_weight=tiny) == INF
