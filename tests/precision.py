"""The largest errors of every loss, in ulp: `python -m tests.precision`."""

import functools

import jax
import mpmath
import numpy as np

import jaxent
from tests import inputs, oracle
from tests.ulps import Entry, measure

DTYPES = ("float64", "float32", "bfloat16", "float16")
# Bounds in ulp for value and gradient in float32 and float64; 16-bit gradients are within 1.
BCE, FOCAL, SOFTMAX, POLY, KL = (4, 4), (16, 24), (8, 16), (12, 16), (16, 4)
CONFIDENT = (128, 192)

# The table: elementwise losses need the bits of exp(−700) beside 1.

integer = jaxent.softmax_cross_entropy_with_integer_labels
smoothed = functools.partial(integer, label_smoothing=0.1)
dense = jaxent.softmax_cross_entropy
bce = jaxent.sigmoid_binary_cross_entropy
with_class, with_one_hot = inputs.with_class, inputs.with_one_hot
ordinary, confident = inputs.ordinary, inputs.confident


def quarters(V):
    """Class weights without a rounding of their own."""
    return np.arange(1, V + 1) / 4


TABLE = [
    Entry("binary CE", bce, oracle.binary_cross_entropy, inputs.binary_logits, BCE, 1200),
    Entry(
        "binary CE, pos_weight 3",
        functools.partial(bce, pos_weight=3),
        functools.partial(oracle.binary_cross_entropy, pos_weight=3),
        inputs.binary_logits,
        BCE,
        1200,
    ),
    Entry(
        "binary CE from probabilities",
        functools.partial(jaxent.binary_cross_entropy, epsilon=0),
        oracle.binary_cross_entropy_from_probs,
        inputs.binary_probabilities,
        BCE,
    ),
    *(
        Entry(
            f"binary focal, gamma {gamma}",
            functools.partial(jaxent.sigmoid_focal_loss, gamma=gamma),
            functools.partial(oracle.binary_focal, gamma=gamma),
            inputs.binary_logits,
            FOCAL,
            1200,
        )
        for gamma in (0.5, 2.0)
    ),
    Entry(
        "binary focal from probabilities",
        functools.partial(jaxent.binary_focal_cross_entropy, epsilon=0),
        functools.partial(oracle.binary_focal_from_probs, gamma=2),
        inputs.binary_probabilities,
        FOCAL,
    ),
    *(
        Entry(name + suffix, loss, exact, labelled(make), bounds)
        for suffix, make, bounds in (("", ordinary, None), (", confident", confident, CONFIDENT))
        for name, loss, exact, labelled, bounds in (
            (
                "softmax CE, classes",
                integer,
                oracle.integer_cross_entropy,
                with_class,
                bounds or SOFTMAX,
            ),
            (
                "softmax CE, one-hot",
                dense,
                oracle.one_hot_cross_entropy,
                with_one_hot,
                bounds or SOFTMAX,
            ),
            (
                "softmax CE, soft labels",
                dense,
                oracle.cross_entropy,
                inputs.with_distribution,
                bounds or SOFTMAX,
            ),
            (
                "softmax CE, smoothing 0.1",
                smoothed,
                functools.partial(oracle.smoothed_cross_entropy, amount=0.1),
                with_class,
                bounds or SOFTMAX,
            ),
            (
                "softmax CE, z-loss 0.01",
                functools.partial(integer, z_loss=0.01),
                functools.partial(oracle.z_loss_cross_entropy, factor=0.01),
                with_class,
                bounds or SOFTMAX,
            ),
            (
                "softmax CE, class weights",
                lambda z, y: smoothed(z, y, class_weights=quarters(z.size)),
                lambda z, y: oracle.weighted_cross_entropy(z, y, quarters(z.size), 0.1),
                with_class,
                bounds or SOFTMAX,
            ),
            (
                "softmax focal",
                jaxent.softmax_focal_loss,
                functools.partial(oracle.softmax_focal, gamma=2),
                with_class,
                bounds or FOCAL,
            ),
            (
                "poly",
                jaxent.poly_loss_cross_entropy,
                functools.partial(oracle.one_hot_poly, epsilon=2),
                with_one_hot,
                bounds or POLY,
            ),
            (
                "softmax entropy",
                jaxent.softmax_entropy,
                oracle.softmax_entropy,
                inputs.one_by_one,
                bounds or SOFTMAX,
            ),
        )
    ),
    Entry(
        "log-probability, temperature 3",
        functools.partial(jaxent.softmax_log_probs, temperature=3),
        functools.partial(oracle.log_prob, temperature=3),
        with_class(ordinary),
        SOFTMAX,
    ),
    Entry(
        "softmax CE, two classes",
        lambda z, y, probs: integer(z, y, label_probs=probs),
        oracle.few_classes,
        inputs.with_few_classes(ordinary),
        SOFTMAX,
    ),
    Entry(
        "log-probability of two classes, temperature 3",
        lambda z, y, probs: jaxent.softmax_log_probs(z, y, label_probs=probs, temperature=3.0),
        functools.partial(oracle.few_log_probs, temperature=3),
        inputs.with_few_classes(ordinary),
        SOFTMAX,
    ),
    *(
        Entry(
            f"softmax Jensen-Shannon, beta {beta}",
            functools.partial(jaxent.softmax_jensen_shannon_divergence, beta=beta),
            functools.partial(oracle.softmax_jensen_shannon, beta=beta),
            inputs.two_logits,
            SOFTMAX,
        )
        for beta in (2.0**-20, 0.25, 0.5)
    ),
    Entry(
        "asymmetric, margin 1/16",
        functools.partial(
            jaxent.sigmoid_asymmetric_loss, gamma_pos=1.0, gamma_neg=4.0, margin=0.0625
        ),
        functools.partial(oracle.asymmetric, gamma_pos=1, gamma_neg=4, margin=mpmath.mpf(1) / 16),
        inputs.binary_logits,
        FOCAL,
        1200,
    ),
    Entry(
        "categorical CE from probabilities",
        functools.partial(jaxent.categorical_cross_entropy, epsilon=0),
        oracle.categorical_from_probs,
        inputs.two_distributions,
        SOFTMAX,
    ),
    Entry(
        "categorical CE, class indices",
        functools.partial(jaxent.categorical_cross_entropy_with_integer_labels, epsilon=0),
        oracle.categorical_of_class,
        with_class(inputs.one_distribution),
        SOFTMAX,
    ),
    Entry("KL", jaxent.kl_divergence, oracle.kl, inputs.log_and_target, KL),
    Entry(
        "KL, log-targets",
        jaxent.kl_divergence_with_log_targets,
        oracle.kl_log_targets,
        inputs.log_and_log_target,
        KL,
    ),
    Entry(
        "generalized KL",
        jaxent.generalized_kl_divergence,
        oracle.generalized_kl,
        inputs.log_and_target,
        KL,
    ),
    Entry(
        "softmax KL", jaxent.softmax_kl_divergence, oracle.softmax_kl, inputs.two_logits, SOFTMAX
    ),
    Entry(
        "softmax KL, temperature 3",
        functools.partial(jaxent.softmax_kl_divergence, temperature=3),
        functools.partial(oracle.softmax_kl, temperature=3),
        inputs.two_logits,
        SOFTMAX,
    ),
    Entry(
        "Jensen-Shannon",
        jaxent.jensen_shannon_divergence,
        oracle.jensen_shannon,
        inputs.two_distributions,
        KL,
    ),
    Entry(
        "entropy", jaxent.entropy, oracle.entropy, inputs.one_by_one(inputs.one_distribution), KL
    ),
    Entry(
        "sigmoid entropy",
        jaxent.sigmoid_entropy,
        oracle.sigmoid_entropy,
        inputs.one_by_one(inputs.moderate),
        BCE,
        1200,
    ),
    Entry(
        "self-information",
        jaxent.self_information,
        oracle.self_information,
        inputs.one_by_one(inputs.some_probabilities),
        BCE,
    ),
    Entry(
        "binary CE by labels",
        lambda y, z: bce(z, y),
        oracle.binary_cross_entropy_by_labels,
        inputs.labels_first(inputs.binary_logits),
        BCE,
        1200,
    ),
    Entry(
        "softmax CE by labels",
        lambda t, z: dense(z, t),
        oracle.cross_entropy_by_labels,
        inputs.labels_first(inputs.with_distribution(ordinary)),
        SOFTMAX,
    ),
    Entry(
        "softmax CE by label_smoothing",
        lambda amount, z, y: integer(z, y, label_smoothing=amount),
        oracle.smoothed_cross_entropy_by_amount,
        inputs.option_first(with_class(ordinary), 0, 1),
        SOFTMAX,
    ),
    Entry("squared error", jaxent.squared_error, oracle.squared_error, inputs.two_numbers, BCE),
]


def main() -> None:
    print(f"jax {jax.__version__}. Largest error in ulp, value / gradient.")
    width = max(len(entry.name) for entry in TABLE)
    print(" " * width + "".join(f"{name:>18}" for name in DTYPES) + f"{'bounds':>14}")
    for entry in TABLE:
        errors = (measure(entry, dtype) for dtype in DTYPES)
        cells = "".join(f"{f'{v:.2f} / {g:.2f}':>18}" for v, g in errors)
        print(f"{entry.name:{width}}{cells}{'{} / {}'.format(*entry.bounds):>14}", flush=True)


if __name__ == "__main__":
    main()
