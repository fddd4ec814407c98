"""The table of losses whose rows belong together: reduced to a number, or each other's negatives.

A reduced loss computes its gradients together with its value. Losses per row do not.
"""

import functools

import jaxent
from tests.case import TAIL, case
from tests.head_cases import linear_softmax_loss
from tests.makers import (
    V,
    bias,
    class_weights,
    classes,
    features,
    few_classes,
    fraction,
    kernel,
    key_mask,
    mask,
    positive,
    tied_kernel,
    values,
    weights,
)

# In float64 this holds a row or two.
CHUNKED = {"max_logits_bytes": 4 * 8 * V}


TOTALS = [
    case(
        "linear_softmax_cross_entropy, mean",
        functools.partial(jaxent.linear_softmax_cross_entropy, reduction="mean", **CHUNKED),
        (
            *(features, kernel, classes, bias, positive, positive, fraction, fraction),
            *(class_weights, mask, weights),
        ),
        ("bias", "softcap", "temperature", "label_smoothing", "z_loss", "class_weights", *TAIL),
    ),
    case(
        "linear_softmax_focal_loss, sum",
        functools.partial(jaxent.linear_softmax_focal_loss, reduction="sum", axis=0, **CHUNKED),
        (features, tied_kernel, classes, positive),
        ("gamma",),
    ),
    case(
        "linear_softmax_kl_divergence, weighted mean",
        functools.partial(
            jaxent.linear_softmax_kl_divergence, reduction="weighted_mean", **CHUNKED
        ),
        (features, kernel, features, kernel, positive, mask, weights),
        ("temperature", *TAIL),
    ),
    case(
        "linear_softmax_jensen_shannon_divergence, mean",
        functools.partial(
            jaxent.linear_softmax_jensen_shannon_divergence, reduction="mean", **CHUNKED
        ),
        (features, kernel, features, kernel, fraction),
        ("beta",),
    ),
    case(
        "linear_softmax_loss, mean",
        functools.partial(linear_softmax_loss, reduction="mean", **CHUNKED),
        (features, kernel, classes, values, values, mask, weights),
        TAIL,
        loss=jaxent.linear_softmax_loss,
    ),
    case(
        "info_nce",
        functools.partial(jaxent.info_nce, **CHUNKED),
        (features, features, positive, mask, weights),
        ("temperature", *TAIL),
    ),
    case(
        "info_nce, positives",
        functools.partial(jaxent.info_nce, **CHUNKED),
        (features, tied_kernel, few_classes, key_mask, positive, mask, weights),
        ("positives", "keys_where", "temperature", *TAIL),
    ),
    case(
        "info_nce, symmetric mean",
        functools.partial(jaxent.info_nce, symmetric=True, reduction="mean"),
        (features, features, positive, mask),
        ("temperature", "where"),
    ),
    case(
        "info_nce, symmetric in chunks",
        functools.partial(jaxent.info_nce, symmetric=True, reduction="mean", **CHUNKED),
        (features, features, positive),
        ("temperature",),
    ),
    case(
        "siglip_loss",
        functools.partial(jaxent.siglip_loss, **CHUNKED),
        (features, features, positive, fraction, mask, weights),
        ("scale", "bias", *TAIL),
    ),
]
