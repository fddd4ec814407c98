"""Hints that end an error message: calls that other libraries accept, and their form in jaxent."""

from collections import Counter
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

# Keywords of other libraries, and those of jaxent that replace them. A hint lists the ones that the
# loss has.
_KEYWORDS: dict[str, tuple[str, ...]] = {
    "mask": ("where= for a boolean mask", "weights= for a real one"),
    "sample_weight": ("weights=, one per loss",),
    "weight": ("class_weights=, one per class", "pos_weight=", "weights=, one per loss"),
    "dim": ("axis=",),
    "size_average": ("reduction=",),
    "reduce": ("reduction=",),
    "smoothing": ("label_smoothing=",),
    "logit_scale": ("scale=", "temperature=1 / logit_scale"),
    "logit_bias": ("bias=",),
    "clip": ("margin=",),
    "lse_square_scale": ("z_loss=",),
    "ignore_index": ("where=labels != ignore_index",),
    "alpha": ("class_weights=, one per class",),
    "T": ("temperature=",),
}
# Keywords of other libraries that no keyword of jaxent replaces.
_ADVICE = {
    "from_logits": "pass logits to sigmoid_ and softmax_ functions, probabilities to others",
    "log_target": "call kl_divergence_with_log_targets",
    "axis_name": "leave it out",
    **dict.fromkeys(
        ("y_true", "y_pred", "input", "target", "targets", "labels", "logits", "preds"),
        "pass predictions and labels by position, predictions first",
    ),
}
# Reductions of other libraries, and those of jaxent.
_REDUCTIONS = {
    "batchmean": "mean",
    "sum_over_batch_size": "mean",
    "mean_with_sample_weight": "weighted_mean",
}


def keyword_hint(given: Collection[str], known: Collection[str]) -> str:
    """The hint for keywords that a loss does not have."""
    names: dict[str, list[str]] = {}
    for name in given:
        if name in known:
            continue
        available = [words for words in _KEYWORDS.get(name, ()) if words.split("=")[0] in known]
        if not available and name not in _ADVICE:
            available = [f"{close}=" for close in get_close_matches(name, known, n=1)]
        if available or name in _ADVICE:
            hint = f"pass {' or '.join(available)}" if available else _ADVICE[name]
            names.setdefault(hint, []).append(name)
    return "".join(f". For {' and '.join(x)}, {hint}" for hint, x in names.items())


def reduction_hint(reduction: str) -> str:
    """The hint for the reduction of another library."""
    name = _REDUCTIONS.get(reduction)
    return f'. It is "{name}" here' if name else ""


def expect_predictions_first(names: list[str], arguments: Mapping[str, Any]) -> None:
    """Raises if the labels come first: then the second array alone is floating."""
    if names[1:] != ["labels"] or not all(name in arguments for name in names):
        return
    first, second = (arguments[name] for name in names)
    if _has_dtype(first, np.integer, np.bool_) and _has_dtype(second, jnp.floating):
        raise TypeError(
            f"{names[0]} must be floating, got {first.dtype}. The order is"
            f" ({names[0]}, labels), and the second argument is {second.dtype}"
        )


def _has_dtype(x: Any, *kinds: Any) -> bool:
    """Whether x is an array whose dtype is of one of these kinds."""
    return isinstance(x, np.ndarray | Array) and any(jnp.issubdtype(x.dtype, k) for k in kinds)


def describe(value: Any) -> str:
    """A value's type, with its text if short, or with a hint how to convert it."""
    kind = type(value)
    if kind.__module__.split(".")[0] in ("torch", "tensorflow"):
        return f"a {kind.__module__.split('.')[0]} {kind.__name__}: pass it through np.asarray"
    if isinstance(value, tuple | list):
        elements = ", ".join(dict.fromkeys(type(x).__name__ for x in value))
        return f"a {kind.__name__} of {len(value)} ({elements}): pass one array"
    text = repr(value)
    return f"{kind.__name__}: {text}" if len(text) < 80 else kind.__name__


def integer_label_hint(labels: Array, name: str, shape: tuple[int, ...], axis: Any) -> str:
    """The hint for integer labels of a wrong dtype or shape. The logits have shape (..., V)."""
    if Counter(labels.shape) == Counter(shape):
        of_logits = "softmax_cross_entropy or categorical_cross_entropy"
        takes_them = "linear_softmax_cross_entropy" if name == "features" else of_logits
        return (
            ". For one-hot labels, pass their jnp.argmax over the classes; soft labels go to"
            f" {takes_them}"
        )
    if labels.shape == (*shape[:-1], 1) and _has_dtype(labels, np.integer):
        return ". Pass labels[..., 0]"
    if labels.shape == shape[:-1] and _has_dtype(labels, jnp.floating, np.bool_):
        return ". Where they are class indices, pass labels.astype(int)"
    other_axes = range(len(shape) - 1) if axis == -1 else ()
    fitting = [f"axis={i}" for i in other_axes if labels.shape == shape[:i] + shape[i + 1 :]]
    return f" for {name} of shape {shape}: is it {' or '.join(fitting)}?" if fitting else ""


def distribution_hint(labels: Array, shape: tuple[int, ...]) -> str:
    """The hint for labels that should be distributions of shape (..., V)."""
    if labels.shape != shape[:-1]:
        return ""
    if _has_dtype(labels, np.integer):
        return ". For class indices, call a loss with integer labels or pass their jax.nn.one_hot"
    return ". Where they are class indices, pass labels.astype(int)"


def row_mask_hint(mask: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The hint for a mask of rows, of losses that are one per element."""
    if not mask or len(mask) == len(shape) or mask != shape[: len(mask)]:
        return ""
    index = ", ".join([":"] * len(mask) + ["None"] * (len(shape) - len(mask)))
    return f". To drop rows, pass jnp.broadcast_to(where[{index}], {shape})"


def class_mask_hint(where: tuple[int, ...], shape: tuple[int, ...], axis: int) -> str:
    """The hint for a mask of classes (V,) that lacks the axes of rows."""
    if [n for n in where if n != 1] != [shape[axis]]:
        return ""
    places = ["None"] * len(shape)
    places[axis] = ":"
    index = ", ".join(places).removesuffix(", :")
    mask = "where" if len(where) == 1 else "where.reshape(-1)"
    return f". For a mask of classes, the same in every row, pass {mask}[{index}]"
