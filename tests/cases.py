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
    few_classes,
    few_probs,
    fraction,
    kernel,
    key_mask,
    log_distributions,
    logits,
    mask,
    numbers,
    outcomes,
    positive,
    probabilities,
    tied_kernel,
    values,
    weights,
)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    function: Callable  # of the arrays, and keywords of the loss
    makers: tuple[Callable, ...]  # of each array, for a batch of a shape
    keywords: tuple[str, ...]  # of the arrays that are passed by name, which come last
    elementwise: bool  # a loss per element, rather than per row of classes
    loss: Callable  # the public function

    @property
    def differentiable(self) -> tuple[int, ...]:
        """Which arrays are floating and differentiated."""
        integral = {classes, few_classes, mask, class_mask, key_mask}
        return tuple(i for i, make in enumerate(self.makers) if make not in integral)

    @property
    def batched(self) -> tuple[int, ...]:
        """Which arrays have the batch in front."""
        unbatched = {kernel, tied_kernel, bias, class_weights, fraction, positive, key_mask}
        return tuple(i for i, make in enumerate(self.makers) if make not in unbatched)

    def make(self, batch: tuple[int, ...], dtype, seed: int = 0, instead=None) -> tuple:
        """Random arrays; `instead` has other makers in place of some."""
        rng = np.random.default_rng(seed)
        makers = (instead.get(make, make) if instead else make for make in self.makers)
        arrays = (np.asarray(make(rng, batch)) for make in makers)
        return tuple(x.astype(dtype) if x.dtype == np.float64 else x for x in arrays)


def case(name, function, makers, keywords=(), *, elementwise=False, loss=None):
    """A case whose arrays come from `makers`, those behind the positional ones by `keywords`.

    The function calls the public `loss`, and is it where that is not said.
    """
    loss = loss or getattr(function, "func", function)
    positional = len(makers) - len(keywords)

    def call(*arrays, **further):
        named = dict(zip(keywords, arrays[positional:], strict=True))
        return function(*arrays[:positional], **named, **further)

    return Case(name, call, tuple(makers), tuple(keywords), elementwise, loss)


def sum_of(stats):
    """Every statistic. `sum_nll` is of the size of the others, lest its rounding be theirs."""
    return stats.lse + stats.nll + stats.miss + stats.sum_nll / V + stats.entropy


def sum_of_stats(z, labels, where=None, **further):
    return sum_of(jaxent.softmax_stats(z, labels, where=where, **further))


def sum_of_linear_stats(x, W, labels, **further):
    stats = jaxent.linear_softmax_stats(x, W, labels, max_logits_bytes=4 * 8 * V, **further)
    stated = sum_of(stats)
    right = (stats.predicted == labels.astype(jnp.int32)).astype(stated.dtype)
    kept = further.get("where")
    return stated + (right if kept is None else jnp.where(kept, right, 0))


def clipped(stats, old_log_probs, advantages):
    """The loss of PPO, with every statistic added."""
    ratio = jnp.exp(-stats.nll + old_log_probs - 1)
    return sum_of(stats) - jnp.minimum(ratio * advantages, jnp.clip(ratio, 0.8, 1.2) * advantages)


def clipped_with_numbers_to_log(stats, *rows):
    return clipped(stats, *rows), {"entropy": stats.entropy, "predicted": stats.predicted}


def linear_softmax_loss(*arrays, **options):
    losses, numbers = jaxent.linear_softmax_loss(
        clipped_with_numbers_to_log, *arrays, has_aux=True, **options
    )
    del numbers
    return losses


TAIL = ("where", "weights")


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
    case(
        "linear_softmax_cross_entropy",
        jaxent.linear_softmax_cross_entropy,
        (features, kernel, classes),
    ),
    case(
        "linear_softmax_cross_entropy, all options",
        functools.partial(jaxent.linear_softmax_cross_entropy, max_logits_bytes=3 * 8 * V),
        (
            *(features, kernel, classes, bias, positive, positive, fraction, fraction),
            *(class_weights, mask, weights),
        ),
        ("bias", "softcap", "temperature", "label_smoothing", "z_loss", "class_weights", *TAIL),
    ),
    case(
        "linear_softmax_cross_entropy, distributions",
        functools.partial(jaxent.linear_softmax_cross_entropy, max_logits_bytes=3 * 8 * V),
        (features, kernel, distributions, bias, fraction, mask),
        ("bias", "label_smoothing", "where"),
    ),
    case(
        "linear_softmax_cross_entropy, few classes",
        functools.partial(jaxent.linear_softmax_cross_entropy, max_logits_bytes=3 * 8 * V),
        (features, kernel, few_classes, few_probs, mask),
        ("label_probs", "where"),
    ),
    case(
        "linear_softmax_log_probs, all options",
        functools.partial(jaxent.linear_softmax_log_probs, max_logits_bytes=3 * 8 * V),
        (features, kernel, few_classes, few_probs, bias, positive, positive, mask, weights),
        ("label_probs", "bias", "softcap", "temperature", *TAIL),
    ),
    case(
        "linear_softmax_loss",
        linear_softmax_loss,
        (features, kernel, classes, values, values),
        loss=jaxent.linear_softmax_loss,
    ),
    case(
        "linear_softmax_loss, all options",
        functools.partial(linear_softmax_loss, max_logits_bytes=3 * 8 * V, axis=0),
        (
            *(features, tied_kernel, few_classes, values, values, few_probs, bias, positive),
            *(positive, mask, weights),
        ),
        ("label_probs", "bias", "softcap", "temperature", *TAIL),
        loss=jaxent.linear_softmax_loss,
    ),
    case(
        "linear_softmax_focal_loss, all options",
        functools.partial(jaxent.linear_softmax_focal_loss, max_logits_bytes=1, axis=0),
        (
            *(features, tied_kernel, classes, bias, positive, positive, positive),
            *(class_weights, mask, weights),
        ),
        ("bias", "softcap", "temperature", "gamma", "class_weights", *TAIL),
    ),
    case(
        "linear_softmax_kl_divergence",
        jaxent.linear_softmax_kl_divergence,
        (features, kernel, features, kernel),
    ),
    case(
        "linear_softmax_kl_divergence, all options",
        functools.partial(
            jaxent.linear_softmax_kl_divergence, max_logits_bytes=4 * 8 * V, target_axis=0
        ),
        (
            *(features, kernel, features, tied_kernel, bias, bias, positive, positive, positive),
            *(mask, weights),
        ),
        ("bias", "target_bias", "softcap", "target_softcap", "temperature", *TAIL),
    ),
    case(
        "linear_softmax_jensen_shannon_divergence, all options",
        functools.partial(
            jaxent.linear_softmax_jensen_shannon_divergence, max_logits_bytes=4 * 8 * V, axis=0
        ),
        (
            *(features, tied_kernel, features, kernel, fraction, bias, bias, positive, positive),
            *(positive, mask, weights),
        ),
        (
            *("beta", "bias", "target_bias", "softcap", "target_softcap", "temperature"),
            *TAIL,
        ),
    ),
    case(
        "linear_softmax_stats",
        sum_of_linear_stats,
        (features, kernel, classes),
        loss=jaxent.linear_softmax_stats,
    ),
    case(
        "linear_softmax_stats, all options",
        functools.partial(sum_of_linear_stats, axis=0),
        (features, tied_kernel, classes, bias, positive, positive, mask),
        ("bias", "softcap", "temperature", "where"),
        loss=jaxent.linear_softmax_stats,
    ),
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
