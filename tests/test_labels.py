"""Integer labels: never cast to a float, never wrapped, and NaN in their row alone if no class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests.edges import (
    INF,
    NAN,
    Z,
    integer,
    integer_losses,
    value_and_grad,
)


@integer_losses
@pytest.mark.parametrize(
    "label",
    [
        np.int32(-1), np.int32(3), np.int32(-100), np.uint8(255), np.int8(-128),
        np.int64(2**63 - 1), np.int64(2**32 + 1), np.uint64(2**64 - 1), np.uint32(2**31 + 1),
    ],
    ids=str,
)  # fmt: skip
def test_out_of_range_is_nan_in_that_row_alone_with_no_gradient(loss, label):
    labels = np.array([0, label, 2], label.dtype)
    value, gradient = value_and_grad(loss, Z, labels)
    clean, clean_gradient = value_and_grad(loss, Z, np.array([0, 1, 2]))
    assert np.isnan(value[1])
    np.testing.assert_array_equal(gradient[1], 0)
    np.testing.assert_array_equal(np.delete(value, 1), np.delete(clean, 1))
    np.testing.assert_array_equal(np.delete(gradient, 1, 0), np.delete(clean_gradient, 1, 0))


@integer_losses
@pytest.mark.parametrize("held", [NAN, INF, -INF])
def test_no_gradient_whatever_the_row_holds(loss, held):
    z = Z.copy()
    z[1] = held
    np.testing.assert_array_equal(value_and_grad(loss, z, np.array([0, -1, 2]))[1][1], 0)


@integer_losses
def test_masking_after_the_loss_is_safe(loss):
    labels = np.array([0, -100, 2])

    def masked(z):
        return jnp.where(labels >= 0, loss(z, labels), 0.0).sum()

    value, gradient = jax.value_and_grad(masked)(jnp.asarray(Z))
    want = value_and_grad(loss, Z[[0, 2]], labels[[0, 2]])
    np.testing.assert_allclose(value, want[0].sum(), rtol=1e-6)
    np.testing.assert_allclose(gradient[np.array([0, 2])], want[1], rtol=1e-6)
    np.testing.assert_array_equal(gradient[1], 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label_smoothing", 0.1),
        ("z_loss", 0.1),
        ("class_weights", np.ones(3)),
        ("weights", np.ones(3)),
    ],
)
def test_masking_after_the_loss_is_safe_for_options_too(name, value):
    labels = np.array([0, -100, 2])

    def masked(option):
        return jnp.where(labels >= 0, integer(Z, labels, **{name: option}), 0.0).sum()

    assert np.all(np.isfinite(jax.grad(masked)(jnp.asarray(value))))


def test_statistics_of_dropped_rows_are_finite():
    keep = np.array([True, False, True])
    stats = jaxent.softmax_stats(Z, np.array([0, -100, -1]), where=keep)
    np.testing.assert_array_equal(np.isnan(stats.nll), [False, False, True])
    np.testing.assert_array_equal(np.isnan(stats.miss), [False, False, True])


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_narrow_labels_do_not_wrap(dtype):
    """At 1000 classes an iota in uint8 makes four ones for label 44."""
    z = np.random.default_rng(0).normal(size=(1, 1000)).astype(np.float32)
    got = value_and_grad(integer, z, np.array([44], dtype))
    want = value_and_grad(integer, z, np.array([44]))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


def test_large_classes_are_not_rounded():
    """In bfloat16 class 777 would be 776."""
    z = np.zeros((1, 1000), jnp.bfloat16)
    z[0, 777] = 10
    assert integer(z, np.array([777]))[0] < 0.1 < integer(z, np.array([776]))[0]


def test_scalars_and_numpy_are_accepted():
    want = integer(jnp.asarray(Z[0]), jnp.asarray(2))
    assert integer(Z[0], 2) == want
    assert integer(Z[0], np.int64(2)) == want
    assert np.isnan(integer(Z[0], 2**70))


@integer_losses
@pytest.mark.parametrize("label", range(3))
@pytest.mark.parametrize("largest", range(3))
def test_second_derivatives_beside_the_largest_class(loss, label, largest):
    """A class at the maximum, whose exponential is 1, at a distance of 1 from the label."""
    z = jnp.array([1.0, 0.5, -2.0]).at[largest].set(3.0)
    slopes = jax.grad(loss)
    step = 2.0**-7
    for j, direction in enumerate(step * jnp.eye(len(z))):
        differences = (slopes(z + direction, label) - slopes(z - direction, label)) / (2 * step)
        np.testing.assert_allclose(jax.hessian(loss)(z, label)[j], differences, atol=1e-4)


W = np.eye(3, dtype=np.float32)
OF_FEW_CLASSES = {
    "held": lambda z, y, q: integer(z, y, label_probs=q),
    "smoothed": lambda z, y, q: integer(z, y, label_probs=q, label_smoothing=0.1),
    "log-probs": lambda z, y, q: jaxent.softmax_log_probs(z, y, label_probs=q),
    "linear": lambda z, y, q: jaxent.linear_softmax_cross_entropy(z, W, y, label_probs=q),
}


@pytest.mark.parametrize("loss", OF_FEW_CLASSES.values(), ids=OF_FEW_CLASSES)
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_one_of_few_classes_out_of_range_is_nan_in_that_row_alone(loss, dtype):
    labels, probs = np.array([[0, 1], [2, -1], [1, 2]], dtype), np.full((3, 2), 0.5, np.float32)
    clean, clean_gradient = value_and_grad(loss, Z, labels, probs)
    assert np.all(np.isfinite(clean))
    for wrong in (3, -2, 127):
        labels[1, 1] = wrong
        value, gradient = value_and_grad(loss, Z, labels, probs)
        np.testing.assert_array_equal(np.isnan(value), [False, True, False])
        np.testing.assert_array_equal(gradient[1], 0)
        np.testing.assert_array_equal(np.delete(value, 1), np.delete(clean, 1))
        np.testing.assert_array_equal(np.delete(gradient, 1, 0), np.delete(clean_gradient, 1, 0))


def test_few_classes_are_a_distribution_over_all():
    """A class that is named twice has both probabilities, and −1 has none."""
    labels, probs = np.array([[0, 0, -1]]), np.array([[0.25, 0.5, 9.0]], np.float32)
    want = jaxent.softmax_cross_entropy(Z[:1], np.array([[0.75, 0, 0]], np.float32))
    np.testing.assert_allclose(integer(Z[:1], labels, label_probs=probs), want, rtol=1e-6)


def test_a_large_unsigned_label_is_no_padding():
    labels = np.array([[0, 2**32 - 1], [0, 1]], np.uint32)
    got = jaxent.softmax_log_probs(
        np.zeros((2, 4), np.float32), labels, label_probs=np.ones((2, 2), np.float32)
    )
    np.testing.assert_array_equal(np.isnan(got), [True, False])
