"""Laws that hold for every loss, on shapes, axes, options and inputs that hypothesis chooses."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxent
from jaxent.core.dense import target_stats
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxSums, WeightedSums, finalize, merge
from tests.cases import CASES

BATCHES = st.sampled_from([(), (1,), (4,), (2, 3), (0,), (3, 0, 2)])
CLASSES = st.sampled_from([1, 2, 3, 17])
SEEDS = st.integers(0, 2**32 - 1)
# The options of softmax cross-entropy that make sense for integer and dense labels alike.
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label_smoothing": st.sampled_from([0.0, 0.1, 1.0]),
        "z_loss": st.sampled_from([0.0, 1e-3]),
        "class_weights": st.just("V"),
        "where": st.sampled_from(["rows", "classes"]),
        "weights": st.just("rows"),
        "reduction": st.sampled_from(["none", "sum", "mean", "weighted_mean"]),
    },
)

integer = jaxent.softmax_cross_entropy_with_integer_labels
dense = jaxent.softmax_cross_entropy
smoothed = functools.partial(integer, label_smoothing=0.1)


def drawn(seed, batch, V, scale=3.0):
    """Logits, class indices, and a generator for more."""
    rng = np.random.default_rng(seed)
    z = (rng.normal(size=(*batch, V)) * scale).astype(np.float32)
    return z, rng.integers(0, V, batch), rng


def filled(options, rng, labels, V):
    """Arrays in place of the names in OPTIONS; a class that is a label is never dropped."""
    options = dict(options)
    is_label = labels[..., None] == np.arange(V)
    if "class_weights" in options:
        options["class_weights"] = rng.uniform(0, 2, V).astype(np.float32)
    if "weights" in options:
        options["weights"] = rng.integers(0, 3, labels.shape).astype(np.float32)
    if options.get("where") == "rows":
        options["where"] = np.asarray(rng.uniform(size=labels.shape) < 0.7)
    elif options.get("where") == "classes":
        options["where"] = is_label | (rng.uniform(size=is_label.shape) < 0.6)
    return options


@functools.cache
def program(loss, **static):
    """Value, and the derivative of its sum by the logits. Of every shape there is one program."""

    def total(z, args, options):
        value = loss(z, *args, **options, **static)
        return jnp.sum(value), value

    return jax.jit(jax.grad(total, has_aux=True))


def both(loss, z, *args, **options):
    static = {name: options.pop(name) for name in ("axis", "reduction") if name in options}
    gradient, value = program(loss, **static)(z, args, options)
    return value, gradient


def close(got, want, rtol=1e-5, atol=1e-6):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=rtol, atol=atol), got, want)


@given(SEEDS, BATCHES, CLASSES, OPTIONS)
def test_one_hot_labels_equal_integer_labels(seed, batch, V, options):
    z, y, rng = drawn(seed, batch, V)
    options = filled(options, rng, y, V)
    one_hot = (y[..., None] == np.arange(V)).astype(np.float32)
    close(both(dense, z, one_hot, **options), both(integer, z, y, **options))


@given(SEEDS, BATCHES, CLASSES, OPTIONS)
def test_every_option_is_the_formula_it_stands_for(seed, batch, V, options):
    """All options at once against smoothing, weighting and masking done by hand in float64."""
    z, y, rng = drawn(seed, batch, V)
    options = filled(options, rng, y, V)
    where = options.get("where", np.ones(batch, bool))
    classes = where if where.ndim > len(batch) else np.ones_like(z, bool)
    rows = where.any(-1) if where.ndim > len(batch) else where
    w = options.get("weights", np.ones(batch)).astype(float)
    rows = rows & (w != 0)
    amount = options.get("label_smoothing", 0)
    t = (y[..., None] == np.arange(V)) * (1.0 - amount)
    t = t + amount * classes / np.maximum(classes.sum(-1, keepdims=True), 1)
    t = t * options.get("class_weights", np.ones(V))
    e = np.exp(z.astype(float)) * classes
    lse = np.log(e.sum(-1))
    losses = (t * (lse[..., None] - z)).sum(-1) + options.get("z_loss", 0) * lse**2
    losses = np.where(rows, w * losses, 0)
    count, weight = max(rows.sum(), 1), max((rows * w).sum(), 1e-30)
    want = {
        "none": losses,
        "sum": losses.sum(),
        "mean": losses.sum() / count,
        "weighted_mean": losses.sum() / weight,
    }[options.get("reduction", "none")]
    close(integer(z, y, **options), want)


@given(SEEDS, st.sampled_from([(), (3,), (2, 3)]), st.sampled_from(["sum", "mean"]))
def test_reducing_is_reducing_the_unreduced(seed, batch, reduction):
    rng = np.random.default_rng(seed)
    losses = {
        jaxent.sigmoid_binary_cross_entropy: "binary",
        jaxent.sigmoid_focal_loss: "binary",
        jaxent.softmax_cross_entropy: "dense",
        jaxent.poly_loss_cross_entropy: "dense",
        integer: "integer",
        jaxent.softmax_focal_loss: "integer",
        jaxent.squared_error: "binary",
    }
    z = rng.normal(size=(*batch, 5)).astype(np.float32)
    labels = {"binary": rng.uniform(size=z.shape), "dense": rng.uniform(size=z.shape),
              "integer": rng.integers(0, 5, batch)}  # fmt: skip
    for loss, kind in losses.items():
        shape = z.shape if kind == "binary" else batch
        options = {"where": np.asarray(rng.uniform(size=shape) < 0.7),
                   "weights": rng.uniform(size=shape)}  # fmt: skip
        unreduced = loss(z, labels[kind], **options)
        want = jnp.sum(unreduced)
        if reduction == "mean":
            want = want / float(max(options["where"].sum(), 1))
        close(loss(z, labels[kind], **options, reduction=reduction), want)


@given(SEEDS, BATCHES, CLASSES, st.sampled_from([1.0, 1024.0, -4096.0]))
def test_a_common_shift_of_all_logits_changes_nothing(seed, batch, V, shift):
    """Logits on a grid of 1/64 stay exact under these shifts, so nothing is all that may change."""
    z, y, rng = drawn(seed, batch, V)
    z = np.round(z * 64) / 64
    t = rng.uniform(size=z.shape).astype(np.float32)
    for loss, labels in (
        (integer, (y,)),
        (jaxent.softmax_focal_loss, (y,)),
        (dense, (t,)),
        (jaxent.poly_loss_cross_entropy, (t,)),
        (jaxent.softmax_entropy, ()),
        (jaxent.softmax_kl_divergence, (z,)),
    ):
        for got, want in zip(both(loss, z + shift, *labels), both(loss, z, *labels), strict=True):
            np.testing.assert_array_equal(got, want)


@given(SEEDS, BATCHES, CLASSES, OPTIONS)
def test_permuting_the_classes_permutes_the_gradient(seed, batch, V, options):
    z, y, rng = drawn(seed, batch, V)
    options = filled(options, rng, y, V)
    order = rng.permutation(V)
    moved = {
        name: x[..., order]
        if name == "class_weights" or (name == "where" and x.ndim > len(batch))
        else x
        for name, x in options.items()
    }
    value, gradient = both(integer, z, y, **options)
    close(
        both(integer, z[..., order], np.argsort(order)[y], **moved), (value, gradient[..., order])
    )


@given(SEEDS, BATCHES, CLASSES)
def test_the_gradient_of_a_row_sums_to_zero(seed, batch, V):
    z, y, rng = drawn(seed, batch, V)
    t = rng.uniform(size=z.shape).astype(np.float32)
    for loss, labels in (
        (integer, (y,)),
        (smoothed, (y,)),
        (jaxent.softmax_focal_loss, (y,)),
        (dense, (t,)),
        (jaxent.poly_loss_cross_entropy, (t,)),
        (jaxent.softmax_entropy, ()),
    ):
        gradient = both(loss, z, *labels)[1]
        # Of numbers as large as the label's mass, to the rounding of a sum of V of them.
        bound = 1e-6 * (1 + t.sum(-1))
        np.testing.assert_array_less(np.abs(gradient.sum(-1)), bound)


@given(SEEDS, st.permutations([0, 1, 2]), st.integers(1, 3))
def test_class_axes_anywhere_are_the_last_one_flattened(seed, order, how_many):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(2, 3, 4)).astype(np.float32)
    axes, rows = tuple(order[:how_many]), tuple(sorted(order[how_many:]))
    last = np.transpose(z, (*rows, *axes)).reshape(*(z.shape[a] for a in rows), -1)
    y = rng.integers(0, last.shape[-1], last.shape[:-1])
    axis = axes if how_many > 1 else axes[0]
    value, gradient = both(integer, z, y, axis=axis)
    want, want_gradient = both(integer, last, y)
    close(value, want)
    moved = np.transpose(gradient, (*rows, *axes)).reshape(want_gradient.shape)
    close(moved, want_gradient)


@given(SEEDS, st.integers(0, len(CASES) - 1))
def test_nothing_is_shared_between_rows(seed, which):
    """A loss of two batches is the losses of each."""
    case = CASES[which]
    one, two = case.make((3,), np.float32, seed), case.make((2,), np.float32, seed + 1)
    joined = tuple(
        np.concatenate([a, b]) if i in case.batched else a
        for i, (a, b) in enumerate(zip(one, two, strict=True))
    )
    second = tuple(
        b if i in case.batched else a for i, (a, b) in enumerate(zip(one, two, strict=True))
    )
    want = np.concatenate([case.function(*one), case.function(*second)])
    close(case.function(*joined), want)


# The statistics as a monoid: parts of a row, merged in any order, are the row.


def sums_of(z, t, w):
    """The sums over a set of classes, written as the definition."""
    m = np.max(z, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        gaps = np.where(np.isinf(z), np.inf, m - z)
    e = np.exp(-gaps)
    finite = np.where(np.isinf(gaps), 0, gaps)
    sums = SoftmaxSums(
        max=m,
        rest=e.sum() - 1,
        target=WeightedSums(t.sum(), (t * finite).sum()),
        slack=(t * (1 - e)).sum(),
        classes=WeightedSums(w.sum(), (w * finite).sum()),
        moment=(e * finite).sum(),
    )
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), sums)


@given(SEEDS, st.lists(st.integers(0, 4), min_size=1, max_size=5), st.randoms())
def test_parts_of_a_row_merge_to_the_row_in_any_order(seed, sizes, random):
    rng = np.random.default_rng(seed)
    V = sum(sizes) + 1
    sizes = [*sizes, 1]
    z = rng.normal(size=V).astype(np.float32) * 3
    z[rng.uniform(size=V) < 0.2] = -np.inf
    z[-1] = 0.5
    t = np.where(np.isinf(z), 0, rng.uniform(size=V)).astype(np.float32)
    w = np.where(np.isinf(z), 0, 1).astype(np.float32)
    edges = np.cumsum([0, *sizes])
    parts = [sums_of(z[a:b], t[a:b], w[a:b]) for a, b in itertools.pairwise(edges)]
    random.shuffle(parts)
    while len(parts) > 1:
        i = random.randrange(len(parts) - 1)
        parts[i : i + 2] = [merge(parts[i], parts[i + 1])]
    rows = Rows(jnp.asarray(z)[None], classes=jnp.asarray(w)[None] == 1)
    want = target_stats(rows, jnp.asarray(t)[None], jnp.asarray(w)[None], miss=True, entropy=True)
    close(finalize(parts[0]), jax.tree.map(lambda x: x[0], want), rtol=2e-5, atol=1e-5)


@given(st.floats(0, 60, width=32), st.booleans())
def test_merging_keeps_the_tail_of_a_confident_row(margin, swapped):
    """A class exp(−margin) beside one of certainty is not lost in a sum of 1."""
    parts = [sums_of(np.float32([x]), np.float32([x > 0]), np.ones(1)) for x in (margin, 0.0)]
    stats = finalize(merge(*parts[:: -1 if swapped else 1]))
    np.testing.assert_allclose(stats.rest, np.exp(-np.float32(margin)), rtol=1e-6)
    np.testing.assert_allclose(stats.lse() - margin, np.log1p(np.exp(-margin)), atol=1e-5)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-50, 50, width=32)))
def test_integer_and_one_hot_statistics_are_one(z):
    got = jaxent.softmax_stats(z, np.arange(3))
    want = jaxent.softmax_stats(z, np.eye(4, dtype=np.float32)[:3])
    close(got, want, rtol=1e-6, atol=1e-30)
