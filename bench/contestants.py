"""Who is timed: jaxent, and the peers' functions that give the same numbers.

A peer is imported when it is asked for. Some have no function for a loss, or none that takes the
same arguments, and don't take part in it: Keras computes Kullback–Leibler divergences from
probabilities only, and optax and PyTorch have no softmax focal loss. tokamax, jax-cce and ejkernel
have a linear head's loss, as a mean.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax

import jaxent
from bench.cases import CASES, GAMMA
from bench.programs import Program, through_jax, through_torch

Losses = Mapping[str, Callable[..., Any]]
HEAD = "linear_softmax_cross_entropy"  # who has none multiplies, and holds the logits


class Contestant(NamedTuple):
    """A library: its losses by jaxent's names of them, and what makes one of them run."""

    name: str
    losses: Losses
    program: Callable[..., Program] = through_jax


def load(name: str) -> Contestant:
    """Imports a library by its name and finds its losses."""
    try:
        return LOADERS[name]()
    except ModuleNotFoundError as error:
        extra = "heads" if name in PEERS_OF_HEADS else "peers"
        message = f"{name} is not installed: {error}; jaxent's extra `{extra}` has it"
        raise SystemExit(message) from None


def _jaxent() -> Contestant:
    losses = _same_names(jaxent)
    # A mean that is known to be one has its gradients made together with it.
    return Contestant("jaxent", losses | {HEAD: partial(losses[HEAD], reduction="mean")})


def _optax() -> Contestant:
    losses = importlib.import_module("optax.losses")
    of_class_numbers = losses.softmax_cross_entropy_with_integer_labels
    heads = {HEAD: lambda x, W, y: of_class_numbers(x @ W, y)}
    return Contestant("optax", _same_names(losses) | heads)


def _same_names(module: Any) -> dict[str, Callable[..., Any]]:
    return {case.name: getattr(module, case.name) for case in CASES if hasattr(module, case.name)}


def _keras() -> Contestant:
    os.environ["KERAS_BACKEND"] = "jax"
    keras = importlib.import_module("keras")
    ops, losses = keras.ops, keras.losses

    def softmax_focal(z, y):  # takes one-hot labels alone; its alpha is a factor
        one_hot = jax.nn.one_hot(y, z.shape[-1], dtype=z.dtype)
        return losses.categorical_focal_crossentropy(
            one_hot, z, alpha=1.0, gamma=GAMMA, from_logits=True
        )

    def sigmoid_focal(z, y):
        return losses.binary_focal_crossentropy(y, z, gamma=GAMMA, from_logits=True)

    return Contestant(
        "keras",
        {
            "softmax_cross_entropy_with_integer_labels": (
                lambda z, y: ops.sparse_categorical_crossentropy(y, z, from_logits=True)
            ),
            "softmax_cross_entropy": (
                lambda z, t: ops.categorical_crossentropy(t, z, from_logits=True)
            ),
            "softmax_focal_loss": softmax_focal,
            "sigmoid_binary_cross_entropy": (
                lambda z, y: ops.binary_crossentropy(y, z, from_logits=True)
            ),
            "sigmoid_focal_loss": sigmoid_focal,
            "squared_error": lambda x, t: losses.mean_squared_error(t, x),
            HEAD: lambda x, W, y: ops.sparse_categorical_crossentropy(y, x @ W, from_logits=True),
        },
    )


def _torch() -> Contestant:
    torch = importlib.import_module("torch")
    functional = importlib.import_module("torch.nn.functional")

    def kl_divergence(log_p, t, reduction, log_target=False):
        # Its own "mean" is over the elements; the divergence is a number per row.
        own = "batchmean" if reduction == "mean" else reduction
        losses = functional.kl_div(log_p, t, reduction=own, log_target=log_target)
        return losses.sum(-1) if reduction == "none" else losses

    return Contestant(
        "torch",
        {
            "softmax_cross_entropy_with_integer_labels": functional.cross_entropy,
            "softmax_cross_entropy": functional.cross_entropy,
            "sigmoid_binary_cross_entropy": functional.binary_cross_entropy_with_logits,
            "kl_divergence": kl_divergence,
            "kl_divergence_with_log_targets": partial(kl_divergence, log_target=True),
            "squared_error": functional.mse_loss,
            HEAD: lambda x, W, y, reduction: functional.cross_entropy(
                x @ W, y, reduction=reduction
            ),
        },
        partial(through_torch, torch),
    )


def _tokamax() -> Contestant:
    importlib.import_module("absl.flags").FLAGS(["bench"])  # or it would parse the bench's own
    loss = importlib.import_module("tokamax").linear_softmax_cross_entropy_loss
    return Contestant("tokamax", {HEAD: lambda x, W, y: loss(x, y, W, reduction="mean")})


def _jax_cce() -> Contestant:
    loss = importlib.import_module("jax_cce").linear_cross_entropy
    return Contestant("jax-cce", {HEAD: lambda x, W, y: loss(x, W.T, y)})


def _ejkernel() -> Contestant:
    loss = importlib.import_module("ejkernel.modules.operations").fused_cross_entropy

    def mean(x, W, y):  # with the number of tokens, and as a batch of one
        return loss(targets=y[None], hidden=x[None], lm_head_weight=W, reduction="mean")[0]

    return Contestant("ejkernel", {HEAD: mean})


LOADERS: Mapping[str, Callable[[], Contestant]] = {
    "jaxent": _jaxent,
    "optax": _optax,
    "keras": _keras,
    "torch": _torch,
    "tokamax": _tokamax,
    "jax-cce": _jax_cce,
    "ejkernel": _ejkernel,
}
PEERS = tuple(name for name in LOADERS if name != "jaxent")
# Those that the extra `heads` installs, the others being in `peers`.
PEERS_OF_HEADS = "tokamax", "jax-cce", "ejkernel"
