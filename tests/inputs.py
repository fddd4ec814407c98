"""Inputs on which losses are compared with the oracle: over magnitudes, class counts, margins.

Each generator takes a random generator and a dtype, and yields the arguments of a loss.
"""

import ml_dtypes
import numpy as np


def magnitudes(rng, dtype, low: float, high: float, size: int) -> np.ndarray:
    """Numbers of either sign whose magnitudes are spread evenly over the decades."""
    high = min(high, float(ml_dtypes.finfo(dtype).max) / 2)
    x = 10 ** rng.uniform(np.log10(low), np.log10(high), size) * rng.choice([-1, 1], size)
    return x.astype(dtype)


def binary_logits(rng, dtype):
    largest = 1e300 if dtype == np.float64 else 1e30
    for z in (
        magnitudes(rng, dtype, 1e-30, largest, 200),
        magnitudes(rng, dtype, 1e-2, 700 if dtype == np.float64 else 87, 200),
    ):
        yield z, rng.integers(0, 2, z.size).astype(dtype)
        yield z, rng.uniform(0, 1, z.size).astype(dtype)


def probabilities(rng, size, dtype, low=1e-30):
    """Probabilities near 0, near 1 and between."""
    small = 10 ** rng.uniform(np.log10(low), 0, size)
    p = np.concatenate([small, 1 - small, rng.uniform(0, 1, size)]).astype(dtype)
    return p[(p > float(ml_dtypes.finfo(dtype).smallest_normal)) & (p < 1)]


def binary_probabilities(rng, dtype):
    p = probabilities(rng, 150, dtype)
    yield p, rng.integers(0, 2, p.size).astype(dtype)
    yield p, rng.uniform(0, 1, p.size).astype(dtype)


def rows(rng, dtype, scales):
    """Rows of logits: few and many classes, at every scale. Each number of classes compiles."""
    for V, repeats in ((2, 6), (30, 4)):
        for scale in scales:
            for _ in range(repeats):
                yield (rng.normal(size=V) * scale).astype(dtype)
    yield (rng.normal(size=1000) * scales[-1]).astype(dtype)
    yield np.zeros(30, dtype)


def ordinary(rng, dtype):
    """Logits down to 1e-30 apart and up to a spread of 2."""
    yield from rows(rng, dtype, (1e-30, 1e-8, 1e-3, 0.3, 1, 2))


def confident(rng, dtype):
    """Rows with one class up to 80 above the others."""
    yield (rng.normal(size=1000) * 8).astype(dtype)
    for margin in (5, 10, 20, 40, 60, 80):
        for V in (2, 3, 30):
            z = (rng.normal(size=V) * 0.5).astype(dtype)
            z[rng.integers(V)] = margin
            yield z
    yield np.array([20, 0, 0], dtype)


def with_class(make):
    """The likeliest class as the label, and a random one."""

    def inputs(rng, dtype):
        for z in make(rng, dtype):
            yield z, int(np.argmax(z))
            yield z, int(rng.integers(z.size))

    return inputs


def with_one_hot(make):
    def inputs(rng, dtype):
        for z, y in with_class(make)(rng, dtype):
            yield z, (np.arange(z.size) == y).astype(dtype)

    return inputs


def with_few_classes(make):
    """Two classes of each row, with probabilities."""

    def inputs(rng, dtype):
        for z in make(rng, dtype):
            yield z, rng.permutation(z.size)[:2], rng.uniform(0.1, 0.9, 2).astype(dtype)

    return inputs


def distribution(rng, V, dtype):
    t = rng.exponential(size=V)
    return (t / t.sum()).astype(dtype)


def with_distribution(make):
    def inputs(rng, dtype):
        for z in make(rng, dtype):
            yield z, distribution(rng, z.size, dtype)

    return inputs


def log_and_target(rng, dtype):
    for z in rows(rng, dtype, (0.3, 1, 2)):
        log_p = z - np.logaddexp.reduce(z.astype(float))
        yield log_p.astype(dtype), distribution(rng, z.size, dtype)


def log_and_log_target(rng, dtype):
    for log_p, t in log_and_target(rng, dtype):
        yield log_p, np.log(t.astype(float)).astype(dtype)


def two_distributions(rng, dtype):
    for V in (2, 10, 100):
        for apart in (1, 1e-3):
            p = distribution(rng, V, dtype)
            q = p.astype(float) * np.exp(rng.normal(size=V) * apart)
            yield p, q.astype(dtype)


def two_logits(rng, dtype):
    for z in rows(rng, dtype, (1e-30, 1e-3, 1)):
        for apart in (1e-3, 1):
            yield z, (z + rng.normal(size=z.size) * apart).astype(dtype)


def two_numbers(rng, dtype):
    yield magnitudes(rng, dtype, 1e-15, 1e4, 200), magnitudes(rng, dtype, 1e-15, 1e4, 200)


def one_by_one(make):
    def inputs(rng, dtype):
        return ((x,) for x in make(rng, dtype))

    return inputs


def one_distribution(rng, dtype):
    for V in (2, 10, 100):
        for _ in range(4):
            yield distribution(rng, V, dtype)


def some_probabilities(rng, dtype):
    yield probabilities(rng, 200, dtype)


def moderate(rng, dtype):
    yield magnitudes(rng, dtype, 1e-30, 80, 400)


def labels_first(make):
    """The arguments swapped, for derivatives by the labels."""

    def inputs(rng, dtype):
        return ((labels, x) for x, labels in make(rng, dtype))

    return inputs


def option_first(make, low, high):
    """An option between low and high before the arguments, for derivatives by it."""

    def inputs(rng, dtype):
        for arguments in make(rng, dtype):
            yield rng.uniform(low, high, ()).astype(dtype), *arguments

    return inputs
