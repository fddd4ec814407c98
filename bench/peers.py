"""Libraries that are timed when `--against` names them: their calls, by the names of the cases.

A peer's call takes the case's arrays and returns its losses, or their mean. Keras computes
divergences from probabilities only, and PyTorch has no focal loss, so these cases have no call.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from functools import partial

import jax

from bench.cases import BINARY, DENSE, FOCAL, HEAD, INTEGER, Loss
from bench.formulas import GAMMA


def keras() -> dict[str, Loss]:
    os.environ["KERAS_BACKEND"] = "jax"
    module = importlib.import_module("keras")
    ops, losses = module.ops, module.losses

    def softmax_focal(z, y):  # Keras takes one-hot labels, and multiplies by alpha
        t = jax.nn.one_hot(y, z.shape[-1], dtype=z.dtype)
        return losses.categorical_focal_crossentropy(t, z, 1.0, GAMMA, from_logits=True)

    def integer(z, y):
        return ops.sparse_categorical_crossentropy(y, z, from_logits=True)

    return {
        INTEGER: integer,
        DENSE: lambda z, t: ops.categorical_crossentropy(t, z, from_logits=True),
        "softmax_focal_loss": softmax_focal,
        BINARY: lambda z, y: ops.binary_crossentropy(y, z, from_logits=True),
        FOCAL: lambda z, y: losses.binary_focal_crossentropy(y, z, gamma=GAMMA, from_logits=True),
        "binary_cross_entropy": lambda p, y: ops.binary_crossentropy(y, p),
        "squared_error": lambda x, t: losses.mean_squared_error(t, x),
        HEAD: lambda x, W, y: integer(x @ W, y),
    }


def torch() -> dict[str, Loss]:
    """PyTorch's functions take a reduction, as `bench.programs` calls them."""
    functional = importlib.import_module("torch.nn.functional")
    cross_entropy = functional.cross_entropy

    def kl_divergence(log_p, t, reduction, log_target=False):
        # PyTorch's "mean" is over elements. Ours is over rows.
        own = "batchmean" if reduction == "mean" else reduction
        losses = functional.kl_div(log_p, t, reduction=own, log_target=log_target)
        return losses.sum(-1) if reduction == "none" else losses

    smoothed = partial(cross_entropy, label_smoothing=0.1)
    return {
        INTEGER: cross_entropy,
        f"{INTEGER}, smoothing (vision)": smoothed,
        f"{INTEGER}, padding (Llama)": lambda z, y, _, **kw: cross_entropy(z, y, **kw),
        DENSE: cross_entropy,
        f"{DENSE}, smoothing": smoothed,
        BINARY: functional.binary_cross_entropy_with_logits,
        "binary_cross_entropy": functional.binary_cross_entropy,
        "kl_divergence": kl_divergence,
        "kl_divergence_with_log_targets": partial(kl_divergence, log_target=True),
        "squared_error": functional.mse_loss,
        HEAD: lambda x, W, y, **kw: cross_entropy(x @ W, y, **kw),
    }


def tokamax() -> dict[str, Loss]:
    importlib.import_module("absl.flags").FLAGS(["bench"])  # else it parses our arguments
    loss = importlib.import_module("tokamax").linear_softmax_cross_entropy_loss
    return {HEAD: lambda x, W, y: loss(x, y, W, reduction="mean")}


def jax_cce() -> dict[str, Loss]:
    loss = importlib.import_module("jax_cce").linear_cross_entropy
    return {HEAD: lambda x, W, y: loss(x, W.T, y)}


def ejkernel() -> dict[str, Loss]:
    loss = importlib.import_module("ejkernel.modules.operations").fused_cross_entropy

    def mean(x, W, y):  # of a batch of one, and returned with the number of tokens
        return loss(targets=y[None], hidden=x[None], lm_head_weight=W, reduction="mean")[0]

    return {HEAD: mean}


LOADERS: Mapping[str, Callable[[], dict[str, Loss]]] = {
    "keras": keras,
    "torch": torch,
    "tokamax": tokamax,
    "jax-cce": jax_cce,
    "ejkernel": ejkernel,
}


def load(name: str) -> dict[str, Loss]:
    """Imports the peer."""
    try:
        return LOADERS[name]()
    except ModuleNotFoundError as error:
        extra = "peers" if name in ("keras", "torch") else "heads"
        raise SystemExit(f"{error}; jaxent's extra `{extra}` has {name}") from None
