"""Contrastive losses as their papers write them, in NumPy's float64, and wrong arguments."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

N, D = 9, 8
CHUNKS = {"max_logits_bytes": 2 * 4 * 3 * N}


def unit(seed, n=N):
    x = np.random.default_rng(seed).normal(size=(n, D))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


QUERIES, KEYS = unit(0), unit(1)


def log_softmax(s):
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def narrow(*arrays):
    return tuple(x.astype(np.float32) for x in arrays)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_nt_xent(temperature):
    """Chen et al., 2020: two views of each example; all other views are negatives."""
    z = np.concatenate([QUERIES, KEYS])
    s = z @ z.T / temperature
    np.fill_diagonal(s, -np.inf)
    other = (np.arange(2 * N) + N) % (2 * N)
    want = -log_softmax(s)[np.arange(2 * N), other]
    views = z.astype(np.float32)
    got = jaxent.info_nce(
        views, views, temperature=temperature, positives=other, exclude_self=True, **CHUNKS
    )
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("peers_promote")
def test_nt_xent_of_optax():
    ntxent = pytest.importorskip("optax").losses.ntxent
    z = np.concatenate([QUERIES, KEYS]).astype(np.float32)
    other = (np.arange(2 * N) + N) % (2 * N)
    got = jaxent.info_nce(
        z, z, temperature=0.07, positives=other, exclude_self=True, reduction="mean"
    )
    want = ntxent(jnp.asarray(z), np.arange(2 * N) % N, temperature=0.07)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_supervised_contrast():
    """Khosla et al., 2020, with the sum over positives outside of the logarithm."""
    z, classes = np.concatenate([QUERIES, KEYS]), np.arange(2 * N) % 4
    s = z @ z.T / 0.1
    np.fill_diagonal(s, -np.inf)
    log_p = log_softmax(s)
    same = (classes[:, None] == classes) & ~np.eye(2 * N, dtype=bool)
    want = [-log_p[i, same[i]].mean() for i in range(2 * N)]
    positives = np.where(same, np.arange(2 * N), -1)
    views = z.astype(np.float32)
    for columns in (positives, np.sort(positives)[:, -6:]):  # scattered, and compared
        got = jaxent.info_nce(
            views, views, temperature=0.1, positives=columns, exclude_self=True, **CHUNKS
        )
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_an_excluded_key_is_no_positive_among_several():
    x = np.eye(3, dtype=np.float32)
    options = {"temperature": 1.0, "exclude_self": True}
    got = jaxent.info_nce(x, x, positives=np.array([[0, 1], [1, 2], [0, -1]]), **options)
    np.testing.assert_allclose(got, np.full(3, np.log(2)), rtol=1e-6)


def siglip(queries, keys, scale, bias):
    """Zhai et al., 2023: −Σ_j log σ(z_ij) on the diagonal, −log σ(−z_ij) off it."""
    z = scale * queries @ keys.T + bias
    signs = 2 * np.eye(*z.shape) - 1
    return np.log1p(np.exp(-signs * z)).sum(axis=1)


@pytest.mark.parametrize(("scale", "bias"), [(10.0, -10.0), (1.0, 0.0)])
def test_siglip(scale, bias):
    got = jaxent.siglip_loss(*narrow(QUERIES, KEYS), scale=scale, bias=bias, **CHUNKS)
    np.testing.assert_allclose(got, siglip(QUERIES, KEYS, scale, bias), rtol=1e-5)


def test_gradients_of_siglip():
    def loss(q, k, scale, bias):
        return jaxent.siglip_loss(q, k, scale=scale, bias=bias, reduction="mean", **CHUNKS)

    def naive(q, k, scale, bias):
        z = scale * q @ k.T + bias
        return -jnp.mean(jnp.sum(jax.nn.log_sigmoid((2 * jnp.eye(N) - 1) * z), axis=1))

    arrays = *narrow(QUERIES, KEYS), np.float32(10), np.float32(-10)
    got = jax.jit(jax.grad(loss, (0, 1, 2, 3)))(*arrays)
    with jax.enable_x64(True):
        wide = [np.asarray(x, np.float64) for x in arrays]
        want = jax.device_get(jax.grad(naive, (0, 1, 2, 3))(*wide))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6 * np.abs(w).max())


def test_a_confident_pair_of_siglip_keeps_its_digits():
    q, k = np.float32([[1, 0]]), np.float32([[1, 0]])
    np.testing.assert_allclose(
        jaxent.siglip_loss(q, k, scale=40.0, bias=-10.0), [np.log1p(np.exp(-30))], rtol=1e-5
    )


@pytest.mark.parametrize(
    "loss",
    [
        functools.partial(jaxent.info_nce, temperature=0.5),
        functools.partial(jaxent.siglip_loss, scale=3.0, bias=-1.0),
    ],
    ids=["info_nce", "siglip_loss"],
)
class TestDropping:
    def test_a_dropped_pair_is_as_if_it_were_not_there(self, loss):
        q, k = narrow(QUERIES, KEYS)
        kept = np.arange(N) != 2
        want = jax.value_and_grad(lambda q, k: jnp.sum(loss(q, k)), (0, 1))(q[kept], k[kept])
        q[2], k[2] = np.nan, np.inf

        def total(q, k):
            return jnp.sum(loss(q, k, where=kept, **CHUNKS))

        value, gradients = jax.jit(jax.value_and_grad(total, (0, 1)))(q, k)
        np.testing.assert_allclose(value, want[0], rtol=1e-6)
        for got, by in zip(gradients, want[1], strict=True):
            np.testing.assert_array_equal(got[2], 0)
            np.testing.assert_allclose(got[kept], by, rtol=1e-4, atol=1e-6)

    def test_nothing_is_kept(self, loss):
        q, k = narrow(QUERIES, KEYS)
        for reduction in ("sum", "mean"):
            assert loss(q, k, where=np.zeros(N, bool), reduction=reduction) == 0

    def test_an_empty_batch(self, loss):
        nothing = np.zeros((0, D), np.float32)
        assert loss(nothing, nothing).shape == (0,)
        assert loss(nothing, nothing, reduction="mean") == 0


def test_masked_keys_are_as_if_they_were_not_there():
    q, k = narrow(QUERIES, unit(2, N + 5))
    kept = np.arange(N + 5) != N + 1
    want = jaxent.info_nce(q, k[kept], temperature=0.5)
    k[N + 1] = np.nan
    got = jaxent.info_nce(q, k, temperature=0.5, keys_where=kept, **CHUNKS)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_query_without_any_other_key():
    x = narrow(QUERIES)[0]
    alone = np.arange(N) == 3
    got = jaxent.info_nce(
        x, x, temperature=0.5, positives=np.full((N, 1), -1), exclude_self=True, keys_where=alone
    )
    assert got[3] == 0
    assert np.all(np.isfinite(got))
    positives = np.full((N, 1), 3)
    options = {"temperature": 0.5, "exclude_self": True, "keys_where": alone}
    _, count = jaxent.info_nce(x, x, positives=positives, reduction="total_and_count", **options)
    assert count == N - 1


@pytest.mark.parametrize("positives", [None, np.arange(N), np.arange(N)[:, None]])
def test_queries_without_a_key_are_dropped(positives):
    options = {"temperature": 0.5, "keys_where": np.zeros(N, bool), "positives": positives}

    def mean(q, k):
        return jaxent.info_nce(q, k, reduction="mean", **options)

    value, gradients = jax.value_and_grad(mean, (0, 1))(*narrow(QUERIES, KEYS))
    assert value == 0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_the_only_positive_is_no_key():
    kept = np.arange(N) != 4
    for positives in (None, np.arange(N)):
        got = jaxent.info_nce(
            *narrow(QUERIES, KEYS), temperature=0.5, keys_where=kept, positives=positives
        )
        np.testing.assert_array_equal(np.isposinf(got), ~kept)


def test_a_positive_that_is_no_key():
    q, k = narrow(QUERIES, KEYS)
    here = np.arange(N)
    for positives, wrong in (
        (here + (here == 4) * N, here == 4),
        (here - (here == 0), here == 0),
        (here + (here == 4) * 2**40, here == 4),
        (here.astype(np.int8) - np.int8(2), here < 2),
        (np.full((N, 2), -2), here >= 0),
        (np.full((N, 2), -1), here < 0),
        (np.stack([here, here + (here == 4) * 2**40], 1), here == 4),
    ):

        def losses(q, k, positives=positives):
            return jaxent.info_nce(q, k, temperature=0.5, positives=positives)

        np.testing.assert_array_equal(np.isnan(losses(q, k)), wrong)
        gradient = jax.grad(lambda q, k, f=losses: jnp.nansum(f(q, k)))(q, k)
        np.testing.assert_array_equal(gradient[wrong], 0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64"])
def test_positives_of_any_integer_dtype(dtype):
    x = narrow(QUERIES)[0]
    positives = np.stack([np.arange(N), (np.arange(N) + 1) % N], 1)
    options = {"temperature": 0.5, "exclude_self": True, "keys_where": np.arange(N) != 3}
    got, want = (
        jaxent.info_nce(x, x, positives=y, **options) for y in (positives.astype(dtype), positives)
    )
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_more_keys_than_the_integers_of_positives(dtype):
    q, k = narrow(QUERIES, unit(2, int(np.iinfo(dtype).max) + 1))
    positives = np.stack([np.arange(N), np.arange(N) + 3], 1)
    got, want = (
        jaxent.info_nce(q, k, temperature=0.5, positives=y)
        for y in (positives.astype(dtype), positives)
    )
    np.testing.assert_array_equal(got, want)


def test_both_ways_are_the_same_in_one_chunk_and_in_several():
    arrays = *narrow(QUERIES, KEYS), np.float32(0.2)
    kept, weights = np.arange(N) != 2, np.linspace(0.5, 2, N, dtype=np.float32)

    def loss(q, k, temperature, **options):
        return jaxent.info_nce(
            q, k, temperature=temperature, symmetric=True, where=kept, weights=weights,
            reduction="mean", **options,
        )  # fmt: skip

    got, want = (
        jax.value_and_grad(functools.partial(loss, **options), (0, 1, 2))(*arrays)
        for options in ({}, CHUNKS)
    )
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got, want)


def test_both_ways_in_several_chunks_multiply_16_bits():
    def total(q, k):
        return jaxent.info_nce(q, k, temperature=0.5, symmetric=True, reduction="mean", **CHUNKS)

    arrays = (jnp.asarray(x, jnp.bfloat16) for x in (QUERIES, KEYS))
    lowered = jax.jit(total).trace(*arrays).lower(lowering_platforms=("tpu",)).as_text()
    operands = re.findall(r"dot_general.* : \((tensor<[^>]*>), (tensor<[^>]*>)\)", lowered)
    assert operands
    assert all(x.endswith("xbf16>") for pair in operands for x in pair)


def test_both_ways_take_three_products_in_one_chunk():
    def total(q, k):
        return jaxent.info_nce(q, k, temperature=0.5, symmetric=True, reduction="mean")

    text = jax.jit(jax.grad(total, (0, 1))).lower(*narrow(QUERIES, KEYS)).as_text()
    assert text.count("stablehlo.dot_general") == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"positives": np.zeros((N, 1, 1), int)}, ValueError, r"positives must have the shape"),
        ({"positives": np.zeros(N)}, TypeError, "positives must be indices of an integer"),
        ({"positives": np.zeros(3, int)}, ValueError, r"positives must have .*\(9,\) or \(9, K\)"),
        ({"keys_where": np.ones(3, bool)}, ValueError, r"keys_where must have the shape \(9,\)"),
        ({"keys_where": np.ones(N)}, TypeError, "keys_where must be boolean"),
        ({"exclude_self": 1}, TypeError, "exclude_self must be True or False"),
        ({"exclude_self": True}, ValueError, "positives must be given where exclude_self=True"),
        ({"symmetric": True, "exclude_self": True}, ValueError, "symmetric must be False with"),
        ({"axis_name": "nowhere"}, ValueError, "axis_name must name an axis"),
    ],
)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        jaxent.info_nce(*narrow(QUERIES, KEYS), temperature=0.5, **options)


def test_one_key_cannot_be_left_out():
    with pytest.raises(ValueError, match="keys must be two or more where exclude_self=True"):
        jaxent.info_nce(
            *narrow(QUERIES[:1], KEYS[:1]),
            temperature=0.5,
            positives=np.zeros(1, int),
            exclude_self=True,
        )
