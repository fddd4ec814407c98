"""The table of losses that the tests of transforms and laws run over.

A case is a public loss with its options bound or among its arrays, a maker of inputs, and which of
the arrays it is differentiable by. Every loss stands here plain and with all its options at once.
"""

import functools

import jaxent
from tests.case import TAIL, case, sum_of
from tests.head_cases import HEAD_CASES
from tests.makers import (
    class_mask,
    class_weights,
    classes,
    distributions,
    few_classes,
    few_probs,
    fraction,
    log_distributions,
    logits,
    mask,
    numbers,
    outcomes,
    positive,
    probabilities,
    values,
    weights,
)


def sum_of_stats(z, labels, where=None, **further):
    return sum_of(jaxent.softmax_stats(z, labels, where=where, **further))


def plain_and_with_tail(function, makers, mask, **further):
    """The two cases of a loss without options of its own."""
    name = function.__name__
    yield case(name, function, makers, **further)
    yield case(f"{name}, all options", function, (*makers, mask, weights), TAIL, **further)


CASES = [
    case(
        "sigmoid_binary_cross_entropy",
        jaxent.sigmoid_binary_cross_entropy,
        (numbers, probabilities),
        elementwise=True,
    ),
    case(
        "sigmoid_binary_cross_entropy, all options",
        jaxent.sigmoid_binary_cross_entropy,
        (numbers, probabilities, positive, fraction, mask, weights),
        ("pos_weight", "label_smoothing", *TAIL),
        elementwise=True,
    ),
    case(
        "sigmoid_focal_loss", jaxent.sigmoid_focal_loss, (numbers, probabilities), elementwise=True
    ),
    case(
        "sigmoid_focal_loss, all options",
        jaxent.sigmoid_focal_loss,
        (numbers, probabilities, fraction, positive, fraction, mask, weights),
        ("alpha", "gamma", "label_smoothing", *TAIL),
        elementwise=True,
    ),
    case(
        "sigmoid_asymmetric_loss",
        jaxent.sigmoid_asymmetric_loss,
        (numbers, probabilities),
        elementwise=True,
    ),
    case(
        "sigmoid_asymmetric_loss, all options",
        jaxent.sigmoid_asymmetric_loss,
        (numbers, probabilities, positive, positive, fraction, mask, weights),
        ("gamma_pos", "gamma_neg", "margin", *TAIL),
        elementwise=True,
    ),
    case("softmax_cross_entropy", jaxent.softmax_cross_entropy, (logits, distributions)),
    case(
        "softmax_cross_entropy, all options",
        jaxent.softmax_cross_entropy,
        (logits, distributions, mask, fraction, fraction, class_weights, weights),
        ("where", "label_smoothing", "z_loss", "class_weights", "weights"),
    ),
    case(
        "softmax_cross_entropy_with_integer_labels",
        jaxent.softmax_cross_entropy_with_integer_labels,
        (logits, classes),
    ),
    case(
        "softmax_cross_entropy_with_integer_labels, all options",
        jaxent.softmax_cross_entropy_with_integer_labels,
        (logits, classes, mask, fraction, fraction, class_weights, weights),
        ("where", "label_smoothing", "z_loss", "class_weights", "weights"),
    ),
    case(
        "softmax_cross_entropy_with_integer_labels, few classes",
        jaxent.softmax_cross_entropy_with_integer_labels,
        (logits, few_classes, class_mask, few_probs, fraction),
        ("where", "label_probs", "label_smoothing"),
    ),
    case("softmax_log_probs", jaxent.softmax_log_probs, (logits, classes)),
    case(
        "softmax_log_probs, all options",
        jaxent.softmax_log_probs,
        (logits, few_classes, few_probs, positive, mask, weights),
        ("label_probs", "temperature", *TAIL),
    ),
    case("softmax_focal_loss", jaxent.softmax_focal_loss, (logits, classes)),
    case(
        "softmax_focal_loss, all options",
        jaxent.softmax_focal_loss,
        (logits, classes, mask, positive, fraction, class_weights, weights),
        ("where", "gamma", "label_smoothing", "class_weights", "weights"),
    ),
    case("poly_loss_cross_entropy", jaxent.poly_loss_cross_entropy, (logits, distributions)),
    case(
        "poly_loss_cross_entropy, all options",
        jaxent.poly_loss_cross_entropy,
        (logits, distributions, positive, fraction, class_weights, mask, weights),
        ("epsilon", "label_smoothing", "class_weights", *TAIL),
    ),
    *HEAD_CASES,
    case(
        "softmax_stats, integer labels",
        sum_of_stats,
        (logits, classes),
        loss=jaxent.softmax_stats,
    ),
    case(
        "softmax_stats, dense labels, dropped classes",
        sum_of_stats,
        (logits, distributions, class_mask),
        ("where",),
        loss=jaxent.softmax_stats,
    ),
    case(
        "binary_cross_entropy",
        jaxent.binary_cross_entropy,
        (probabilities, probabilities),
        elementwise=True,
    ),
    case(
        "binary_cross_entropy, all options",
        jaxent.binary_cross_entropy,
        (probabilities, probabilities, fraction, positive, mask, weights),
        ("epsilon", "pos_weight", *TAIL),
        elementwise=True,
    ),
    case(
        "binary_focal_cross_entropy",
        jaxent.binary_focal_cross_entropy,
        (probabilities, probabilities),
        elementwise=True,
    ),
    case(
        "binary_focal_cross_entropy, all options",
        jaxent.binary_focal_cross_entropy,
        (probabilities, probabilities, fraction, fraction, positive, mask, weights),
        ("epsilon", "alpha", "gamma", *TAIL),
        elementwise=True,
    ),
    case(
        "categorical_cross_entropy",
        jaxent.categorical_cross_entropy,
        (distributions, distributions),
    ),
    case(
        "categorical_cross_entropy, all options",
        jaxent.categorical_cross_entropy,
        (distributions, distributions, mask, fraction, weights),
        ("where", "epsilon", "weights"),
    ),
    case(
        "categorical_cross_entropy_with_integer_labels",
        jaxent.categorical_cross_entropy_with_integer_labels,
        (distributions, classes),
    ),
    case(
        "categorical_cross_entropy_with_integer_labels, all options",
        jaxent.categorical_cross_entropy_with_integer_labels,
        (distributions, classes, mask, fraction, weights),
        ("where", "epsilon", "weights"),
    ),
    *plain_and_with_tail(jaxent.self_information, (outcomes,), mask, elementwise=True),
    *plain_and_with_tail(jaxent.entropy, (distributions,), class_mask),
    *plain_and_with_tail(jaxent.softmax_entropy, (logits,), class_mask),
    *plain_and_with_tail(jaxent.sigmoid_entropy, (numbers,), mask, elementwise=True),
    *plain_and_with_tail(jaxent.kl_divergence, (log_distributions, distributions), class_mask),
    *plain_and_with_tail(
        jaxent.kl_divergence_with_log_targets, (log_distributions, log_distributions), class_mask
    ),
    *plain_and_with_tail(
        jaxent.generalized_kl_divergence, (log_distributions, distributions), class_mask
    ),
    case("softmax_kl_divergence", jaxent.softmax_kl_divergence, (logits, logits)),
    case(
        "softmax_kl_divergence, all options",
        jaxent.softmax_kl_divergence,
        (logits, logits, positive, class_mask, weights),
        ("temperature", *TAIL),
    ),
    case(
        "softmax_jensen_shannon_divergence",
        jaxent.softmax_jensen_shannon_divergence,
        (logits, logits),
    ),
    case(
        "softmax_jensen_shannon_divergence, all options",
        jaxent.softmax_jensen_shannon_divergence,
        (logits, logits, fraction, positive, class_mask, weights),
        ("beta", "temperature", *TAIL),
    ),
    *plain_and_with_tail(
        jaxent.jensen_shannon_divergence, (distributions, distributions), class_mask
    ),
    case("squared_error", jaxent.squared_error, (values, values), elementwise=True),
    case(
        "squared_error, all options",
        jaxent.squared_error,
        (values, values, mask, weights),
        TAIL,
        elementwise=True,
    ),
    case(
        "reduce_losses",
        functools.partial(jaxent.reduce_losses, reduction="none"),
        (values, mask, weights),
        TAIL,
        elementwise=True,
    ),
]

# Each loss once: with all options, where it has any.
WITH_ALL_OPTIONS = [
    case for case in CASES if not any(other.name.startswith(f"{case.name}, all") for other in CASES)
]
PLAIN = [case for case in CASES if "all options" not in case.name]
