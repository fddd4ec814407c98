"""What `where` or a weight of 0 drops contributes nothing, whatever it holds."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests import makers
from tests.cases import CASES
from tests.edges import (
    INF,
    INTEGER_LOSSES,
    NAN,
    WHATEVER,
    T,
    Z,
    binary_losses,
    dense,
    dense_losses,
    floating,
    integer,
    integer_losses,
    naming,
    value_and_grad,
)
from tests.laws import unoptimized

KEEP = np.array([True, False, True])
LABELS = np.array([0, -100, 2])
DROPPING = [case for case in CASES if "where" not in case.keywords]


def each_holding(x):
    """x with each of WHATEVER in its second row, and that."""
    for held in WHATEVER:
        filled = x.copy()
        filled[1] = held
        yield filled, held


@integer_losses
@pytest.mark.parametrize(
    "by",
    [
        {"where": KEEP},
        {"weights": KEEP.astype(np.float32)},
        {"where": np.broadcast_to(KEEP[:, None], Z.shape)},
    ],
    ids=["where", "weights", "classes"],
)
def test_a_dropped_row_contributes_nothing(loss, by):
    @jax.jit
    def results(z):
        mean = functools.partial(loss, labels=LABELS, reduction="mean", **by)
        return value_and_grad(loss, z, LABELS, **by), jax.value_and_grad(mean)(z)

    want, want_gradient = value_and_grad(loss, Z[KEEP], LABELS[KEEP])
    for z, held in each_holding(Z):
        with naming(held):
            (value, gradient), (mean, mean_gradient) = jax.device_get(results(z))
            np.testing.assert_allclose(value[KEEP], want, rtol=1e-6)
            np.testing.assert_allclose(gradient[KEEP], want_gradient, rtol=1e-6)
            assert value[1] == 0
            np.testing.assert_array_equal(gradient[1], 0)
            np.testing.assert_allclose(mean, want.mean(), rtol=1e-6)
            np.testing.assert_allclose(mean_gradient[KEEP], want_gradient / 2, rtol=1e-6)
            np.testing.assert_array_equal(mean_gradient[1], 0)


@dense_losses
def test_a_dropped_row_of_dense_labels(loss):
    mean = functools.partial(loss, where=KEEP, reduction="mean")
    results = jax.jit(jax.value_and_grad(mean, (0, 1)))
    want = loss(Z[KEEP], T[KEEP], reduction="mean")
    for (z, held), (t, _) in zip(each_holding(Z), each_holding(T), strict=True):
        with naming(held):
            value, (gradient, by_labels) = jax.device_get(results(z, t))
            np.testing.assert_allclose(value, want, rtol=1e-6)
            np.testing.assert_array_equal(gradient[1], 0)
            np.testing.assert_array_equal(by_labels[1], 0)
            assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("loss", [dense, integer], ids=["dense", "integer"])
def test_a_dropped_row_has_no_share_in_the_gradients_of_options(loss):
    options = {"label_smoothing": 0.1, "z_loss": 0.1, "class_weights": np.ones(3, np.float32)}

    @jax.jit
    @jax.grad
    def by_options(options, z, labels, weights):
        return loss(z, labels, where=KEEP, weights=weights, reduction="sum", **options)

    labels = LABELS if loss is integer else T

    @jax.grad
    def by_options_of_kept(options):
        return loss(Z[KEEP], labels[KEEP], reduction="sum", **options)

    want = by_options_of_kept(options)
    for z, held in each_holding(Z):
        row = np.array([1, held, 1], np.float32)
        labels = LABELS if loss is integer else np.where(KEEP[:, None], T, np.float32(held))
        with naming(held):
            got = by_options(options, z, labels, row)
            jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), got, want)


@binary_losses
@pytest.mark.parametrize(
    "by", [{"where": KEEP}, {"weights": KEEP.astype(int)}], ids=["where", "weights"]
)
def test_a_dropped_element(loss, by):
    z, y = np.array([1.0, 0, -2], np.float32), np.array([1.0, 0, 0], np.float32)
    results = jax.jit(jax.value_and_grad(lambda z, y: loss(z, y, reduction="mean", **by)))
    want = loss(z[KEEP], y[KEEP], reduction="mean")
    for (held_z, held), (held_y, _) in zip(each_holding(z), each_holding(y), strict=True):
        with naming(held):
            mean, gradient = jax.device_get(results(held_z, held_y))
            np.testing.assert_allclose(mean, want, rtol=1e-6)
            assert gradient[1] == 0
            assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("smoothing", [{}, {"label_smoothing": 0.1}], ids=["", "smoothed"])
def test_a_dropped_class_has_no_weight(smoothing):
    keep = np.broadcast_to(np.array([True, False, True, True]), (3, 4))
    four, three = np.array([1.0, 9, 2, 3]), np.array([1.0, 2, 3])
    want = value_and_grad(integer, Z, np.array([0, 1, 2]), class_weights=three, **smoothing)
    z = np.insert(Z, 1, 5, axis=1)
    value, gradient = value_and_grad(
        integer, z, np.array([0, 2, 3]), where=keep, class_weights=four, **smoothing
    )
    np.testing.assert_allclose(value, want[0], rtol=1e-6)
    np.testing.assert_allclose(np.delete(gradient, 1, 1), want[1], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(gradient[:, 1], 0)


@integer_losses
def test_a_dropped_class_is_as_if_it_were_not_there(loss):
    want, want_gradient = value_and_grad(loss, Z, np.array([0, 1, 2]))
    if loss is INTEGER_LOSSES["class-weighted"]:
        loss = functools.partial(integer, class_weights=np.array([1.0, 9, 2, 3]))
    keep = np.broadcast_to(np.array([True, False, True, True]), (3, 4))
    results = jax.jit(lambda z: value_and_grad(loss, z, np.array([0, 2, 3]), where=keep))
    for held in WHATEVER:
        with naming(held):
            value, gradient = jax.device_get(results(np.insert(Z, 1, held, axis=1)))
            np.testing.assert_allclose(value, want, rtol=1e-6)
            np.testing.assert_allclose(np.delete(gradient, 1, 1), want_gradient, rtol=1e-6)
            np.testing.assert_array_equal(gradient[:, 1], 0)


@pytest.mark.parametrize("smoothing", [{}, {"label_smoothing": 0.1, "z_loss": 0.1}], ids=str)
def test_a_class_number_on_a_dropped_class_costs_infinity_and_moves_no_dropped_class(smoothing):
    keep, label = np.array([[True, False, True]]), np.array([1])
    for loss in (functools.partial(integer, **smoothing), jaxent.softmax_focal_loss):
        value, gradient = value_and_grad(loss, Z[:1], label, where=keep)
        assert value == INF
        assert np.all(np.isfinite(gradient))
        assert gradient[0, 1] == 0
        tangent = jnp.array([[0.0, 1, 0]])
        moved = jax.jvp(lambda z, a=loss, y=label: a(z, y, where=keep), (Z[:1],), (tangent,))[1]
        assert moved == 0


def test_a_class_dropped_from_probabilities_has_probability_0():
    p, keep = np.array([[0.2, 0.3, 0.5]]), np.array([[True, False, True]])
    loss = jaxent.categorical_cross_entropy_with_integer_labels
    assert loss(p, np.array([1]), where=keep) == INF
    np.testing.assert_allclose(loss(p, np.array([2]), where=keep), -np.log([0.5]), rtol=1e-6)


@pytest.mark.parametrize("mass", [0.5, NAN, INF, -100.0])
def test_label_mass_on_a_dropped_class_goes_with_it(mass):
    """So labels that the caller has smoothed over all classes are smoothed over those kept."""
    keep, z, p = np.array([[True, False, True]]), Z[:1], np.array([[0.2, 0.3, 0.5]])
    t = np.array([[0.25, mass, 0.75]])
    for loss, x in ((dense, z), (jaxent.poly_loss_cross_entropy, z)):
        for f in (loss, functools.partial(loss, label_smoothing=0.1, class_weights=np.ones(3))):
            by_labels = jax.grad(lambda t, f=f, x=x: f(x, t, where=keep).sum())(t)
            w = {} if f is loss else {"class_weights": np.ones(2), "label_smoothing": 0.1}
            want = loss(x[:, ::2], t[:, ::2], **w)
            np.testing.assert_allclose(f(x, t, where=keep), want, rtol=1e-6)
            assert by_labels[0, 1] == 0
            assert np.all(np.isfinite(by_labels))
    got = jaxent.categorical_cross_entropy(p, t, where=keep)
    np.testing.assert_allclose(got, -0.25 * np.log(0.2) - 0.75 * np.log(0.5), rtol=1e-6)


@pytest.mark.parametrize("labels", [np.array([1, 2]), np.full((2, 4), 0.25, np.float32)], ids=str)
def test_statistics_of_a_dropped_row_are_0(labels):
    keep, logits = np.array([True, False]), np.float32([[1, 2, 3, 4], [NAN, INF, 0, 1]])
    for x in floating(jaxent.softmax_stats(logits, labels, where=keep)):
        assert x[0] != 0
        assert x[1] == 0


def test_statistics_of_a_dropped_row_of_a_head_are_0():
    x, W = np.float32([[1, 2], [NAN, INF]]), np.float32([[1, 2, 3], [0, -1, 1]])
    keep, bias = np.array([True, False]), np.float32([0, 1, -INF])
    for options in ({}, {"bias": bias}):
        stats = jaxent.linear_softmax_stats(x, W, np.array([1, -100]), where=keep, **options)
        for x_of_rows in floating(stats):
            assert x_of_rows[0] != 0
            assert x_of_rows[1] == 0
        assert stats.predicted[1] == 0


@pytest.mark.parametrize("labels", [np.array([1, 2]), np.full((2, 4), 0.25, np.float32)], ids=str)
def test_statistics_of_a_dropped_row_move_with_nothing(labels):
    """Whatever is made of them, though it be no loss that is dropped, too."""
    logits = jnp.array([[1.0, 2, 3, 4], [jnp.inf, jnp.nan, 0, 1]])

    def total(logits):
        stats = jaxent.softmax_stats(logits, labels, where=jnp.array([True, False]))
        return sum(jnp.sum(x * x) for x in floating(stats))

    gradient = jax.grad(total)(logits)
    assert np.all(gradient[0] != 0)
    np.testing.assert_array_equal(gradient[1], 0)


@unoptimized
@pytest.mark.parametrize("number_of_classes", [10, 200])
@pytest.mark.parametrize("case", DROPPING, ids=lambda case: case.name)
def test_a_dropped_row_has_no_share_in_second_derivatives(case, number_of_classes):
    with mock.patch.object(makers, "V", number_of_classes):
        arrays = case.make(KEEP.shape, np.float32)
    for i in set(case.differentiable) & set(case.batched):
        arrays[i][~KEEP] = NAN
    losses = jax.eval_shape(case.function, *arrays)
    where = np.broadcast_to(KEEP.reshape(-1, *[1] * (losses.ndim - 1)), losses.shape)

    def total(*arrays):
        return jnp.sum(case.function(*arrays, where=where))

    gradient = jax.grad(total, case.differentiable)

    def squared(*arrays):
        return sum(jnp.sum(x * x) for x in gradient(*arrays))

    for second in jax.jit(jax.grad(squared, case.differentiable))(*arrays):
        assert np.all(np.isfinite(second))
