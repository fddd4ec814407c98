"""Logits and probabilities at their ends: ±inf, 0 · log 0, NaN."""

import functools

import jax
import jax.numpy as jnp
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
