"""Two heads and two sides of a batch: distillation and contrastive losses, unmaterialised."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests import heads

kl = jaxent.linear_softmax_kl_divergence


class TestDistillation:
    @pytest.mark.parametrize("temperature", [None, 3.0])
    def test_float32_against_float64(self, temperature):
        (x, W, _), _ = heads.problem(7, 1000)
        (t, U, _), _ = heads.problem(7, 1000, seed=1)
        t, U = np.concatenate([t, t], axis=1), np.concatenate([U, U])  # a wider teacher
        option = {} if temperature is None else {"temperature": temperature}
        loss = functools.partial(kl, reduction="mean", max_logits_bytes=30000, **option)

        def naive(*arrays):
            return jnp.mean(heads.kl(*arrays, **option))

        value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3)))(x, W, t, U)
        with jax.enable_x64(True):
            wide = [np.asarray(a, np.float64) for a in (x, W, t, U)]
            want, want_gradients = jax.device_get(jax.value_and_grad(naive, (0, 1, 2, 3))(*wide))
        np.testing.assert_allclose(value, want, rtol=1e-6)
        for got, by in zip(gradients, want_gradients, strict=True):
            assert heads.relative(got, by) < 2e-6

    def test_a_frozen_teacher_costs_no_product(self):
        (x, W, _), _ = heads.problem(64, 500)
        budget = 2 * heads.bytes_of(8, 500)

        def products(argnums):
            loss = functools.partial(kl, reduction="mean", max_logits_bytes=budget)
            program = jax.jit(jax.grad(loss, argnums)).lower(x, W, x, W).compile().as_text()
            return program.count(" dot(")

        # Classes come block by block for a kernel: a loop, and what is left over.
        assert products((0, 1)) == 4 + 1
        assert products((0, 1, 2, 3)) == 6 + 2

    @pytest.mark.parametrize(
        "divergence",
        [kl, functools.partial(jaxent.linear_softmax_jensen_shannon_divergence, beta=0.2)],
    )
    def test_labels_add_the_cross_entropy_of_the_same_logits(self, divergence):
        (x, W, y), _ = heads.problem(7, 40)
        (t, U, _), _ = heads.problem(7, 40, seed=1)
        where, y = np.arange(7) != 2, np.where(np.arange(7) == 2, -100, y)
        common = {"softcap": 3.0, "temperature": 2.0, "where": where, "reduction": "mean"}

        def both(x, W):
            return divergence(
                x, W, t, U, labels=y, label_weight=0.3, max_logits_bytes=3000, **common
            )

        def apart(x, W):
            hard = common | {"temperature": 1.0}
            ce = jaxent.linear_softmax_cross_entropy(x, W, y, **hard)
            return divergence(x, W, t, U, **common) + 0.3 * ce

        got, want = (jax.value_and_grad(f, (0, 1))(x, W) for f in (both, apart))
        jax.tree.map(
            lambda g, w: np.testing.assert_array_less(heads.relative(g, w), 2e-6), got, want
        )

    def test_labels_cost_no_product(self):
        (x, W, y), _ = heads.problem(64, 500)

        def products(**labels):
            loss = functools.partial(kl, reduction="mean", **labels)
            return jax.jit(jax.grad(loss, (0, 1))).lower(x, W, x, W).compile().as_text()

        assert products(labels=y).count(" dot(") == products().count(" dot(")

    def test_a_label_that_is_no_class_is_nan_in_its_row(self):
        (x, W, y), _ = heads.problem(7, 40)
        y[3] = 40
        np.testing.assert_array_equal(np.isnan(kl(x, W, x, W, labels=y)), np.arange(7) == 3)


class TestJensenShannon:
    @pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
    def test_of_two_heads_is_that_of_their_logits(self, beta):
        (x, W, _), _ = heads.problem(7, 40)
        (t, U, _), _ = heads.problem(7, 40, seed=1)
        options = {"beta": beta, "temperature": 0.7}

        def on_heads(x, W, t, U):
            return jaxent.linear_softmax_jensen_shannon_divergence(
                x, W, t, U, softcap=3.0, reduction="mean", max_logits_bytes=3000, **options
            )

        def held(x, W, t, U):
            z = heads.logits(x, W, softcap=3.0)
            losses = jaxent.softmax_jensen_shannon_divergence(z, t @ U, **options)
            return jnp.mean(losses)

        got, want = (jax.value_and_grad(f, (0, 1, 2, 3))(x, W, t, U) for f in (on_heads, held))
        jax.tree.map(
            lambda g, w: np.testing.assert_array_less(heads.relative(g, w), 1e-5), got, want
        )

    def test_the_limits_are_both_divergences_of_kullback_and_leibler(self):
        rng = np.random.default_rng(0)
        z, t = (rng.normal(size=(4, 9)).astype(np.float32) for _ in range(2))
        divergence = jaxent.softmax_jensen_shannon_divergence
        np.testing.assert_array_equal(divergence(z, t, beta=0), jaxent.softmax_kl_divergence(z, t))
        np.testing.assert_array_equal(divergence(z, t, beta=1), jaxent.softmax_kl_divergence(t, z))
        # As arrays they are weights of both terms, one of which is 0.
        apart = np.float32([[0, 20, -np.inf]]), np.float32([[20, 0, 0]])
        for beta in (0, 1):
            np.testing.assert_array_equal(divergence(*apart, beta=np.float32(beta)), 0)
        # Over β the divergence tends to the first of them.
        near = divergence(z, t, beta=1e-3) / 1e-3
        np.testing.assert_allclose(near, jaxent.softmax_kl_divergence(z, t), rtol=1e-2)


class TestInfoNCE:
    def naive(self, q, k, T):
        return -jnp.diagonal(jax.nn.log_softmax(q @ k.T / T))

    def arrays(self, extra=0, dtype=np.float32):
        rng = np.random.default_rng(0)
        queries, keys = (rng.normal(size=(n, 8)) for n in (9, 9 + extra))
        unit = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, keys))
        return tuple(x.astype(dtype) for x in unit)

    def test_gradients_of_both_ways_are_rounded_once(self):
        arrays = [jnp.asarray(x) for x in self.arrays(dtype=jnp.bfloat16)]
        loss = functools.partial(jaxent.info_nce, temperature=1.0, symmetric=True, reduction="sum")
        wide = [x.astype(np.float32) for x in arrays]
        gradient = jax.jit(jax.grad(loss, (0, 1)))
        for got, want in zip(gradient(*arrays), gradient(*wide), strict=True):
            apart = np.abs(got.astype(np.float32) - want.astype(jnp.bfloat16).astype(np.float32))
            assert np.max(apart / np.maximum(np.abs(want), 1e-3)) <= 2**-8

    @pytest.mark.parametrize("operands", ["float8_e4m3fn", "float8_e5m2"])
    def test_dtypes_without_a_common_one(self, operands):
        queries, keys = self.arrays()
        with pytest.raises(TypeError, match="keys must have a dtype to which JAX promotes"):
            jaxent.info_nce(jnp.asarray(queries, operands), keys, temperature=1.0)

    @pytest.mark.parametrize("extra", [0, 5])
    def test_float32_against_float64(self, extra):
        arrays = *self.arrays(extra), np.float32(0.07)

        def loss(q, k, T):
            return jaxent.info_nce(q, k, temperature=T, reduction="mean", max_logits_bytes=200)

        def naive(*arrays):
            return jnp.mean(self.naive(*arrays))

        value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*arrays)
        with jax.enable_x64(True):
            wide = [np.asarray(a, np.float64) for a in arrays]
            want, want_gradients = jax.device_get(jax.value_and_grad(naive, (0, 1, 2))(*wide))
        np.testing.assert_allclose(value, want, rtol=1e-6)
        for got, by in zip(gradients, want_gradients, strict=True):
            assert heads.relative(got, by) < 2e-6

    def test_symmetric_is_the_mean_of_both_directions(self):
        q, k = self.arrays()
        both = jaxent.info_nce(q, k, temperature=0.1, symmetric=True)
        want = (self.naive(q, k, 0.1) + self.naive(k, q, 0.1)) / 2
        np.testing.assert_allclose(both, want, rtol=1e-5)

    def test_an_empty_batch(self):
        nothing = np.zeros((0, 8), np.float32)
        assert jaxent.info_nce(nothing, nothing, temperature=1.0).shape == (0,)
        assert jaxent.info_nce(nothing, nothing, temperature=1.0, reduction="mean") == 0

    @pytest.mark.parametrize("symmetric", [False, True])
    def test_a_dropped_pair_is_no_negative(self, symmetric):
        q, k = self.arrays()
        q[2] = k[2] = np.nan
        kept = np.arange(9) != 2
        loss = functools.partial(jaxent.info_nce, symmetric=symmetric, reduction="mean")
        results = jax.value_and_grad(
            lambda q, k, T, **options: loss(q, k, temperature=T, **options), (0, 1, 2)
        )
        got, (q_bar, k_bar, T_bar) = results(q, k, 0.1, where=kept)
        want, (want_q, want_k, want_T) = results(q[kept], k[kept], 0.1)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        np.testing.assert_allclose(T_bar, want_T, rtol=1e-5)
        for gradient, by in ((q_bar, want_q), (k_bar, want_k)):
            np.testing.assert_allclose(gradient[kept], by, rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(gradient[2], 0)
