"""What to write here, for calls that are right in another library."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from jax import Array

_KEYWORDS = {
    "ignore_index": "pass where=labels != ignore_index",
    "mask": "pass where= for a boolean mask, weights= for a real one",
    "sample_weight": "pass weights=, one per loss",
    "weight": "pass class_weights=, one per class, or weights=, one per loss",
    "from_logits": "losses named sigmoid_ and softmax_ take logits, the others probabilities",
    **dict.fromkeys(
        ("y_true", "y_pred", "input", "target", "targets", "preds", "predictions"),
        "pass predictions and labels by position, predictions first",
    ),
    "dim": "pass axis=",
    "size_average": "pass reduction=",
    "reduce": "pass reduction=",
    "smoothing": "pass label_smoothing=",
    "log_target": "call kl_divergence_with_log_targets",
    "logit_scale": "pass temperature=1 / logit_scale",
    "lse_square_scale": "pass z_loss=",
}


def of_keywords(given: Collection[str], known: Collection[str]) -> str:
    """What replaces the keywords that a loss does not have, for the end of a message."""
    unknown = (name for name in given if name not in known)
    hints = [f"{name}: {_KEYWORDS[name]}" for name in unknown if name in _KEYWORDS]
    return "".join(f". For {hint}" for hint in hints)


def expect_predictions_first(names: list[str], arguments: Mapping[str, Any]) -> None:
    """Keras's order, labels before predictions, can be told where only the second are floating."""
    if names[1:] != ["labels"] or not all(name in arguments for name in names):
        return
    first, second = (arguments[name] for name in names)
    if _kind(first) in "biu" and _kind(second) == "f":
        raise TypeError(
            f"{names[0]} must be floating, got {first.dtype}. The order is"
            f" ({names[0]}, labels), and the second argument is {second.dtype}"
        )


def _kind(x: Any) -> str:
    """The kind of an array's dtype, and "?" for what is no array."""
    if not isinstance(x, np.ndarray | Array):
        return "?"
    # The kind of the 16-bit floats that NumPy does not know is "V".
    return x.dtype.kind.replace("V", "f")


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


def of_class_numbers(labels: Array, name: str, logits: tuple[int, ...], axis: Any) -> str:
    """Ends a message about labels that are not class numbers of logits (..., V)."""
    if labels.shape == logits:
        return ". One-hot and soft labels go to softmax_cross_entropy or categorical_cross_entropy"
    if labels.shape == logits[:-1] and labels.dtype.kind != "b":
        return ". Where they are class numbers, pass labels.astype(int)"
    for other in range(len(logits) - 1) if axis == -1 else ():
        if labels.shape == logits[:other] + logits[other + 1 :]:
            return f" for {name} of shape {logits}: are its classes along axis={other}?"
    return ""


def of_distributions(labels: Array, rows: tuple[int, ...]) -> str:
    """Ends a message about labels that are not distributions over the classes of each row."""
    if labels.shape == rows and labels.dtype.kind in "iu":
        return ". Class numbers go to the loss whose name ends in _with_integer_labels"
    return ""
