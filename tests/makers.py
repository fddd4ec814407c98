"""The makers of random arrays that the table of losses draws from, for a batch of a shape."""

import numpy as np

V, D, K = 5, 3, 2


def logits(rng, batch):
    return rng.normal(size=(*batch, V)) * 2


def features(rng, batch):
    return rng.normal(size=(*batch, D))


def kernel(rng, batch):
    return rng.normal(size=(D, V)) / 2


def tied_kernel(rng, batch):
    """A kernel of layout (V, D)."""
    return rng.normal(size=(V, D)) / 2


def bias(rng, batch):
    return rng.normal(size=V)


def numbers(rng, batch):
    return rng.normal(size=batch) * 2


def classes(rng, batch):
    return rng.integers(0, V, batch)


def few_classes(rng, batch):
    """Some of each row's classes, of which the second may be none."""
    y = rng.integers(0, V, (*batch, K))
    y[..., 1] = np.where(rng.uniform(size=batch) < 0.3, -1, y[..., 1])
    return y


def few_probs(rng, batch):
    return rng.uniform(0.1, 0.5, (*batch, K))


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


def key_mask(rng, batch):
    """A mask of V keys, which leaves out the second."""
    return np.arange(V) != 1


def weights(rng, batch):
    return rng.uniform(0.5, 2, batch)


def class_weights(rng, batch):
    return rng.uniform(0.5, 2, V)


def fraction(rng, batch):
    return np.asarray(rng.uniform(0.05, 0.2))


def positive(rng, batch):
    return np.asarray(rng.uniform(0.5, 3))


def values(rng, batch):
    """Numbers that are no logits: an infinite one has no finite loss."""
    return numbers(rng, batch)


def outcomes(rng, batch):
    """Probabilities of what happened: at 0 there is no finite loss."""
    return probabilities(rng, batch)


# The same at their edges, as far out as every loss is finite: the last class is absent.


def edge_logits(rng, batch):
    """The first class is certain, in the first row by as much as float32 holds."""
    z = logits(rng, batch)
    z[..., 0] = np.resize([1e30, 90], batch)
    z[..., -1] = -np.inf
    return z


def edge_classes(rng, batch):
    return np.zeros(batch, int)


def edge_few_classes(rng, batch):
    return np.broadcast_to(np.array([0, -1]), (*batch, K))


def edge_distributions(rng, batch):
    return np.broadcast_to(np.arange(V) == 0, (*batch, V)).astype(float)


def sparse_distributions(rng, batch):
    """Each row is 0 at a class of its own."""
    t = distributions(rng, batch)
    return np.where(np.arange(V) == rng.integers(0, V, (*batch, 1)), 0, t)


def edge_log_distributions(rng, batch):
    with np.errstate(divide="ignore"):
        return np.log(edge_distributions(rng, batch))


def edge_numbers(rng, batch):
    """With the probabilities below as labels, infinite and right, or 0."""
    return np.resize([np.inf, -np.inf, 0.0], batch)


def edge_probabilities(rng, batch):
    return np.resize([1.0, 0.0, 1.0], batch)


def edge_outcomes(rng, batch):
    return np.ones(batch)


def edge_fraction(rng, batch):
    """Label smoothing of 0: any other amount puts mass on the absent class."""
    return np.zeros(())


def edge_bias(rng, batch):
    return np.where(np.arange(V) == V - 1, -np.inf, bias(rng, batch))


EDGES = {
    logits: edge_logits,
    classes: edge_classes,
    few_classes: edge_few_classes,
    distributions: edge_distributions,
    log_distributions: edge_log_distributions,
    numbers: edge_numbers,
    probabilities: edge_probabilities,
    outcomes: edge_outcomes,
    fraction: edge_fraction,
    bias: edge_bias,
}
