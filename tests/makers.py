"""The makers of random arrays that the table of losses draws from, for a batch of a shape."""

import numpy as np

V, D = 5, 3


def logits(rng, batch):
    return rng.normal(size=(*batch, V)) * 2


def features(rng, batch):
    return rng.normal(size=(*batch, D))


def kernel(rng, batch):
    return rng.normal(size=(D, V)) / 2


def bias(rng, batch):
    return rng.normal(size=V)


def numbers(rng, batch):
    return rng.normal(size=batch) * 2


def classes(rng, batch):
    return rng.integers(0, V, batch)


def probabilities(rng, batch):
    return rng.uniform(0.1, 0.9, batch)


def distributions(rng, batch):
    e = np.exp(rng.normal(size=(*batch, V)))
    return e / e.sum(-1, keepdims=True)


def log_distributions(rng, batch):
    return np.log(distributions(rng, batch))


def mask(rng, batch):
    return np.asarray(rng.uniform(size=batch) < 0.7)


def class_mask(rng, batch):
    """At least the first class of every row is kept, so that no row is dropped by chance."""
    kept = rng.uniform(size=(*batch, V)) < 0.7
    kept[..., 0] = True
    return kept


def weights(rng, batch):
    return rng.uniform(0.5, 2, batch)


def class_weights(rng, batch):
    return rng.uniform(0.5, 2, V)


def fraction(rng, batch):
    return np.asarray(rng.uniform(0.05, 0.2))


def positive(rng, batch):
    return np.asarray(rng.uniform(0.5, 3))
