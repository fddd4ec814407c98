"""What the examples share: scans of digits, a small convolutional network and its training."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from rich.progress import track
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OUTPUT = Path(__file__).parent / "output"
CLASSES = 10
BATCH = 64
LEARNING_RATE = 3e-3

Layer = tuple[Array, Array]  # kernel, bias
Params = tuple[Layer, Layer, Layer]
Loss = Callable[[Array, Array], Array]  # of logits and labels, to a number to make small
Score = Callable[[np.ndarray, np.ndarray], ArrayLike]  # of labels and logits of the test set


class Digits(NamedTuple):
    """Grey images (N, 8, 8, 1) in [0, 1] and, as loaded, their class indices (N,)."""

    train_images: np.ndarray
    test_images: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray


def load() -> Digits:
    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels, np.float32).reshape(-1, 8, 8, 1) / 16
    labels = np.asarray(labels, np.int32)
    split = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    return Digits(*map(np.asarray, split))


def batches(digits: Digits, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch in random order, less the few at its end that would compile a smaller step."""
    order = np.random.default_rng(seed).permutation(len(digits.train_images))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        yield digits.train_images[chosen], digits.train_labels[chosen]


def init(channels: tuple[int, int], seed: int = 0) -> Params:
    first, second = channels
    rng = np.random.default_rng(seed)

    def layer(*shape: int) -> Layer:
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)  # He et al., 2015
        return jnp.asarray(kernel, jnp.float32), jnp.zeros(shape[-1])

    return layer(3, 3, 1, first), layer(3, 3, first, second), layer(4 * 4 * second, CLASSES)


@jax.jit
def apply(params: Params, images: Array) -> Array:
    """Logits (N, CLASSES)."""
    first, second, (kernel, bias) = params
    x = convolve(first, images, stride=1)
    x = convolve(second, x, stride=2)
    return x.reshape(len(x), -1) @ kernel + bias


def convolve(layer: Layer, x: Array, stride: int) -> Array:
    kernel, bias = layer
    x = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    # Smooth, unlike relu: runs that differ by rounding alone then stay together.
    return jax.nn.gelu(x + bias)


class History(NamedTuple):
    """The loss at every step and the score on the test set after every epoch."""

    losses: np.ndarray
    scores: np.ndarray


def train(
    name: str, loss: Loss, score: Score, params: Params, digits: Digits, epochs: int
) -> History:
    steps = epochs * (len(digits.train_images) // BATCH)
    optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    @jax.jit
    def step(params, state, images, labels):
        value, grads = jax.value_and_grad(lambda p: loss(apply(p, images), labels))(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    state = optimizer.init(params)
    losses, scores = [], []
    for epoch in track(range(epochs), description=name):
        for images, labels in batches(digits, seed=epoch):
            params, state, value = step(params, state, images, labels)
            losses.append(value)
        logits = np.asarray(apply(params, digits.test_images))
        scores.append(score(digits.test_labels, logits))
    return History(np.array(losses), np.array(scores))


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"figure: {path}")
