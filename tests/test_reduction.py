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
        ("none", {"weights": W}, [1, 0, 0, 12]),
        ("sum", {"weights": W}, 13),
        ("mean", {"weights": W}, 13 / 2),
        ("weighted_mean", {"weights": W}, 13 / 4),
        ("total_and_count", {"weights": W}, (13, 2)),
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
    assert total.dtype == count.dtype == jnp.float32
    np.testing.assert_allclose(total / count, jaxent.reduce_losses(x, where=keep), rtol=1e-6)


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
