"""Logits and probabilities at their ends: ±inf, 0 · log 0, NaN."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxent
from jaxent.core.lower import cpu
from jaxent.core.xlogy import weigh
from tests.edges import (
    BINARY_LOSSES,
    INF,
    NAN,
    T,
    Z,
    binary,
    binary_losses,
    dense,
    dense_losses,
    focal,
    integer,
    integer_losses,
    jvp,
    value_and_grad,
)

ROW = np.array([[1.0, -INF, 2.0]], np.float32)


@pytest.mark.parametrize("loss", [integer, jaxent.softmax_focal_loss])
def test_a_class_at_minus_infinity_without_label_mass(loss):
    value, gradient = value_and_grad(loss, ROW, np.array([2]))
    want, want_gradient = value_and_grad(loss, ROW[:, [0, 2]], np.array([1]))
    np.testing.assert_array_equal(value, want)
    np.testing.assert_array_equal(gradient[0, [0, 2]], want_gradient[0])
    assert gradient[0, 1] == 0
    assert np.isfinite(jvp(loss, ROW, np.array([2])))


def test_a_class_at_minus_infinity_without_dense_label_mass():
    t = np.array([[0.25, 0, 0.75]], np.float32)
    for loss in (dense, jaxent.poly_loss_cross_entropy):
        (gradient, by_labels) = jax.grad(lambda *a, f=loss: f(*a).sum(), (0, 1))(
            jnp.asarray(ROW), jnp.asarray(t)
        )
        want = loss(ROW[:, [0, 2]], t[:, [0, 2]])
        np.testing.assert_allclose(loss(ROW, t), want, rtol=1e-6)
        assert gradient[0, 1] == 0
        assert np.all(np.isfinite(gradient))
        assert np.all(np.isfinite(by_labels))
        assert np.isfinite(jvp(loss, ROW, t))


@pytest.mark.parametrize("labels", [np.array([2]), np.array([[0, 0, 1]], np.float32)])
def test_a_class_at_minus_infinity_gives_class_weights_finite_gradients(labels):
    loss = integer if labels.ndim == 1 else dense
    by_weights = jax.grad(lambda w: loss(ROW, labels, class_weights=w, label_smoothing=0.0).sum())(
        jnp.ones(3)
    )
    np.testing.assert_allclose(by_weights, [0, 0, np.log1p(np.exp(-1))], rtol=1e-6)


@integer_losses
def test_label_mass_on_minus_infinity_costs_infinity(loss):
    value, gradient = value_and_grad(loss, ROW, np.array([1]))
    assert value == INF
    assert np.all(np.isfinite(gradient))


@dense_losses
def test_dense_label_mass_on_minus_infinity_costs_infinity(loss):
    value, gradient = value_and_grad(loss, ROW, np.full((1, 3), 1 / 3, np.float32))
    assert value == INF
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("amount", [0.0, 1.0])
def test_smoothing_by_nothing_or_all_leaves_no_trace_of_the_other(amount):
    loss = integer(ROW, np.array([2]), label_smoothing=amount)
    assert np.isfinite(loss) == (amount == 0)


@integer_losses
@pytest.mark.parametrize("held", [[-INF] * 3, [INF, 0, 0], [NAN, 0, 0]], ids=str)
def test_a_row_without_a_softmax_is_nan_alone(loss, held):
    z = Z.copy()
    z[1] = held
    value = loss(z, np.array([0, 1, 2]))
    assert np.isnan(value[1])
    np.testing.assert_array_equal(np.delete(value, 1), loss(Z[[0, 2]], np.array([0, 2])))


@dense_losses
@pytest.mark.parametrize("held", [[-INF] * 3, [INF, 0, 0], [NAN, 0, 0]], ids=str)
def test_a_dense_row_without_a_softmax_is_nan_alone(loss, held):
    z = Z.copy()
    z[1] = held
    np.testing.assert_array_equal(np.isnan(loss(z, T)), [False, True, False])


@binary_losses
@pytest.mark.parametrize("z", [INF, -INF, 1e4, -1e4, 1e38, -1e38])
def test_binary_right_is_zero_and_wrong_is_infinite(loss, z):
    z = np.float32(z)
    right, wrong = (z > 0) * 1.0, (z < 0) * 1.0
    value, gradient = value_and_grad(loss, z, right)
    assert value == 0
    assert gradient == 0
    value, gradient = value_and_grad(loss, z, wrong)
    slope = 3 if loss is BINARY_LOSSES["BCE with pos_weight"] and wrong else 1
    np.testing.assert_allclose(value, slope * abs(z), rtol=1e-6)
    np.testing.assert_allclose(gradient, slope * np.sign(z), rtol=1e-6)
    np.testing.assert_allclose(jvp(loss, z, wrong), slope * np.sign(z), rtol=1e-6)
    assert jvp(loss, z, right) == 0


@binary_losses
@pytest.mark.parametrize("z", [INF, -INF])
@pytest.mark.parametrize("y", [1e-30, 0.5, 0.95])
def test_a_label_between_is_wrong_at_either_infinity(loss, z, y):
    value, gradient = value_and_grad(loss, z, y)
    assert value == INF
    assert np.isfinite(gradient)


@pytest.mark.parametrize("y", [0.0, 1e-30, 0.5, 0.95, 1.0])
def test_the_gradient_at_infinite_logits(y):
    for weight in (0.5, 3.0):
        slope = jax.grad(lambda z, w=weight: binary(z, y, pos_weight=w))
        np.testing.assert_allclose(slope(INF), 1 - y, rtol=1e-6)
        np.testing.assert_allclose(slope(-INF), -weight * y, rtol=1e-6)


@pytest.mark.parametrize("z", [INF, -INF])
@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("loss", [binary, focal], ids=["BCE", "focal"])
def test_a_smoothed_label_is_wrong_at_either_infinity(loss, z, y):
    assert loss(z, y, label_smoothing=0.1) == INF


@pytest.mark.parametrize("weight", [0.0, 1e-3, 0.5, 1.0, 100.0])
def test_a_wrong_positive_at_infinity_costs_infinity_whatever_its_weight(weight):
    """But for a weight of 0, of which it is absent."""
    value, gradient = value_and_grad(binary, -INF, 1.0, pos_weight=weight)
    assert value == (INF if weight else 0)
    assert gradient == -weight
    assert binary(INF, 0.0, pos_weight=weight) == INF
    assert binary(np.float32(3e38), 0.0, pos_weight=weight) == np.float32(3e38)


@pytest.mark.parametrize("z", [INF, -INF, 1e38])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_an_infinite_focal_loss_has_no_nan_in_its_gradient_by_alpha(z, y):
    by_alpha = jax.grad(lambda alpha: focal(z, y, alpha=alpha))(0.25)
    right = (z > 0) == (y == 1)
    np.testing.assert_allclose(by_alpha, 0 if right else np.copysign(abs(z), y - 0.5))


@pytest.mark.parametrize("z", [INF, -INF])
@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_a_focal_loss_at_infinity_does_not_move_with_gamma(z, y, alpha):
    """The probability missed is 0 or 1 there, and so are all its powers."""
    by_gamma = jax.grad(lambda gamma: focal(z, y, alpha=alpha, gamma=gamma))
    assert [by_gamma(gamma) for gamma in (0.0, 0.5, 1.0, 2.0)] == [0, 0, 0, 0]


@pytest.mark.parametrize("gamma_neg", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("z", [-2.0, 0.5, 2.0])
def test_the_derivative_by_a_margin_of_0_is_the_limit(z, gamma_neg):
    def loss(margin):
        return jaxent.sigmoid_asymmetric_loss(z, 0.0, gamma_neg=gamma_neg, margin=margin)

    at_0, beside = (jax.grad(loss)(np.float32(margin)) for margin in (0, 1e-6))
    np.testing.assert_allclose(at_0, beside, rtol=1e-3)


@pytest.mark.parametrize("z", [INF, 1e4, 1e38])
@pytest.mark.parametrize("margin", [0.05, 0.5])
def test_a_margin_bounds_the_cost_of_a_wrong_negative(z, margin):
    """It leaves the probability 1 − margin, so the loss is flat there."""
    loss = functools.partial(jaxent.sigmoid_asymmetric_loss, gamma_neg=3.0, margin=margin)
    value, gradient = value_and_grad(loss, np.float32(z), 0.0)
    np.testing.assert_allclose(value, -((1 - margin) ** 3) * np.log(margin), rtol=1e-5)
    assert gradient == 0
    assert jvp(loss, np.float32(z), 0.0) == 0
    value, gradient = value_and_grad(loss, -np.float32(z), 0.0)
    assert (value, gradient) == (0, 0)


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


@pytest.mark.parametrize("held", [INF, -INF, NAN])
def test_a_query_without_similarities_is_nan_alone(held):
    keys = np.eye(3, 2, dtype=np.float32) + 1
    queries = keys.copy()
    queries[1] = held
    for loss in (
        functools.partial(jaxent.info_nce, temperature=0.5),
        functools.partial(jaxent.info_nce, temperature=0.5, positives=np.array([[0], [1], [2]])),
    ):
        np.testing.assert_array_equal(np.isnan(loss(queries, keys)), [False, True, False])
    for sign in (1, -1):
        costs = jaxent.siglip_loss(queries, sign * keys, scale=1.0, bias=0.0)
        np.testing.assert_array_equal(np.isfinite(costs), [True, False, True])


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_as_summed_are_weights(dtype):
    """Compiled, too, where constants are folded."""
    with jax.enable_x64(True):
        tiny, largest = np.finfo(dtype).tiny, np.finfo(dtype).max
        w = np.array([0, tiny, 1e-30, 0.5, 1, 2, -1, largest], dtype)[:, None]
        x = np.array([[0, tiny, 1, -3, largest, INF, NAN]], dtype)
        got, want = jax.jit(cpu.weigh)(w, x), weigh(w, x)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, want)
