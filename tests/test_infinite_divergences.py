"""Entropies and divergences at their ends: ±inf, 0 · log 0, NaN."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxent
from tests.edges import INF, NAN, Z, jvp, value_and_grad

ROW = np.array([[1.0, -INF, 2.0]], np.float32)


def test_entropies():
    np.testing.assert_array_equal(jaxent.sigmoid_entropy(np.array([INF, -INF])), 0)
    np.testing.assert_array_equal(jax.grad(jaxent.sigmoid_entropy)(INF), 0)
    value, gradient = value_and_grad(jaxent.softmax_entropy, ROW)
    want, want_gradient = value_and_grad(jaxent.softmax_entropy, ROW[:, [0, 2]])
    np.testing.assert_array_equal(value, want)
    np.testing.assert_array_equal(gradient[0, [0, 2]], want_gradient[0])
    assert gradient[0, 1] == 0


def test_zero_times_log_zero_from_probabilities():
    p = np.array([0.0, 1.0, 0.3], np.float32)
    for epsilon in (0.0, 1e-7):
        value, gradient = value_and_grad(
            jaxent.binary_cross_entropy, p, np.array([0, 1, 1]), epsilon=epsilon
        )
        np.testing.assert_allclose(value, [0, 0, -np.log(0.3)], rtol=1e-6)
        assert np.all(np.isfinite(gradient))
    by_labels = jax.grad(lambda y: jaxent.binary_cross_entropy(p[2], y, epsilon=0.0))(0.3)
    np.testing.assert_allclose(by_labels, np.log(0.7) - np.log(0.3), rtol=1e-5)
    t = np.array([0.0, 0.5, 0.5], np.float32)
    for loss in (jaxent.categorical_cross_entropy, jaxent.jensen_shannon_divergence):
        value, gradient = value_and_grad(loss, np.array([0, 0.4, 0.6], np.float32), t)
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))
    value, gradient = value_and_grad(jaxent.entropy, t)
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    assert np.all(np.isfinite(gradient))


def test_zero_times_log_zero_in_divergences():
    t = np.array([0.0, 0.5, 0.5], np.float32)
    with np.errstate(divide="ignore"):
        log_t = np.log(t)
    for targets, loss in (
        (t, jaxent.kl_divergence),
        (log_t, jaxent.kl_divergence_with_log_targets),
        (t, jaxent.generalized_kl_divergence),
        (log_t, jaxent.softmax_kl_divergence),
    ):
        value, gradient = value_and_grad(loss, log_t, targets)
        np.testing.assert_allclose(value, 0, atol=1e-7)
        assert np.all(np.isfinite(gradient))
        assert np.isfinite(jvp(loss, log_t, targets))


BETAS = (0, 0.3, 1, np.float32(0.3))
DIVERGENCES = {
    "KL": jaxent.softmax_kl_divergence,
    **{
        f"JSD {beta!r}": functools.partial(jaxent.softmax_jensen_shannon_divergence, beta=beta)
        for beta in BETAS
    },
}
divergences = pytest.mark.parametrize("loss", DIVERGENCES.values(), ids=DIVERGENCES)


@divergences
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_class_at_minus_infinity_in_both_is_not_there_at_any_temperature(loss, temperature):
    z, target_z = np.float32([1, -INF, 2]), np.float32([0.5, -INF, -1])
    finite = np.array([0, 2])

    def divergence(z, target_z, temperature):
        return loss(z, target_z, temperature=temperature)

    derive = jax.value_and_grad(divergence, (0, 1, 2))
    value, gradients = derive(z, target_z, temperature)
    want, (by_z, by_target_z, by_temperature) = derive(z[finite], target_z[finite], temperature)
    np.testing.assert_allclose(value, want, rtol=1e-6)
    for got, by in zip(gradients, (by_z, by_target_z), strict=False):
        np.testing.assert_allclose(got, [by[0], 0, by[1]], rtol=1e-6)
    np.testing.assert_allclose(gradients[2], by_temperature, rtol=1e-6)


@divergences
@pytest.mark.parametrize("held", [[-INF] * 3, [INF, 0, 0], [NAN, 0, 0]], ids=str)
@pytest.mark.parametrize("which", [0, 1])
def test_a_divergence_without_a_softmax_is_nan_alone(loss, held, which):
    pair = [Z.copy(), Z[::-1].copy()]
    pair[which][1] = held
    np.testing.assert_array_equal(np.isnan(loss(*pair)), [False, True, False])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("beta", BETAS)
def test_a_class_that_one_of_both_predicts_has_a_finite_mixture(which, beta):
    """KL(t ‖ m) and KL(p ‖ m) are then finite. At β of 0 and 1 there is no mixture."""
    pair = [np.float64([1, 0, 2]), np.float64([1, 0, 2])]
    pair[which][1] = -INF
    p, t = (np.exp(z) / np.exp(z).sum() for z in pair)
    with np.errstate(divide="ignore", invalid="ignore"):

        def kl(a, b):
            return np.where(a == 0, 0, a * np.log(a / b)).sum()

        m = beta * t + (1 - beta) * p
        want = beta * kl(t, m) + (1 - beta) * kl(p, m)
        want = {0: kl(t, p), 1: kl(p, t)}.get(beta, want)

    def loss(z, target_z):
        return jaxent.softmax_jensen_shannon_divergence(z, target_z, beta=beta)

    value, gradients = jax.value_and_grad(loss, (0, 1))(*map(np.float32, pair))
    np.testing.assert_allclose(value, want, rtol=1e-6)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("beta", [1e-12, 1e-8, 1e-4, 0.9999])
def test_a_small_share_of_the_mixture_keeps_its_digits(beta):
    beta = np.float32(beta)
    with mpmath.workdps(60):
        share = mpmath.mpf(float(beta))
        p = [1 / (1 + mpmath.exp(-30)), 1 / (1 + mpmath.exp(30))]
        t = p[::-1]
        m = [share * a + (1 - share) * b for a, b in zip(t, p, strict=True)]

        def kl(a):
            return sum(x * mpmath.log(x / y) for x, y in zip(a, m, strict=True))

        want = float(share * kl(t) + (1 - share) * kl(p))
    z, target_z = np.float32([30, 0]), np.float32([0, 30])
    got = jaxent.softmax_jensen_shannon_divergence(z, target_z, beta=beta)
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_class_only_the_student_predicts_at_any_temperature(temperature):
    """−log(1 − p) for a student that gives the class the probability p."""
    z, target_z = np.float32([1, 0, 2]), np.float32([1, -INF, 2])

    def divergence(temperature):
        return jaxent.softmax_kl_divergence(z, target_z, temperature=temperature)

    def want(temperature):
        return -jnp.log1p(-jax.nn.softmax(z / temperature)[1])

    both = (jax.value_and_grad(f)(temperature) for f in (divergence, want))
    np.testing.assert_allclose(*both, rtol=1e-5)
    assert jaxent.softmax_kl_divergence(target_z, z, temperature=temperature) == INF


@pytest.mark.parametrize("log_targets", [False, True])
def test_target_mass_where_nothing_is_predicted_diverges(log_targets):
    log_p, t = np.array([-INF, 0.0], np.float32), np.array([0.5, 0.5], np.float32)
    if log_targets:
        assert jaxent.kl_divergence_with_log_targets(log_p, np.log(t)) == INF
    else:
        assert jaxent.kl_divergence(log_p, t) == INF
    assert jaxent.softmax_kl_divergence(log_p, np.log(t)) == INF
