"""The arrays that losses take, drawn at random.

Logits are standard normal, as at the start of training. A quarter of the rows is padding where a
mask drops rows, and a tenth of the classes is dropped where a mask drops classes.
"""

from collections.abc import Callable
from math import ceil

import numpy as np

from bench.shapes import Shape

Maker = Callable[[np.random.Generator, Shape], np.ndarray]


def normal(rng, shape):
    return rng.standard_normal((shape.rows, shape.classes), dtype=np.float32)


def log_probs(rng, shape):
    z = normal(rng, shape)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def probs(rng, shape):
    return np.exp(log_probs(rng, shape))


def uniform(rng, shape):
    return 0.01 + 0.98 * rng.random((shape.rows, shape.classes), dtype=np.float32)


def bits(rng, shape):
    return rng.integers(2, size=(shape.rows, shape.classes)).astype(np.float32)


def labels(rng, shape):
    return rng.integers(shape.classes, size=shape.rows, dtype=np.int32)


def few_labels(rng, shape):
    """The eight classes that a teacher likes best."""
    return rng.integers(shape.classes, size=(shape.rows, 8), dtype=np.int32)


def few_probs(rng, shape):
    return rng.dirichlet(np.ones(8), shape.rows).astype(np.float32)


def advantages(rng, shape):
    return rng.standard_normal(shape.rows, dtype=np.float32)


def old_log_probs(rng, shape):
    """Log-probabilities of the labels when they were sampled."""
    typical = np.float32(-np.log(shape.classes) - 0.5)
    return typical + np.float32(0.1) * advantages(rng, shape)


def labels_of_kept(rng, shape):
    return rng.integers(kept_classes(shape), size=shape.rows, dtype=np.int32)


def kept_classes(shape):
    return ceil(0.9 * shape.classes)


def vocabulary(rng, shape):
    """A mask (1, V), as of a vocabulary padded to a round number."""
    return np.arange(shape.classes)[None] < kept_classes(shape)


def actions(rng, shape):
    """A mask (N, V), as of the legal actions in each state."""
    return np.broadcast_to(vocabulary(rng, shape), (shape.rows, shape.classes)).copy()


def rows_kept(rng, shape):
    return np.arange(shape.rows) % 4 != 3


def padded_labels(rng, shape):
    return np.where(rows_kept(rng, shape), labels(rng, shape), -100).astype(np.int32)


def elements_kept(rng, shape):
    return rng.random((shape.rows, shape.classes)) < 0.75


def row_weights(rng, shape):
    return rng.random(shape.rows, dtype=np.float32)


def class_weights(rng, shape):
    return rng.random(shape.classes, dtype=np.float32)


def features(rng, shape):
    return rng.standard_normal((shape.rows, shape.features), dtype=np.float32)


def kernel(rng, shape):
    W = rng.standard_normal((shape.features, shape.classes), dtype=np.float32)
    return W / np.sqrt(shape.features, dtype=np.float32)


def unit(rng, shape):
    """Normalised features."""
    x = features(rng, shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def queue(rng, shape):
    """Normalised keys for the rows, and more keys as negatives."""
    return unit(rng, shape._replace(rows=max(shape.rows, shape.classes)))
