"""Numbers that textbooks, tutorials and other libraries' documentation print."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

log = np.log

# Predictions and labels of the element-by-element example.
P = np.array([[0.4963, 0.7682, 0.0885], [0.1320, 0.3074, 0.6341]])
Y = np.array([[0, 0, 1], [1, 0, 0]])
ELEMENTS = np.array([[0.6857, 1.4620, 2.4250], [2.0247, 0.3673, 1.0053]])
# Both are printed to four digits, and the rounding of a probability p moves −log p by 5e-5 / p.
ROUNDING = 5e-5 + 5e-5 / np.where(Y == 1, P, 1 - P)
Z = log(P / (1 - P))
W = np.array([[1, 2, 3], [0.5, 1, 4]])

LOGITS = np.array([[0.5, 0.7, 0.3], [0.8, 0.2, 0.9]])
FIVE = np.array([0, 0, 0, 1, 0])
THREE = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]])


# These return calls, so the tables below compute nothing when they are imported.
def binary(probs, labels, **options):
    return partial(jaxent.binary_cross_entropy, np.array(probs), np.array(labels), **options)


def categorical(probs, labels, **options):
    return partial(jaxent.categorical_cross_entropy, np.array(probs), np.array(labels), **options)


def binary_from_logits(labels):
    return partial(jaxent.sigmoid_binary_cross_entropy, LOGITS, np.full(LOGITS.shape, labels))


def focal(probs, labels, alpha, gamma):
    return partial(jaxent.binary_focal_cross_entropy, probs, labels, alpha=alpha, gamma=gamma)


ALPHA_T = np.where(Y == 1, 0.25, 0.75)
FACTOR = (1 - np.exp(-ELEMENTS)) ** 2  # (1 − p_t)^2 with p_t = exp(−BCE)

TABLE = {
    "BCE of a coin": (binary([0.5], [0]), [0.6931472]),
    "BCE of four, mean": (
        binary([0.5, 0.8, 0.3, 0.5], [0, 1, 0, 1], reduction="mean"),
        0.4915280,
    ),
    "two samples as binary": (
        binary([0.2, 0.6], [0, 1], reduction="mean"),
        (-log(0.8) - log(0.6)) / 2,
    ),
    "the same two as two classes": (
        categorical([[0.8, 0.2], [0.4, 0.6]], [[1, 0], [0, 1]], reduction="mean"),
        (-log(0.8) - log(0.6)) / 2,
    ),
    "categorical, likely": (categorical([0.1, 0.15, 0.05, 0.6, 0.1], FIVE), -log(0.6)),
    "categorical, unlikely": (categorical([0.15, 0.2, 0.4, 0.1, 0.15], FIVE), -log(0.1)),
    "sigmoid CE with ones": (
        binary_from_logits(1),
        [[0.47407699, 0.40318602, 0.5543552], [0.37110069, 0.59813887, 0.34115386]],
    ),
    "sigmoid CE with zeros": (
        binary_from_logits(0),
        [[0.97407699, 1.10318601, 0.85435522], [1.17110074, 0.79813886, 1.24115384]],
    ),
    "one-hot labels": (
        categorical(THREE, [[0, 1, 0], [0, 0, 1]], reduction="mean"),
        (-log(0.95) - log(0.1)) / 2,
    ),
    "integer labels": (
        partial(
            jaxent.categorical_cross_entropy_with_integer_labels,
            THREE,
            np.array([1, 2]),
            reduction="mean",
        ),
        (-log(0.95) - log(0.1)) / 2,
    ),
    "mean squared error": (
        partial(
            jaxent.squared_error,
            np.array([1.0, 2.0, 4.0]),
            np.array([1.0, 4.0, 1.0]),
            reduction="mean",
        ),
        (0 + 4 + 9) / 3,
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_textbook_number(row):
    call, want = TABLE[row]
    np.testing.assert_allclose(call(), want, rtol=2e-6, atol=1e-7)


FOUR_DIGITS = {
    "elements": (binary(P, Y), ELEMENTS, 1),
    "elements from logits": (partial(jaxent.sigmoid_binary_cross_entropy, Z, Y), ELEMENTS, 1),
    "weighted elements": (binary(P, Y, weights=W), W * ELEMENTS, W),
    "mean": (binary(P, Y, reduction="mean"), 1.32833, 1 / 6),
    "mean from logits": (
        partial(jaxent.sigmoid_binary_cross_entropy, Z, Y, reduction="mean"),
        1.32833,
        1 / 6,
    ),
    "sum with epsilon": (binary(P, Y, epsilon=1e-7, reduction="sum"), 6 * 1.32833, 1),
    "weighted mean": (
        binary(P, Y, weights=W, reduction="weighted_mean"),
        (W * ELEMENTS).sum() / W.sum(),
        W / W.sum(),
    ),
    "focal": (focal(P, Y, 0.25, 2.0), ALPHA_T * FACTOR * ELEMENTS, 2 * ALPHA_T),
    "focal, one alpha for all": (
        lambda: 0.25 * focal(P, Y, None, 2.0)(),
        0.25 * FACTOR * ELEMENTS,
        0.5,
    ),
    "focal from logits": (
        partial(jaxent.sigmoid_focal_loss, Z, Y, alpha=0.25, gamma=2.0),
        ALPHA_T * FACTOR * ELEMENTS,
        2 * ALPHA_T,
    ),
}


@pytest.mark.parametrize("row", FOUR_DIGITS)
def test_to_the_digits_given(row):
    """`slope` is how much an error in an element counts in the result."""
    call, want, slope = FOUR_DIGITS[row]
    tolerance = slope * ROUNDING if np.ndim(want) else np.sum(slope * ROUNDING)
    np.testing.assert_array_less(np.abs(call() - want), tolerance)


def test_the_published_mean():
    np.testing.assert_allclose(binary(P, Y, reduction="mean")(), 1.32833, atol=2e-5)


def test_softmax_of_one_two_three():
    nll = jax.vmap(jaxent.softmax_cross_entropy_with_integer_labels, (None, 0))(
        np.array([1.0, 2.0, 3.0]), np.arange(3)
    )
    np.testing.assert_allclose(np.exp(-nll), [0.09, 0.24, 0.67], atol=0.005)


def test_kl_is_cross_entropy_minus_entropy():
    p, q = np.array([0.1, 0.15, 0.05, 0.6, 0.1]), np.array([0.15, 0.2, 0.4, 0.1, 0.15])
    difference = jaxent.categorical_cross_entropy(q, p) - jaxent.entropy(p)
    np.testing.assert_allclose(jaxent.kl_divergence(log(q), p), difference, rtol=1e-5)
    np.testing.assert_allclose(jaxent.kl_divergence(log(q), p), np.sum(p * log(p / q)), rtol=1e-6)


def test_a_confident_and_right_answer_has_its_true_cost():
    z = jnp.array([20.0, 0.0, 0.0])
    want = 2 * np.exp(-20)
    loss, gradient = jax.value_and_grad(jaxent.softmax_cross_entropy_with_integer_labels)(z, 0)
    np.testing.assert_allclose(loss, 4.1223e-9, rtol=1e-4)
    np.testing.assert_allclose(loss, want, rtol=1e-6)
    np.testing.assert_allclose(gradient, [-want, want / 2, want / 2], rtol=1e-6)
