"""The pictures of docs/which-loss.md: losses and their gradients over one logit.

    python -m docs.pictures

draws one SVG for each family into docs/pictures/. jaxent computes every curve.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from matplotlib import rc_context
from matplotlib.figure import Figure

from jaxent import (
    poly_loss_cross_entropy,
    sigmoid_asymmetric_loss,
    sigmoid_binary_cross_entropy,
    sigmoid_entropy,
    sigmoid_focal_loss,
    softmax_cross_entropy_with_integer_labels,
    softmax_entropy,
    softmax_focal_loss,
    softmax_jensen_shannon_divergence,
    softmax_kl_divergence,
)

PICTURES = Path(__file__).parent / "pictures"
LOGITS = jnp.linspace(-6, 6, 601)
# The colours of Okabe and Ito, which colour-blind readers can tell apart. The first line is the
# widest, so that an equal curve does not hide it.
LINES: list[dict[str, Any]] = [
    {"color": "#000000", "linestyle": "-", "linewidth": 3.2},
    {"color": "#E69F00", "linestyle": "-"},
    {"color": "#0072B2", "linestyle": (0, (5, 2))},
    {"color": "#009E73", "linestyle": (0, (5, 1.5, 1, 1.5))},
    {"color": "#D55E00", "linestyle": (0, (1, 1.2))},
]
# Text stays text, and equal curves give equal bytes.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jaxent",
    "font.size": 9,
    "lines.linewidth": 1.8,
}

Loss = Callable[..., Array]
Curve = tuple[str, Loss]


def element(loss: Loss, *labels: int, **options: float) -> Curve:
    """A loss of one element over its logit."""
    name = in_words(loss, *(f"label {y}" for y in labels), **options)
    return name, lambda z: loss(z, *map(jnp.float32, labels), **options)


def row(loss: Loss, classes: int, *labels: Array, **options: float) -> Curve:
    """A loss of one row over the logit of class 0. The other classes have logit 0."""
    name = in_words(loss, f"{classes} classes", **options)
    return name, lambda z: loss(jnp.zeros(classes).at[0].set(z), *labels, **options)


def in_words(loss: Loss, *words: str, **options: float) -> str:
    return ", ".join([loss.__name__, *words, *(f"{k}={v:g}" for k, v in options.items())])


LABEL, ONE_HOT, TEACHER = jnp.array(0), jnp.array([1.0, 0.0, 0.0]), jnp.array([2.0, 0.0])
# The x axis, the y axis and the curves of each picture.
FAMILIES: dict[str, tuple[str, str, list[Curve]]] = {
    "binary": ("logit z (nats)", "loss", [
        *(element(sigmoid_binary_cross_entropy, y) for y in (1, 0)),
        element(sigmoid_binary_cross_entropy, 1, pos_weight=3),
        element(sigmoid_binary_cross_entropy, 1, label_smoothing=0.1),
    ]),
    "focal": ("logit z (nats)", "loss", [
        *(element(sigmoid_focal_loss, 1, gamma=gamma) for gamma in (0, 1, 2)),
        *(element(sigmoid_focal_loss, y, gamma=2, alpha=0.25) for y in (1, 0)),
    ]),
    "asymmetric": ("logit z (nats)", "loss", [
        element(sigmoid_asymmetric_loss, 0, gamma_neg=gamma, margin=margin)
        for gamma, margin in [(0, 0), (0, 0.2), (4, 0), (4, 0.05), (4, 0.2)]
    ]),
    "softmax": ("logit z of the label (nats), the others are 0", "loss", [
        row(softmax_cross_entropy_with_integer_labels, 3, LABEL),
        row(softmax_cross_entropy_with_integer_labels, 3, LABEL, label_smoothing=0.1),
        row(softmax_cross_entropy_with_integer_labels, 3, LABEL, z_loss=0.05),
        row(softmax_focal_loss, 3, LABEL, gamma=2),
        row(poly_loss_cross_entropy, 3, ONE_HOT, epsilon=2),
    ]),
    "divergences": ("student's logit z (nats), the teacher's is 2", "divergence", [
        row(softmax_kl_divergence, 2, TEACHER),
        *(row(softmax_jensen_shannon_divergence, 2, TEACHER, beta=b) for b in (0, 0.5, 1)),
    ]),
    "entropy": ("logit z (nats), the others are 0", "entropy", [
        element(sigmoid_entropy),
        *(row(softmax_entropy, classes) for classes in (2, 3)),
    ]),
}  # fmt: skip


def draw(logit: str, value: str, curves: list[Curve]) -> Figure:
    """A panel of the values and one of their gradients, above one legend."""
    figure = Figure(figsize=(8, 4.3), layout="constrained", facecolor="white")
    values, gradients = figure.subplots(1, 2)
    for (name, loss), line in zip(curves, LINES, strict=False):
        values.plot(LOGITS, jax.vmap(loss)(LOGITS), label=name, **line)
        gradients.plot(LOGITS, jax.vmap(jax.grad(loss))(LOGITS), **line)
    values.set_ylabel(f"{value} (nats)")
    gradients.set_ylabel("gradient by z (nats per nat)")
    for axes in (values, gradients):
        axes.set_xlabel(logit)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", frameon=False, handlelength=4)
    return figure


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    with rc_context(STYLE):
        for name, family in FAMILIES.items():
            draw(*family).savefig(PICTURES / f"{name}.svg", metadata={"Date": None})
