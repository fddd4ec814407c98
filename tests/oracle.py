"""Every loss as a textbook writes it, in arbitrary precision: no stable form, no shortcut.

Arguments are arrays of mpmath numbers (`exact` makes them), one row of classes or one element at a
time. Each function returns the value and the derivative by its first argument. Where either is a
sum whose terms can cancel, the third and fourth result say how large the terms are: an error is
measured against them, since no formula in floating point does better than its largest term.
"""

from typing import NamedTuple

import mpmath
import numpy as np

exact = np.vectorize(lambda x: mpmath.mpf(float(x)), otypes=[object])
exp = np.vectorize(mpmath.exp, otypes=[object])
_log = np.vectorize(mpmath.log, otypes=[object])


def log(x):
    return _log(np.asarray(x, object))


class Exact(NamedTuple):
    value: object
    gradient: object
    value_terms: object = 0
    gradient_terms: object = 0


def sigmoid(z):
    return 1 / (1 + exp(-z))


def softmax(z):
    e = exp(z)
    return e / e.sum()


def binary_cross_entropy(z, y, pos_weight=1):
    p, q = sigmoid(z), sigmoid(-z)
    terms = pos_weight * y * q, (1 - y) * p
    value = -pos_weight * y * log(p) - (1 - y) * log(q)
    return Exact(value, terms[1] - terms[0], 0, np.maximum(*terms))


def binary_focal(z, y, gamma):
    p, q = sigmoid(z), sigmoid(-z)
    miss = y * q + (1 - y) * p
    ce = binary_cross_entropy(z, y)
    slope = (1 - 2 * y) * p * q * gamma * miss ** (gamma - 1) * ce.value
    terms = np.maximum(miss**gamma * ce.gradient_terms, abs(slope))
    return Exact(miss**gamma * ce.value, miss**gamma * ce.gradient + slope, 0, terms)


def binary_cross_entropy_from_probs(p, y):
    terms = y / p, (1 - y) / (1 - p)
    return Exact(-y * log(p) - (1 - y) * log(1 - p), terms[1] - terms[0], 0, np.maximum(*terms))


def binary_focal_from_probs(p, y, gamma):
    miss = y * (1 - p) + (1 - y) * p
    ce = binary_cross_entropy_from_probs(p, y)
    slope = (1 - 2 * y) * gamma * miss ** (gamma - 1) * ce.value
    terms = np.maximum(miss**gamma * ce.gradient_terms, abs(slope))
    return Exact(miss**gamma * ce.value, miss**gamma * ce.gradient + slope, 0, terms)


def cross_entropy(z, t):
    """Softmax cross-entropy with a distribution t, which may have any mass."""
    p = softmax(z)
    return Exact(-(t * log(p)).sum(), t.sum() * p - t, 0, np.maximum(t.sum() * p, t))


def one_hot(y, V):
    return exact(np.arange(V) == y)


def one_hot_cross_entropy(z, t):
    """With a one-hot label the derivative is p_j off it and −(1 − p_y) on it: no sum."""
    return cross_entropy(z, t)._replace(gradient_terms=0)


def integer_cross_entropy(z, y):
    return one_hot_cross_entropy(z, one_hot(y, len(z)))


def smoothed_cross_entropy(z, y, amount):
    return cross_entropy(z, (1 - amount) * one_hot(y, len(z)) + amount / len(z))


def z_loss_cross_entropy(z, y, factor):
    ce, lse = integer_cross_entropy(z, y), log(exp(z).sum())
    slope = 2 * factor * lse * softmax(z)
    terms = np.maximum(abs(ce.gradient), abs(slope))
    return Exact(ce.value + factor * lse**2, ce.gradient + slope, 0, terms)


def weighted_cross_entropy(z, y, weights, amount):
    """Class weights w with label smoothing: a label t_j becomes w_j t_j, of any mass."""
    return cross_entropy(z, weights * ((1 - amount) * one_hot(y, len(z)) + amount / len(z)))


def cross_entropy_by_labels(t, z):
    return Exact(cross_entropy(z, t).value, -log(softmax(z)))


def binary_cross_entropy_by_labels(y, z):
    """The derivative log q − log p is −z, where the two cancel."""
    terms = np.maximum(-log(sigmoid(z)), -log(sigmoid(-z)))
    return Exact(binary_cross_entropy(z, y).value, -z, 0, terms)


def smoothed_cross_entropy_by_amount(amount, z, y):
    nlp = -log(softmax(z))
    value, terms = smoothed_cross_entropy(z, y, amount).value, max(nlp[y], nlp.mean())
    return Exact(value, nlp.mean() - nlp[y], 0, terms)


def softmax_focal(z, y, gamma):
    ce = integer_cross_entropy(z, y)
    p = softmax(z)[y]
    slope = (1 - p) ** gamma + gamma * (1 - p) ** (gamma - 1) * p * ce.value
    return Exact((1 - p) ** gamma * ce.value, slope * ce.gradient)


