"""Reductions: what is kept, what divides, and what is left when nothing is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

X = np.array([1.0, 2.0, np.nan, 4.0], np.float32)
KEEP = np.array([True, True, False, True])
W = np.array([1.0, 0.0, 5.0, 3.0], np.float32)


@pytest.mark.parametrize(
    ("reduction", "options", "want"),
    [
        ("none", {}, [1, 2, 0, 4]),
        ("sum", {}, 7),
        ("mean", {}, 7 / 3),
        ("weighted_mean", {}, 7 / 3),
        ("total_and_count", {}, (7, 3)),
        ("total_and_weight", {}, (7, 3)),
        ("none", {"weights": W}, [1, 0, 0, 12]),
        ("sum", {"weights": W}, 13),
        ("mean", {"weights": W}, 13 / 2),
        ("weighted_mean", {"weights": W}, 13 / 4),
        ("total_and_count", {"weights": W}, (13, 2)),
        ("total_and_weight", {"weights": W}, (13, 4)),
    ],
)
def test_reduction(reduction, options, want):
    got = jaxent.reduce_losses(X, where=KEEP, reduction=reduction, **options)
    jax.tree.map(
        np.testing.assert_allclose, got, type(got)(want) if isinstance(got, tuple) else want
    )


@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
@pytest.mark.parametrize("how", ["where", "weights", "empty"])
def test_nothing_kept_gives_zero(reduction, how):
    x = X[:0] if how == "empty" else X
    options = {"where": {"where": KEEP & False}, "weights": {"weights": W * 0}}.get(how, {})

    def reduced(x):
        return jaxent.reduce_losses(x, reduction=reduction, **options)

    assert reduced(x) == 0
    np.testing.assert_array_equal(jax.grad(reduced)(jnp.asarray(x)), np.zeros(x.shape))


def test_totals_and_counts_accumulate_to_the_mean_of_all():
    rng = np.random.default_rng(0)
    x, keep = rng.normal(size=(4, 9)), rng.uniform(size=(4, 9)) < 0.6
    parts = [
        jaxent.reduce_losses(a, where=k, reduction="total_and_count")
        for a, k in zip(x, keep, strict=True)
    ]
    total, count = (sum(p) for p in zip(*parts, strict=True))
    assert (total.dtype, count.dtype) == (jnp.float32, jnp.int32)
    np.testing.assert_allclose(total / int(count), jaxent.reduce_losses(x, where=keep), rtol=1e-6)


def test_counts_are_exact_where_float32_is_not():
    """A step that keeps one loss adds one to 2^24, and 4000 steps of 16381 tokens are counted."""
    steps = 4000
    _, count = jaxent.reduce_losses(np.ones(16381, np.float32), reduction="total_and_count")
    counted = jax.lax.fori_loop(0, steps, lambda _, total: total + count, jnp.zeros((), int))
    assert counted == 65_524_000
    _, one = jaxent.reduce_losses(X, where=np.arange(4) == 0, reduction="total_and_count")
    assert jnp.asarray(2**24) + one == 2**24 + 1


def test_counts_of_heads_are_integers():
    x, W, y = np.ones((3, 2), np.float32), np.ones((2, 5), np.float32), np.array([1, 2, -100])
    for symmetric in (False, True):
        _, count = jaxent.info_nce(
            x, x, temperature=0.5, symmetric=symmetric, where=y >= 0, reduction="total_and_count"
        )
        assert count.dtype == jnp.int32
        assert count == 2
    _, count = jaxent.linear_softmax_cross_entropy(
        x, W, y, where=y >= 0, reduction="total_and_count"
    )
    assert count.dtype == jnp.int32
    assert count == 2


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_pytorch_s_weighted_mean(smoothing):
    """As its documentation has it: Σ ℓ over Σ w of the labels kept, smoothing weighted by class."""
    rng = np.random.default_rng(0)
    z, w = rng.normal(size=(6, 4)), np.array([1.0, 2.0, 0.5, 3.0])
    y = np.array([0, 1, 2, 3, -100, 1])
    kept = y != -100
    nlp = np.log(np.exp(z).sum(-1, keepdims=True)) - z
    of_label = w[y[kept]] * nlp[kept, y[kept]]
    smooth = (w * nlp[kept]).mean(-1)
    want = ((1 - smoothing) * of_label + smoothing * smooth).sum() / w[y[kept]].sum()
    total = jaxent.softmax_cross_entropy_with_integer_labels(
        z, y, where=kept, class_weights=w, label_smoothing=smoothing, reduction="sum"
    )
    np.testing.assert_allclose(total / jnp.sum(jnp.asarray(w)[y], where=kept), want, rtol=1e-6)


def test_sums_of_16_bit_losses_are_taken_in_float32():
    assert jaxent.reduce_losses(np.full(100_000, 7e4 / 2, np.float16)) == 35008.0
    total = jaxent.reduce_losses(np.ones(100_000, jnp.bfloat16), reduction="sum")
    assert total.dtype == jnp.float32
    assert total == 100_000


def test_gradient_by_weights_is_the_loss_where_kept():
    gradient = jax.grad(lambda w: jaxent.reduce_losses(X, where=KEEP, weights=w, reduction="sum"))(
        jnp.asarray(W)
    )
    np.testing.assert_array_equal(gradient, [1, 0, 0, 4])
