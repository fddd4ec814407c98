"""What to write here, for calls that are right in another library."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

# Keywords of other libraries, and what they are here: keywords, each where a loss has it, or a way.
_KEYWORDS: dict[str, tuple[str, ...]] = {
    "mask": ("where= for a boolean mask", "weights= for a real one"),
    "sample_weight": ("weights=, one per loss",),
    "weight": ("class_weights=, one per class", "pos_weight=", "weights=, one per loss"),
    "dim": ("axis=",),
    "size_average": ("reduction=",),
    "reduce": ("reduction=",),
    "smoothing": ("label_smoothing=",),
    "logit_scale": ("temperature=1 / logit_scale",),
    "lse_square_scale": ("z_loss=",),
    "ignore_index": ("where=labels != ignore_index",),
    "alpha": ("class_weights=, one per class",),
    "T": ("temperature=",),
}
_WAYS = {
    "from_logits": "pass logits to sigmoid_ and softmax_ functions, probabilities to others",
    "log_target": "call kl_divergence_with_log_targets",
    **dict.fromkeys(
        ("y_true", "y_pred", "input", "target", "preds"),
        "pass predictions and labels by position, predictions first",
    ),
}


def of_keywords(given: Collection[str], known: Collection[str]) -> str:
    """Ends a message about keywords that a loss does not have."""
    names: dict[str, list[str]] = {}
    for name in given:
        if name in known:
            continue
        there = [words for words in _KEYWORDS.get(name, ()) if words.split("=")[0] in known]
        if there or name in _WAYS:
            hint = f"pass {' or '.join(there)}" if there else _WAYS[name]
            names.setdefault(hint, []).append(name)
    return "".join(f". For {' and '.join(x)}, {hint}" for hint, x in names.items())


def expect_predictions_first(names: list[str], arguments: Mapping[str, Any]) -> None:
    """An error for labels before predictions, which dtypes tell if the second alone is floating."""
    if names[1:] != ["labels"] or not all(name in arguments for name in names):
        return
    first, second = (arguments[name] for name in names)
    if _is(first, np.integer, np.bool_) and _is(second, jnp.floating):
        raise TypeError(
            f"{names[0]} must be floating, got {first.dtype}. The order is"
            f" ({names[0]}, labels), and the second argument is {second.dtype}"
        )


def _is(x: Any, *kinds: Any) -> bool:
    """Whether x is an array of one of these kinds of dtype."""
    return isinstance(x, np.ndarray | Array) and any(jnp.issubdtype(x.dtype, k) for k in kinds)


def described(value: Any) -> str:
    """The type of a value, and the value where it is short; what to do with another library's."""
    kind = type(value)
    if kind.__module__.split(".")[0] in ("torch", "tensorflow"):
        return f"a {kind.__module__.split('.')[0]} {kind.__name__}: pass it through np.asarray"
    if isinstance(value, tuple | list):
        elements = ", ".join(dict.fromkeys(type(x).__name__ for x in value))
        return f"a {kind.__name__} of {len(value)} ({elements}): pass one array"
    text = repr(value)
    return f"{kind.__name__}: {text}" if len(text) < 80 else kind.__name__


def of_class_numbers(labels: Array, name: str, shape: tuple[int, ...], axis: Any) -> str:
    """Ends a message about labels that are not class numbers of an array of shape (..., V)."""
    if Counter(labels.shape) == Counter(shape):
        return (
            ". For one-hot labels, pass their jnp.argmax over the classes; soft labels go to"
            " softmax_cross_entropy or categorical_cross_entropy"
        )
    if labels.shape == shape[:-1] and _is(labels, jnp.floating):
        return ". Where they are class numbers, pass labels.astype(int)"
    others = range(len(shape) - 1) if axis == -1 else ()
    fitting = [f"axis={i}" for i in others if labels.shape == shape[:i] + shape[i + 1 :]]
    return f" for {name} of shape {shape}: is it {' or '.join(fitting)}?" if fitting else ""


def of_distributions(labels: Array, shape: tuple[int, ...]) -> str:
    """Ends a message about labels that are not distributions over classes, of a shape (..., V)."""
    if labels.shape != shape[:-1]:
        return ""
    if _is(labels, np.integer):
        return ". For class numbers, call a loss with integer labels or pass their jax.nn.one_hot"
    return ". Where they are class numbers, pass labels.astype(int)"


def of_class_mask(where: tuple[int, ...], shape: tuple[int, ...], axis: int) -> str:
    """Ends a message about a mask that is one of classes, but lacks axes of rows."""
    if [n for n in where if n != 1] != [shape[axis]]:
        return ""
    places = ["None"] * len(shape)
    places[axis] = ":"
    index = ", ".join(places).removesuffix(", :")
    mask = "where" if len(where) == 1 else "where.reshape(-1)"
    return f". For a mask of classes, the same in every row, pass {mask}[{index}]"