def softmax_focal_by_gamma(gamma, z, y):
    value = softmax_focal(z, y, gamma).value
    return Exact(value, log(1 - softmax(z)[y]) * value)


def one_hot_poly(z, t, epsilon):
    ce, p = cross_entropy(z, t), softmax(z)
    missed = (t * (1 - p)).sum()
    slope = p * (t.sum() - t - missed)
    return Exact(ce.value + epsilon * missed, ce.gradient + epsilon * slope)


def categorical_from_probs(p, t):
    return Exact(-(t * log(p)).sum(), -t / p)


def categorical_of_class(p, y):
    return categorical_from_probs(p, one_hot(y, len(p)))


def kl(log_p, t):
    terms = t * log(t), t * log_p
    return Exact((terms[0] - terms[1]).sum(), -t, np.maximum(*map(abs, terms)).max())


def kl_log_targets(log_p, log_t):
    t = exp(log_t)
    terms = t * log_t, t * log_p
    return Exact((terms[0] - terms[1]).sum(), -t, np.maximum(*map(abs, terms)).max())


def generalized_kl(log_p, t):
    p = exp(log_p)
    terms = np.maximum(abs(t * log(t)), abs(t * log_p))
    value = (t * log(t) - t * log_p - t + p).sum()
    return Exact(value, p - t, terms.max(), np.maximum(terms, p))


def softmax_kl(z, target_z, temperature=1):
    p, t = softmax(z / temperature), softmax(target_z / temperature)
    terms = np.maximum(abs(t * log(t)), abs(t * log(p)))
    value, slope = (t * (log(t) - log(p))).sum(), (p - t) / temperature
    return Exact(value, slope, terms.max(), np.maximum(p, t) / temperature)


def log_prob(z, y, temperature):
    ce = integer_cross_entropy(z / temperature, y)
    return Exact(-ce.value, -ce.gradient / temperature)


def few_log_probs(z, y, probs, temperature):
    ce = few_classes(z / temperature, y, probs)
    slope, terms = -ce.gradient / temperature, ce.gradient_terms / temperature
    return Exact(-ce.value, slope, ce.value_terms, terms)


def few_classes(z, y, probs):
    """A distribution over the classes y."""
    t = exact(np.zeros(len(z)))
    for k, prob in zip(y, probs, strict=True):
        t[int(k)] += prob
    return cross_entropy(z, t)


def softmax_jensen_shannon(z, target_z, beta):
    """The slope has the error of log t_j − log p_j, a rounding error of the normalisers."""
    p, t = softmax(z), softmax(target_z)
    m = beta * t + (1 - beta) * p
    a, terms = log(p / m), (t * log(t / m), p * log(p / m))
    slope = (1 - beta) * p
    size = np.maximum(*map(abs, terms)).max()
    value = beta * terms[0].sum() + (1 - beta) * terms[1].sum()
    return Exact(value, slope * (a - (p * a).sum()), size, slope * np.maximum(1, abs(a)))


def asymmetric(z, y, gamma_pos, gamma_neg, margin):
    """Near the margin p − margin has the rounding error of p."""
    p, q = sigmoid(z), sigmoid(-z)
    shifted = np.maximum(p - margin, 0)
    counts = (1 - y) * (shifted > 0)
    safe = np.where(shifted > 0, shifted, 1)
    positive, negative = -log(p), -log(1 - shifted)
    value = y * q**gamma_pos * positive + (1 - y) * shifted**gamma_neg * negative
    by_p = counts * safe**gamma_neg * (1 / (1 - shifted) + gamma_neg * negative / safe)
    of_positive = y * q**gamma_pos * (q + gamma_pos * p * positive)
    of_negative = p * q * by_p
    terms = np.maximum(of_positive, of_negative * np.maximum(1, gamma_neg * p / safe))
    return Exact(value, of_negative - of_positive, p * by_p, terms)


def jensen_shannon(p, q):
    m = (p + q) / 2
    return Exact((p * log(p / m) + q * log(q / m)).sum() / 2, log(p / m) / 2)


def softmax_entropy(z):
    p = softmax(z)
    value = -(p * log(p)).sum()
    return Exact(value, -p * (log(p) + value), 0, p * np.maximum(-log(p), value))


def sigmoid_entropy(z):
    p, q = sigmoid(z), sigmoid(-z)
    return Exact(-p * log(p) - q * log(q), -p * q * z)


def entropy(p):
    return Exact(-(p * log(p)).sum(), -(log(p) + 1), 0, np.maximum(abs(log(p)), 1))


def self_information(p):
    return Exact(-log(p), -1 / p)


def squared_error(x, y):
    return Exact((x - y) ** 2, 2 * (x - y))
