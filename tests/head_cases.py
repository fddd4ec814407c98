"""The cases of the table whose logits a linear head makes."""

import functools

import jax.numpy as jnp

import jaxent
from tests.case import TAIL, case, sum_of
from tests.makers import (
    V,
    bias,
    class_weights,
    classes,
    distributions,
    features,
    few_classes,
    few_probs,
    fraction,
    kernel,
    mask,
    positive,
    tied_kernel,
    values,
    weights,
)


def sum_of_linear_stats(x, W, labels, **further):
    stats = jaxent.linear_softmax_stats(x, W, labels, max_logits_bytes=4 * 8 * V, **further)
    stated = sum_of(stats)
    right = (stats.predicted == labels.astype(jnp.int32)).astype(stated.dtype)
    kept = further.get("where")
    return stated + (right if kept is None else jnp.where(kept, right, 0))


def clipped(stats, old_log_probs, advantages):
    """The loss of PPO, with every statistic added. No ratio overflows, whatever the rows are."""
    ratio = jnp.exp(jnp.minimum(-stats.nll + old_log_probs - 1, 60))
    return sum_of(stats) - jnp.minimum(ratio * advantages, jnp.clip(ratio, 0.8, 1.2) * advantages)


def clipped_with_numbers_to_log(stats, *rows):
    return clipped(stats, *rows), {"entropy": stats.entropy, "predicted": stats.predicted}


def linear_softmax_loss(*arrays, **options):
    losses, numbers = jaxent.linear_softmax_loss(
        clipped_with_numbers_to_log, *arrays, has_aux=True, **options
    )
    del numbers
    return losses


HEAD_CASES = [
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
            *(classes, fraction, mask, weights),
        ),
        (
            *("bias", "target_bias", "softcap", "target_softcap", "temperature"),
            *("labels", "label_weight", *TAIL),
        ),
    ),
    case(
        "linear_softmax_jensen_shannon_divergence, all options",
        functools.partial(
            jaxent.linear_softmax_jensen_shannon_divergence, max_logits_bytes=4 * 8 * V, axis=0
        ),
        (
            *(features, tied_kernel, features, kernel, fraction, bias, bias, positive, positive),
            *(positive, classes, fraction, mask, weights),
        ),
        (
            *("beta", "bias", "target_bias", "softcap", "target_softcap", "temperature"),
            *("labels", "label_weight", *TAIL),
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
]
