"""Losses of a linear head at the edges, their statistics, and what their programs hold."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxent
from jaxent.core.softcap import softcap
from tests import heads

cross_entropy = jaxent.linear_softmax_cross_entropy
EVERY = tuple(heads.OPTIONS)


class TestContract:
    """Rows dropped, labels that are no class, batches of nothing, classes left out."""

    def results(self, x, W, y, reduction="mean", **options):
        loss = functools.partial(
            cross_entropy, reduction=reduction, max_logits_bytes=1000, **options
        )
        return jax.value_and_grad(loss, (0, 1))(x, W, y)

    @pytest.mark.parametrize("by", ["where", "weights"])
    @pytest.mark.parametrize("held", [np.nan, np.inf, -np.inf, 3e38])
    def test_a_dropped_row_contributes_nothing_whatever_it_holds(self, by, held):
        (x, W, y), _ = heads.problem(7, 50)
        kept = np.arange(7) != 3
        x[3], y[3] = held, -100
        mask = {by: kept if by == "where" else kept.astype(np.float32)}
        got, (x_bar, W_bar) = self.results(x, W, y, **mask)
        want, (want_x, want_W) = self.results(x[kept], W, y[kept])
        np.testing.assert_allclose(got, want, rtol=1e-6)
        np.testing.assert_allclose(x_bar[kept], want_x, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(W_bar, want_W, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(x_bar[3], 0)

    @pytest.mark.parametrize("label", [-1, 50, -100, 2**31 - 1])
    def test_a_label_that_is_no_class_is_nan_without_a_gradient(self, label):
        (x, W, y), _ = heads.problem(7, 50)
        y[3] = label
        losses = cross_entropy(x, W, y, max_logits_bytes=1000)
        np.testing.assert_array_equal(np.isnan(losses), np.arange(7) == 3)
        value, (x_bar, W_bar) = self.results(x, W, y, "sum")
        others = np.arange(7) != 3
        _, (_, want) = self.results(x[others], W, y[others], "sum")
        assert np.isnan(value)
        np.testing.assert_array_equal(x_bar[3], 0)
        np.testing.assert_allclose(W_bar, want, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
    def test_a_kernel_that_is_not_finite_leaves_dropped_rows_without_a_gradient(self, reduction):
        (x, W, y), _ = heads.problem(7, 50)
        W[0, 2] = np.nan

        def loss(x, W, where):
            of_rows = {"where": where, "reduction": reduction, "max_logits_bytes": 1000}
            return jnp.sum(cross_entropy(x, W, y, **of_rows))

        value_and_grad = jax.value_and_grad(loss, (0, 1))
        _, (x_bar, _) = value_and_grad(x, W, np.arange(7) != 3)
        np.testing.assert_array_equal(x_bar[3], 0)
        value, gradients = value_and_grad(x, W, np.zeros(7, bool))
        assert value == 0
        jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0), gradients)

    def test_no_features_at_all(self):
        """Every class is as likely as another."""
        x, W, y = np.zeros((4, 0), np.float32), np.zeros((0, 5), np.float32), np.arange(4)
        for reduction in ("none", "mean"):
            losses = cross_entropy(x, W, y, reduction=reduction)
            np.testing.assert_allclose(losses, np.log(5), rtol=1e-6)
        _, gradients = self.results(x, W, y)
        assert [g.shape for g in gradients] == [(4, 0), (0, 5)]

    def test_a_bias_in_float64_is_not_cut(self):
        with jax.enable_x64(True):
            (x, W, y), _ = heads.problem(7, 50)
            bias = np.full(50, 1e-9)
            bias[0] = 0
            losses = cross_entropy(x, W, y, bias=bias)
            assert losses.dtype == np.float64
            assert np.any(losses != cross_entropy(x, W, y, bias=bias * 2))

    @pytest.mark.parametrize("wide", ["features", "kernel", "bias"])
    @pytest.mark.parametrize("narrow", ["float32", "bfloat16"])
    def test_one_argument_in_float64(self, wide, narrow):
        with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
            (x, W, y), options = heads.problem(7, 50, EVERY)
            arguments = {"features": x, "kernel": W, "bias": options["bias"]}
            dtypes = {name: "float64" if name == wide else narrow for name in arguments}
            arguments = {name: jnp.asarray(x, dtypes[name]) for name, x in arguments.items()}

            def mean(arguments):
                return cross_entropy(**arguments, labels=y, reduction="mean", max_logits_bytes=1000)

            value, gradients = jax.value_and_grad(mean)(arguments)
            assert value.dtype == np.float64
            assert {name: g.dtype for name, g in gradients.items()} == dtypes
            along = jax.jvp(jax.grad(mean), (arguments,), (arguments,))[1]
            assert {name: g.dtype for name, g in along.items()} == dtypes

    def test_nothing_kept_and_nothing_there(self):
        (x, W, y), _ = heads.problem(7, 50)
        for arguments in ((x, W, y, "mean"), (x[:0], W, y[:0], "mean")):
            value, gradients = self.results(*arguments, where=np.zeros(len(arguments[0]), bool))
            assert value == 0
            jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0), gradients)

    def test_the_mean_is_over_rows_kept_not_chunks(self):
        (x, W, y), options = heads.problem(1000, 50, ("where",))
        loss = functools.partial(cross_entropy, x, W, y, max_logits_bytes=20000, **options)
        total, count = loss(reduction="total_and_count")
        assert int(count) == options["where"].sum()
        want = heads.mean(x, W, y, **options)
        np.testing.assert_allclose(loss(reduction="mean"), want, rtol=1e-6)
        np.testing.assert_allclose(total / int(count), want, rtol=1e-6)

    @pytest.mark.parametrize("softcap", [None, 5.0])
    @pytest.mark.parametrize("label_smoothing", [None, 0.1])
    def test_a_bias_of_minus_infinity_leaves_a_class_out(self, softcap, label_smoothing):
        """As padding of a vocabulary: as if it were not there, and no gradient."""
        both = {"softcap": softcap, "label_smoothing": label_smoothing}
        (x, W, y), _ = heads.problem(7, 50)
        padded = np.concatenate([W, np.ones((heads.D, 6), np.float32)], axis=1)
        bias = np.concatenate([np.zeros(50), np.full(6, -np.inf)]).astype(np.float32)
        got, (x_bar, W_bar) = self.results(x, padded, y, bias=bias, **both)
        want, (want_x, want_W) = self.results(x, W, y, **both)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        np.testing.assert_allclose(x_bar, want_x, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(W_bar[:, :50], want_W, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(W_bar[:, 50:], 0)

    def test_statistics_leave_a_class_out(self):
        (x, W, y), _ = heads.problem(7, 50)
        padded = np.concatenate([W, np.ones((heads.D, 6), np.float32)], axis=1)
        bias = np.concatenate([np.zeros(50), np.full(6, -np.inf)]).astype(np.float32)
        got = jaxent.linear_softmax_stats(x, padded, y, bias=bias)
        want = jaxent.linear_softmax_stats(x, W, y)
        jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=2e-6), got, want)

    def test_the_slope_by_a_softcap(self):
        """Where tanh x − x sech² x cancels, and where z / c is infinite."""
        for z, cap in ((1e-2, 30.0), (0.5, 3.0), (50.0, 7.0), (1e3, 1e-36), (np.inf, 5.0)):
            got = jax.grad(softcap, 1)(jnp.float32(z), jnp.float32(cap))
            with mpmath.workprec(200):
                x = mpmath.mpf(float(np.float32(z))) / mpmath.mpf(float(np.float32(cap)))
                want = 0 if np.isinf(z) else mpmath.tanh(x) - x * mpmath.sech(x) ** 2
            np.testing.assert_allclose(got, float(want), rtol=1e-6)

    def test_debug_nans_stays_silent(self):
        (x, W, y), options = heads.problem(7, 50, EVERY)
        with jax.debug_nans(True):
            self.results(x, W, y, **options)


@pytest.mark.parametrize("gamma", [None, 1.5])
def test_a_temperature_divides_the_capped_logits(gamma):
    (x, W, y), _ = heads.problem(9, 40)
    linear = jaxent.linear_softmax_cross_entropy, jaxent.softmax_cross_entropy_with_integer_labels
    focal = jaxent.linear_softmax_focal_loss, jaxent.softmax_focal_loss
    options = {"label_smoothing": 0.1, "z_loss": 1e-2} if gamma is None else {"gamma": gamma}
    on_head, on_logits = linear if gamma is None else focal
    got = on_head(x, W, y, softcap=3.0, temperature=0.7, max_logits_bytes=500, **options)
    want = on_logits(heads.logits(x, W, softcap=3.0) / np.float32(0.7), y, **options)
    np.testing.assert_allclose(got, want, rtol=3e-6)


class TestStats:
    def test_of_logits_that_are_held(self):
        (x, W, y), options = heads.problem(9, 40, ("bias", "softcap"))
        options["temperature"] = np.float32(0.7)
        got = jaxent.linear_softmax_stats(x, W, y, max_logits_bytes=500, **options)
        z = heads.logits(x, W, options["bias"], options["softcap"])
        want = jaxent.softmax_stats(z / 0.7, y)
        jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=2e-6), got, want)
        np.testing.assert_array_equal(got.predicted, np.argmax(z, axis=-1))

    def test_of_a_row_dropped_are_finite(self):
        """Whatever its label is."""
        (x, W, y), _ = heads.problem(9, 40)
        y[2] = -100
        stats = jaxent.linear_softmax_stats(x, W, y, where=np.arange(9) != 2)
        jax.tree.map(lambda x: np.testing.assert_array_equal(np.isfinite(x), True), stats)

    def test_every_statistic_has_its_cotangent(self):
        (x, W, y), _ = heads.problem(9, 40)

        def mixed(stats):
            # The sine of a number near 100 would have few digits.
            parts = stats.lse, stats.nll, stats.miss, stats.sum_nll / 40, stats.entropy
            return sum(jnp.sum(jnp.sin(part)) for part in parts)

        def chunked(x, W):
            return mixed(jaxent.linear_softmax_stats(x, W, y, max_logits_bytes=500))

        def held(x, W):
            return mixed(jaxent.softmax_stats(x @ W, y))

        got, want = (jax.jit(jax.grad(f, (0, 1)))(x, W) for f in (chunked, held))
        jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=2e-5, atol=1e-5), got, want)


class TestMemory:
    """What the compiled programs hold."""

    N, V, D = 512, 4000, 64
    KERNEL, CHUNK = 4 * D * V, heads.bytes_of(16, V)

    def arguments(self):
        rng = np.random.default_rng(0)
        x, W = (rng.normal(size=s).astype(np.float32) for s in ((self.N, self.D), (self.D, self.V)))
        return x, W, rng.integers(0, self.V, self.N)

    def compiled(self, reduction):
        x, W, y = self.arguments()

        def loss(x, W):
            return jnp.sum(cross_entropy(x, W, y, reduction=reduction, max_logits_bytes=self.CHUNK))

        return jax.jit(jax.value_and_grad(loss, (0, 1))).lower(x, W).compile()

    @pytest.mark.parametrize("reduction", ["none", "mean"])
    def test_the_logits_are_never_all_there(self, reduction):
        program = self.compiled(reduction)
        assert f"[{self.N},{self.V}]" not in program.as_text()
        # Beside what is allowed a few floats a row, and features.
        assert program.memory_analysis().temp_size_in_bytes < self.KERNEL + 1.1 * self.CHUNK

    def test_by_default_a_chunk_has_rows_enough_for_a_fast_product(self):
        """Though the budget of a small kernel would hold fewer with a softcap."""
        x, W, y = (
            np.zeros((1024, 2), np.float32),
            np.zeros((2, 40000), np.float32),
            np.zeros(1024, int),
        )
        mean = functools.partial(cross_entropy, softcap=30.0, reduction="mean")
        assert "tensor<256x40000x" in jax.jit(jax.grad(mean)).lower(x, W, y).as_text()

    def test_a_bias_masks_the_kernel_without_a_copy_of_it(self):
        """Though its columns of bias −inf may hold NaN, which must not reach the features."""
        rows, D, V = 16, 64, 2**16

        def held(loss, *arrays):
            moving = jax.value_and_grad(loss, (0, 1))
            return jax.jit(moving).lower(*arrays).compile().memory_analysis().temp_size_in_bytes

        def loss(x, W, y, b=None):
            return cross_entropy(x, W, y, bias=b, reduction="mean")

        shapes = (
            ((rows, D), np.float32),
            ((D, V), np.float32),
            ((rows,), np.int32),
            ((V,), np.float32),
        )
        arrays = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
        assert held(loss, *arrays) < held(loss, *arrays[:3]) + D * V  # a quarter of the kernel

    @pytest.mark.parametrize("reduction", ["none", "mean"])
    @pytest.mark.parametrize(
        "names", [("softcap",), ("label_smoothing",), ("softcap", "z_loss"), EVERY], ids=" ".join
    )
    def test_options_fit_into_the_same_bytes(self, names, reduction):
        x, W, y = self.arguments()
        _, options = heads.problem(self.N, self.V, names)

        def loss(x, W):
            made = cross_entropy(
                x, W, y, reduction=reduction, max_logits_bytes=self.CHUNK, **options
            )
            return jnp.sum(made)

        for function, kernels in ((loss, 0), (jax.value_and_grad(loss, (0, 1)), 1)):
            memory = jax.jit(function).lower(x, W).compile().memory_analysis()
            assert memory.temp_size_in_bytes < kernels * self.KERNEL + 1.1 * self.CHUNK

    def test_hessian_vector_products_in_bounded_memory(self):
        x, W, y = self.arguments()

        def loss(x, W):
            return cross_entropy(x, W, y, reduction="mean", max_logits_bytes=self.CHUNK)

        def product(x, W):
            return jax.jvp(jax.grad(loss, (0, 1)), (x, W), (x, W))

        program = jax.jit(product).lower(x, W).compile()
        assert f"[{self.N},{self.V}]" not in program.as_text()
        assert program.memory_analysis().temp_size_in_bytes < 4 * self.KERNEL + 12 * self.CHUNK
