"""Trains a digit classifier with jaxent's loss and again with optax's: the same run, twice.

Both runs start at the same parameters and see the same batches. The accuracies and the distance of
the two loss curves are printed; the curves go to examples/output/digits.png.

    python -m examples.digits
"""

from pathlib import Path

import jax
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure

import jaxent
from examples.common import CLASSES, OUTPUT, History, init, load, save, train

SMOOTHING = 0.1
REQUIRED = 0.97  # test accuracy


def jaxent_loss(logits: Array, labels: Array) -> Array:
    return jaxent.softmax_cross_entropy_with_integer_labels(
        logits, labels, label_smoothing=SMOOTHING, reduction="mean"
    )


def optax_loss(logits: Array, labels: Array) -> Array:
    smoothed = optax.smooth_labels(jax.nn.one_hot(labels, CLASSES), SMOOTHING)
    return optax.softmax_cross_entropy(logits, smoothed).mean()


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    return (logits.argmax(axis=-1) == labels).mean()


def lowest_loss() -> float:
    """The entropy of a smoothed label: no prediction has a lower loss."""
    smoothed = (1 - SMOOTHING) * np.eye(CLASSES)[0] + SMOOTHING / CLASSES
    return -(smoothed * np.log(smoothed)).sum()


def compare(epochs: int) -> dict[str, History]:
    digits, params = load(), init(channels=(32, 64))
    losses = {"jaxent": jaxent_loss, "optax": optax_loss}
    return {
        name: train(name, loss, accuracy, params, digits, epochs) for name, loss in losses.items()
    }


def distance(histories: dict[str, History]) -> float:
    """The largest difference of the two losses at one step."""
    return np.abs(histories["jaxent"].losses - histories["optax"].losses).max()


def plot(histories: dict[str, History]) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    # Where the curves coincide, both are seen: a broad band below, thin dashes above.
    styles = {
        "jaxent": {"color": "tab:orange", "linewidth": 6, "alpha": 0.45},
        "optax": {"color": "black", "linewidth": 1, "linestyle": "--"},
    }
    for name, (losses, accuracies) in histories.items():
        steps = np.arange(1, len(losses) + 1)
        epoch_ends = steps.reshape(len(accuracies), -1)[:, -1]
        left.plot(steps, losses, label=name, **styles[name])
        right.plot(epoch_ends, accuracies, label=name, **styles[name])
    left.axhline(lowest_loss(), color="tab:blue", linewidth=1, label="lowest possible")
    right.axhline(REQUIRED, color="tab:blue", linewidth=1, label="required")
    left.set_title(f"Training loss, label smoothing {SMOOTHING}")
    right.set_title("Accuracy on the test set")
    left.set_ylabel("cross-entropy of the batch, in nats")
    right.yaxis.set_major_formatter("{x:.0%}")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(loc="center right")
    figure.suptitle(f"Same run with either loss: curves at most {distance(histories):.1e} apart")
    return figure


def main(epochs: int = 20, figure: Path = OUTPUT / "digits.png") -> None:
    histories = compare(epochs)
    save(plot(histories), figure)
    for name, (losses, accuracies) in histories.items():
        print(f"{name}: last loss {losses[-1]:.4f}, test accuracy {accuracies[-1]:.2%}")
    print(f"largest difference of the two loss curves: {distance(histories):.1e}")
    reached = histories["jaxent"].scores[-1]
    if reached < REQUIRED:
        raise SystemExit(f"the test accuracy must be at least {REQUIRED:.0%}, got {reached:.2%}")


if __name__ == "__main__":
    main()
