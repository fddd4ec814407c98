"""The table of losses that the tests of transforms and laws run over.

A case is a public loss with its options bound or among its arrays, a maker of inputs, and which of
the arrays it is differentiable by. Every loss stands here plain and with all its options at once.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

import jaxent
from tests.makers import (
    V,
    bias,
    class_mask,
    class_weights,
    classes,
    distributions,
    features,
    fraction,
    kernel,
    log_distributions,
    logits,
    mask,
    numbers,
    positive,
    probabilities,
    weights,
)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    function: Callable  # of the arrays, and keywords of the loss
    arrays: Callable[[np.random.Generator, tuple[int, ...]], tuple]  # for a batch of a shape
    differentiable: tuple[int, ...]  # which arrays are floating and differentiated
    elementwise: bool  # a loss per element, rather than per row of classes
    batched: tuple[int, ...]  # which arrays have the batch in front

    def make(self, batch: tuple[int, ...], dtype, seed: int = 0) -> tuple:
        rng = np.random.default_rng(seed)
        return tuple(
            x.astype(dtype) if x.dtype == np.float64 else x for x in self.arrays(rng, batch)
        )


def case(name, function, makers, keywords=(), *, elementwise=False, fixed=()):
    """A case whose arrays come from `makers`, those behind the positional ones by `keywords`."""
    positional = len(makers) - len(keywords)

    def call(*arrays, **further):
        named = dict(zip(keywords, arrays[positional:], strict=True))
        return function(*arrays[:positional], **named, **further)

    def arrays(rng, batch):
        return tuple(np.asarray(make(rng, batch)) for make in makers)

    integral = {classes, mask, class_mask}
    unbatched = {kernel, bias, class_weights, fraction, positive}
    return Case(
        name,
        call,
        arrays,
        tuple(i for i, m in enumerate(makers) if m not in integral and i not in fixed),
        elementwise,
        tuple(i for i, m in enumerate(makers) if m not in unbatched),
    )


def sum_of_stats(z, labels, where=None, **further):
    stats = jaxent.softmax_stats(z, labels, where=where, **further)
    return stats.lse + stats.nll + stats.miss + stats.sum_nll + stats.entropy


def sum_of_linear_stats(x, W, labels, **further):
    stats, best = jaxent.linear_softmax_stats(x, W, labels, max_logits_bytes=4 * 8 * V, **further)
    stated = stats.lse + stats.nll + stats.miss + stats.sum_nll + stats.entropy
    return stated + (best == labels.astype(best.dtype)).astype(stated.dtype)


def sum_of_kept_stats(z, t, where, **further):
    return sum_of_stats(z, jnp.where(where, t, 0), where, **further)


TAIL = ("where", "weights")
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
    case("softmax_focal_loss", jaxent.softmax_focal_loss, (logits, classes)),
    case(
        "softmax_focal_loss, all options",
        jaxent.softmax_focal_loss,
        (logits, classes, mask, positive, class_weights, weights),
        ("where", "gamma", "class_weights", "weights"),
    ),
    case("poly_loss_cross_entropy", jaxent.poly_loss_cross_entropy, (logits, distributions)),
    case(
        "poly_loss_cross_entropy, all options",
        jaxent.poly_loss_cross_entropy,
        (logits, distributions, positive, mask, weights),
        ("epsilon", *TAIL),
    ),
    case(
        "linear_softmax_cross_entropy",
        jaxent.linear_softmax_cross_entropy,
        (features, kernel, classes),
    ),
    case(
        "linear_softmax_cross_entropy, all options",
        functools.partial(jaxent.linear_softmax_cross_entropy, max_logits_bytes=3 * 8 * V),
        (
            *(features, kernel, classes, bias, positive, fraction, fraction),
            *(class_weights, mask, weights),
        ),
        ("bias", "softcap", "label_smoothing", "z_loss", "class_weights", *TAIL),
    ),
    case(
        "linear_softmax_focal_loss, all options",
        functools.partial(jaxent.linear_softmax_focal_loss, max_logits_bytes=1),
        (features, kernel, classes, bias, positive, positive, class_weights, mask, weights),
        ("bias", "softcap", "gamma", "class_weights", *TAIL),
    ),
    case(
        "linear_softmax_kl_divergence",
        jaxent.linear_softmax_kl_divergence,
        (features, kernel, features, kernel),
    ),
    case(
        "linear_softmax_kl_divergence, all options",
        functools.partial(jaxent.linear_softmax_kl_divergence, max_logits_bytes=4 * 8 * V),
        (
            *(features, kernel, features, kernel, bias, bias, positive, positive, positive),
            *(mask, weights),
        ),
        ("bias", "target_bias", "softcap", "target_softcap", "temperature", *TAIL),
    ),
    case("linear_softmax_stats", sum_of_linear_stats, (features, kernel, classes)),
    case("softmax_stats, integer labels", sum_of_stats, (logits, classes)),
    case(
        "softmax_stats, dense labels, dropped classes",
        sum_of_kept_stats,
        (logits, distributions, class_mask),
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
    case("self_information", jaxent.self_information, (probabilities,), elementwise=True),
    case("entropy", jaxent.entropy, (distributions,)),
    case("softmax_entropy", jaxent.softmax_entropy, (logits,)),
    case("sigmoid_entropy", jaxent.sigmoid_entropy, (numbers,), elementwise=True),
    case("kl_divergence", jaxent.kl_divergence, (log_distributions, distributions)),
    case(
        "kl_divergence, dropped classes",
        jaxent.kl_divergence,
        (log_distributions, distributions, class_mask),
        ("where",),
    ),
    case(
        "kl_divergence_with_log_targets",
        jaxent.kl_divergence_with_log_targets,
        (log_distributions, log_distributions),
    ),
    case(
        "generalized_kl_divergence",
        jaxent.generalized_kl_divergence,
        (log_distributions, distributions),
    ),
    case("softmax_kl_divergence", jaxent.softmax_kl_divergence, (logits, logits)),
    case(
        "softmax_kl_divergence, all options",
        jaxent.softmax_kl_divergence,
        (logits, logits, class_mask, positive),
        ("where", "temperature"),
    ),
    case(
        "jensen_shannon_divergence",
        jaxent.jensen_shannon_divergence,
        (distributions, distributions),
    ),
    case("squared_error", jaxent.squared_error, (numbers, numbers), elementwise=True),
    case(
        "squared_error, all options",
        jaxent.squared_error,
        (numbers, numbers, mask, weights),
        TAIL,
        elementwise=True,
    ),
    case(
        "reduce_losses",
        lambda x, where, w: jaxent.reduce_losses(x, where=where, weights=w, reduction="none"),
        (numbers, mask, weights),
        elementwise=True,
    ),
]
