"""The table of losses whose rows belong together: reduced to a number, or each other's negatives.

The gradients of a number are made with its value, which the losses per row do not do.
"""

import functools

import jaxent
from tests.cases import TAIL, case
from tests.makers import (
    V,
    bias,
    class_weights,
    classes,
    features,
    fraction,
    kernel,
    mask,
    positive,
    tied_kernel,
    weights,
)

# In float64 this holds a row or two.
CHUNKED = {"max_logits_bytes": 4 * 8 * V}
TOTALS = [
    case(
        "linear_softmax_cross_entropy, mean",
        functools.partial(jaxent.linear_softmax_cross_entropy, reduction="mean", **CHUNKED),
        (
            *(features, kernel, classes, bias, positive, fraction, fraction),
            *(class_weights, mask, weights),
        ),
        ("bias", "softcap", "label_smoothing", "z_loss", "class_weights", *TAIL),
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
        "info_nce",
        functools.partial(jaxent.info_nce, **CHUNKED),
        (features, features, positive, mask, weights),
        ("temperature", *TAIL),
    ),
    case(
        "info_nce, symmetric mean",
        functools.partial(jaxent.info_nce, symmetric=True, reduction="mean", **CHUNKED),
        (features, features, positive),
        ("temperature",),
    ),
]
