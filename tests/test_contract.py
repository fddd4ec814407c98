"""The numerics contract (docs/numerics.md), line by line."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

INF, NAN = np.inf, np.nan
binary = jaxent.sigmoid_binary_cross_entropy
focal = jaxent.sigmoid_focal_loss
dense = jaxent.softmax_cross_entropy
integer = jaxent.softmax_cross_entropy_with_integer_labels

INTEGER_LOSSES = {
    "softmax CE": integer,
    "smoothed": lambda *a, **k: integer(*a, label_smoothing=0.1, z_loss=1e-3, **k),
    "class-weighted": lambda *a, **k: integer(*a, class_weights=np.arange(1.0, 4), **k),
    "focal": jaxent.softmax_focal_loss,
}
DENSE_LOSSES = {
    "softmax CE": dense,
    "smoothed": lambda *a, **k: dense(*a, label_smoothing=0.1, z_loss=1e-3, **k),
    "poly": jaxent.poly_loss_cross_entropy,
}
BINARY_LOSSES = {
    "BCE": binary,
    "BCE with pos_weight": functools.partial(binary, pos_weight=3.0),
    **{f"focal {g}": functools.partial(focal, gamma=g) for g in (0.0, 0.5, 1.0, 2.0)},
}
integer_losses = pytest.mark.parametrize("loss", INTEGER_LOSSES.values(), ids=INTEGER_LOSSES)
dense_losses = pytest.mark.parametrize("loss", DENSE_LOSSES.values(), ids=DENSE_LOSSES)
binary_losses = pytest.mark.parametrize("loss", BINARY_LOSSES.values(), ids=BINARY_LOSSES)


def value_and_grad(loss, z, *args, **kwargs):
    """Losses, and the derivative of their sum: each row's own, since rows do not mix."""
    value, pullback = jax.vjp(lambda z: loss(z, *args, **kwargs), jnp.asarray(z))
    return value, pullback(jnp.ones_like(value))[0]


def jvp(loss, z, *args, **kwargs):
    z = jnp.asarray(z)
    return jax.jvp(lambda z: loss(z, *args, **kwargs), (z,), (jnp.ones_like(z),))[1]


Z = np.array([[1.0, 2, 3], [0, -1, 4], [2, 2, 2]], np.float32)
T = np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0.5, 0.5]], np.float32)
WHATEVER = [NAN, INF, -INF, -100.0, 3e38]


class TestIntegerLabels:
    @integer_losses
    @pytest.mark.parametrize(
        "label",
        [
            np.int32(-1), np.int32(3), np.int32(-100), np.uint8(255), np.int8(-128),
            np.int64(2**63 - 1), np.int64(2**32 + 1), np.uint64(2**64 - 1), np.uint32(2**31 + 1),
        ],
        ids=str,
    )  # fmt: skip
    def test_out_of_range_is_nan_in_that_row_alone_with_no_gradient(self, loss, label):
        labels = np.array([0, label, 2], label.dtype)
        value, gradient = value_and_grad(loss, Z, labels)
        clean, clean_gradient = value_and_grad(loss, Z, np.array([0, 1, 2]))
        assert np.isnan(value[1])
        np.testing.assert_array_equal(gradient[1], 0)
        np.testing.assert_array_equal(np.delete(value, 1), np.delete(clean, 1))
        np.testing.assert_array_equal(np.delete(gradient, 1, 0), np.delete(clean_gradient, 1, 0))

    @integer_losses
    @pytest.mark.parametrize("held", [NAN, INF, -INF])
    def test_no_gradient_whatever_the_row_holds(self, loss, held):
        z = Z.copy()
        z[1] = held
        np.testing.assert_array_equal(value_and_grad(loss, z, np.array([0, -1, 2]))[1][1], 0)

    @integer_losses
    def test_masking_after_the_loss_is_safe(self, loss):
        labels = np.array([0, -100, 2])

        def masked(z):
            return jnp.where(labels >= 0, loss(z, labels), 0.0).sum()

        value, gradient = jax.value_and_grad(masked)(jnp.asarray(Z))
        want = value_and_grad(loss, Z[[0, 2]], labels[[0, 2]])
        np.testing.assert_allclose(value, want[0].sum(), rtol=1e-6)
        np.testing.assert_allclose(gradient[np.array([0, 2])], want[1], rtol=1e-6)
        np.testing.assert_array_equal(gradient[1], 0)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("label_smoothing", 0.1),
            ("z_loss", 0.1),
            ("class_weights", np.ones(3)),
            ("weights", np.ones(3)),
        ],
    )
    def test_masking_after_the_loss_is_safe_for_options_too(self, name, value):
        labels = np.array([0, -100, 2])

        def masked(option):
            return jnp.where(labels >= 0, integer(Z, labels, **{name: option}), 0.0).sum()

        assert np.all(np.isfinite(jax.grad(masked)(jnp.asarray(value))))

    def test_statistics_of_dropped_rows_are_finite(self):
        keep = np.array([True, False, True])
        stats = jaxent.softmax_stats(Z, np.array([0, -100, -1]), where=keep)
        np.testing.assert_array_equal(np.isnan(stats.nll), [False, False, True])
        np.testing.assert_array_equal(np.isnan(stats.miss), [False, False, True])

    @pytest.mark.parametrize("dtype", ["uint8", "int8"])
    def test_narrow_labels_do_not_wrap(self, dtype):
        """At 1000 classes an iota in uint8 makes four ones for label 44."""
        z = np.random.default_rng(0).normal(size=(1, 1000)).astype(np.float32)
        got = value_and_grad(integer, z, np.array([44], dtype))
        want = value_and_grad(integer, z, np.array([44]))
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_equal(g, w)

    def test_large_classes_are_not_rounded(self):
        """In bfloat16 class 777 would be 776."""
        z = np.zeros((1, 1000), jnp.bfloat16)
        z[0, 777] = 10
        assert integer(z, np.array([777]))[0] < 0.1 < integer(z, np.array([776]))[0]

    def test_scalars_and_numpy_are_accepted(self):
        want = integer(jnp.asarray(Z[0]), jnp.asarray(2))
        assert integer(Z[0], 2) == want
        assert integer(Z[0], np.int64(2)) == want
        assert np.isnan(integer(Z[0], 2**70))


class TestDropped:
    @integer_losses
    @pytest.mark.parametrize("held", WHATEVER)
    @pytest.mark.parametrize("how", ["where", "weights", "classes"])
    def test_a_dropped_row_contributes_nothing(self, loss, held, how):
        z = Z.copy()
        z[1] = held
        labels = np.array([0, -100, 2])
        keep = np.array([True, False, True])
        by = {
            "where": {"where": keep},
            "weights": {"weights": keep.astype(np.float32)},
            "classes": {"where": np.broadcast_to(keep[:, None], z.shape)},
        }[how]
        value, gradient = value_and_grad(loss, z, labels, **by)
        want, want_gradient = value_and_grad(loss, Z[keep], labels[keep])
        np.testing.assert_allclose(value[keep], want, rtol=1e-6)
        np.testing.assert_allclose(gradient[keep], want_gradient, rtol=1e-6)
        assert value[1] == 0
        np.testing.assert_array_equal(gradient[1], 0)
        mean, mean_gradient = jax.value_and_grad(lambda z: loss(z, labels, reduction="mean", **by))(
            jnp.asarray(z)
        )
        np.testing.assert_allclose(mean, want.mean(), rtol=1e-6)
        np.testing.assert_allclose(mean_gradient[keep], want_gradient / 2, rtol=1e-6)
        np.testing.assert_array_equal(mean_gradient[1], 0)

    @dense_losses
    @pytest.mark.parametrize("held", WHATEVER)
    def test_a_dropped_row_of_dense_labels(self, loss, held):
        z, t = Z.copy(), T.copy()
        z[1], t[1] = held, held
        keep = np.array([True, False, True])
        value, (gradient, by_labels) = jax.value_and_grad(
            lambda z, t: loss(z, t, where=keep, reduction="mean"), (0, 1)
        )(jnp.asarray(z), jnp.asarray(t))
        np.testing.assert_allclose(value, loss(Z[keep], T[keep], reduction="mean"), rtol=1e-6)
        np.testing.assert_array_equal(gradient[1], 0)
        np.testing.assert_array_equal(by_labels[1], 0)
        assert np.all(np.isfinite(gradient))

    @pytest.mark.parametrize("held", WHATEVER)
    def test_a_dropped_row_has_no_share_in_the_gradients_of_options(self, held):
        z, t, w = Z.copy(), T.copy(), np.array([1, held, 1], np.float32)
        z[1], t[1] = held, held
        keep = np.array([True, False, True])
        options = {"label_smoothing": 0.1, "z_loss": 0.1, "class_weights": np.ones(3, np.float32)}
        for loss, labels in ((dense, t), (integer, np.array([0, -100, 2]))):

            def total(options, loss=loss, labels=labels):
                return loss(z, labels, where=keep, weights=w, reduction="sum", **options)

            got = jax.grad(total)(options)

            def kept(options, loss=loss, labels=labels):
                return loss(z[keep], labels[keep], reduction="sum", **options)

            jax.tree.map(
                functools.partial(np.testing.assert_allclose, rtol=1e-5),
                got,
                jax.grad(kept)(options),
            )

    @binary_losses
    @pytest.mark.parametrize("held", WHATEVER)
    def test_a_dropped_element(self, loss, held):
        z, y, keep = np.array([1.0, held, -2]), np.array([1.0, held, 0]), np.array([1, 0, 1])
        for by in ({"where": keep == 1}, {"weights": keep}):
            reduced = functools.partial(loss, labels=y, reduction="mean", **by)
            mean, gradient = jax.value_and_grad(reduced)(jnp.asarray(z))
            want = loss(z[[0, 2]], y[[0, 2]], reduction="mean")
            np.testing.assert_allclose(mean, want, rtol=1e-6)
            assert gradient[1] == 0
            assert np.all(np.isfinite(gradient))

    @integer_losses
    @pytest.mark.parametrize("held", WHATEVER)
    def test_a_dropped_class_is_as_if_it_were_not_there(self, loss, held):
        if loss is INTEGER_LOSSES["class-weighted"]:
            loss = integer  # the weights would need a class less
        z = np.insert(Z, 1, held, axis=1)
        keep = np.broadcast_to(np.array([True, False, True, True]), z.shape)
        value, gradient = value_and_grad(loss, z, np.array([0, 2, 3]), where=keep)
        want, want_gradient = value_and_grad(loss, Z, np.array([0, 1, 2]))
        np.testing.assert_allclose(value, want, rtol=1e-6)
        np.testing.assert_allclose(np.delete(gradient, 1, 1), want_gradient, rtol=1e-6)
        np.testing.assert_array_equal(gradient[:, 1], 0)

    def test_a_label_on_a_dropped_class_costs_infinity(self):
        keep = np.array([[True, False, True]])
        assert integer(Z[:1], np.array([1]), where=keep) == INF
        assert dense(Z[:1], T[:1], where=keep) == INF


class TestInfinities:
    ROW = np.array([[1.0, -INF, 2.0]], np.float32)

    @pytest.mark.parametrize("loss", [integer, jaxent.softmax_focal_loss])
    def test_a_class_at_minus_infinity_without_label_mass(self, loss):
        value, gradient = value_and_grad(loss, self.ROW, np.array([2]))
        want, want_gradient = value_and_grad(loss, self.ROW[:, [0, 2]], np.array([1]))
        np.testing.assert_array_equal(value, want)
        np.testing.assert_array_equal(gradient[0, [0, 2]], want_gradient[0])
        assert gradient[0, 1] == 0
        assert np.isfinite(jvp(loss, self.ROW, np.array([2])))

    def test_a_class_at_minus_infinity_without_dense_label_mass(self):
        t = np.array([[0.25, 0, 0.75]], np.float32)
        for loss in (dense, jaxent.poly_loss_cross_entropy):
            (gradient, by_labels) = jax.grad(lambda *a, f=loss: f(*a).sum(), (0, 1))(
                jnp.asarray(self.ROW), jnp.asarray(t)
            )
            want = loss(self.ROW[:, [0, 2]], t[:, [0, 2]])
            np.testing.assert_allclose(loss(self.ROW, t), want, rtol=1e-6)
            assert gradient[0, 1] == 0
            assert np.all(np.isfinite(gradient))
            assert np.all(np.isfinite(by_labels))
            assert np.isfinite(jvp(loss, self.ROW, t))

    @pytest.mark.parametrize("labels", [np.array([2]), np.array([[0, 0, 1]], np.float32)])
    def test_a_class_at_minus_infinity_gives_class_weights_finite_gradients(self, labels):
        loss = integer if labels.ndim == 1 else dense
        by_weights = jax.grad(
            lambda w: loss(self.ROW, labels, class_weights=w, label_smoothing=0.0).sum()
        )(jnp.ones(3))
        np.testing.assert_allclose(by_weights, [0, 0, np.log1p(np.exp(-1))], rtol=1e-6)

    @integer_losses
    def test_label_mass_on_minus_infinity_costs_infinity(self, loss):
        value, gradient = value_and_grad(loss, self.ROW, np.array([1]))
        assert value == INF
        assert np.all(np.isfinite(gradient))

    @dense_losses
    def test_dense_label_mass_on_minus_infinity_costs_infinity(self, loss):
        value, gradient = value_and_grad(loss, self.ROW, np.full((1, 3), 1 / 3, np.float32))
        assert value == INF
        assert np.all(np.isfinite(gradient))

    @pytest.mark.parametrize("amount", [0.0, 1.0])
    def test_smoothing_by_nothing_or_all_leaves_no_trace_of_the_other(self, amount):
        loss = integer(self.ROW, np.array([2]), label_smoothing=amount)
        assert np.isfinite(loss) == (amount == 0)

    @integer_losses
    @pytest.mark.parametrize("held", [[-INF] * 3, [INF, 0, 0], [NAN, 0, 0]], ids=str)
    def test_a_row_without_a_softmax_is_nan_alone(self, loss, held):
        z = Z.copy()
        z[1] = held
        value = loss(z, np.array([0, 1, 2]))
        assert np.isnan(value[1])
        np.testing.assert_array_equal(np.delete(value, 1), loss(Z[[0, 2]], np.array([0, 2])))

    @dense_losses
    @pytest.mark.parametrize("held", [[-INF] * 3, [INF, 0, 0], [NAN, 0, 0]], ids=str)
    def test_a_dense_row_without_a_softmax_is_nan_alone(self, loss, held):
        z = Z.copy()
        z[1] = held
        np.testing.assert_array_equal(np.isnan(loss(z, T)), [False, True, False])

    @binary_losses
    @pytest.mark.parametrize("z", [INF, -INF, 1e4, -1e4, 1e38, -1e38])
    def test_binary_right_is_zero_and_wrong_is_infinite(self, loss, z):
        z = np.float32(z)
        right, wrong = (z > 0) * 1.0, (z < 0) * 1.0
        value, gradient = value_and_grad(loss, z, right)
        assert value == 0
        assert gradient == 0
        value, gradient = value_and_grad(loss, z, wrong)
        slope = 3 if loss is BINARY_LOSSES["BCE with pos_weight"] and wrong else 1
        np.testing.assert_allclose(value, slope * abs(z), rtol=1e-6)
        np.testing.assert_allclose(gradient, slope * np.sign(z), rtol=1e-6)
        np.testing.assert_allclose(jvp(loss, z, wrong), slope * np.sign(z), rtol=1e-6)
        assert jvp(loss, z, right) == 0

    @pytest.mark.parametrize("z", [INF, -INF, 1e38])
    @pytest.mark.parametrize("y", [0.0, 1.0])
    def test_an_infinite_focal_loss_has_no_nan_in_its_gradient_by_alpha(self, z, y):
        by_alpha = jax.grad(lambda alpha: focal(z, y, alpha=alpha))(0.25)
        right = (z > 0) == (y == 1)
        np.testing.assert_allclose(by_alpha, 0 if right else np.copysign(abs(z), y - 0.5))

    def test_entropies(self):
        np.testing.assert_array_equal(jaxent.sigmoid_entropy(np.array([INF, -INF])), 0)
        np.testing.assert_array_equal(jax.grad(jaxent.sigmoid_entropy)(INF), 0)
        value, gradient = value_and_grad(jaxent.softmax_entropy, self.ROW)
        want, want_gradient = value_and_grad(jaxent.softmax_entropy, self.ROW[:, [0, 2]])
        np.testing.assert_array_equal(value, want)
        np.testing.assert_array_equal(gradient[0, [0, 2]], want_gradient[0])
        assert gradient[0, 1] == 0

    def test_zero_times_log_zero_from_probabilities(self):
        p = np.array([0.0, 1.0, 0.3], np.float32)
        for epsilon in (0.0, 1e-7):
            value, gradient = value_and_grad(
                jaxent.binary_cross_entropy, p, np.array([0, 1, 1]), epsilon=epsilon
            )
            np.testing.assert_allclose(value, [0, 0, -np.log(0.3)], rtol=1e-6)
            assert np.all(np.isfinite(gradient))
        by_labels = jax.grad(lambda y: jaxent.binary_cross_entropy(p[2], y, epsilon=0.0))(0.3)
        np.testing.assert_allclose(by_labels, np.log(0.7) - np.log(0.3), rtol=1e-5)
        t = np.array([0.0, 0.5, 0.5], np.float32)
        for loss in (jaxent.categorical_cross_entropy, jaxent.jensen_shannon_divergence):
            value, gradient = value_and_grad(loss, np.array([0, 0.4, 0.6], np.float32), t)
            assert np.isfinite(value)
            assert np.all(np.isfinite(gradient))
        value, gradient = value_and_grad(jaxent.entropy, t)
        np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
        assert np.all(np.isfinite(gradient))

    def test_zero_times_log_zero_in_divergences(self):
        t = np.array([0.0, 0.5, 0.5], np.float32)
        with np.errstate(divide="ignore"):
            log_t = np.log(t)
        for targets, loss in (
            (t, jaxent.kl_divergence),
            (log_t, jaxent.kl_divergence_with_log_targets),
            (t, jaxent.generalized_kl_divergence),
            (log_t, jaxent.softmax_kl_divergence),
        ):
            value, gradient = value_and_grad(loss, log_t, targets)
            np.testing.assert_allclose(value, 0, atol=1e-7)
            assert np.all(np.isfinite(gradient))
            assert np.isfinite(jvp(loss, log_t, targets))

    @pytest.mark.parametrize("log_targets", [False, True])
    def test_target_mass_where_nothing_is_predicted_diverges(self, log_targets):
        log_p, t = np.array([-INF, 0.0], np.float32), np.array([0.5, 0.5], np.float32)
        if log_targets:
            assert jaxent.kl_divergence_with_log_targets(log_p, np.log(t)) == INF
        else:
            assert jaxent.kl_divergence(log_p, t) == INF
        assert jaxent.softmax_kl_divergence(log_p, np.log(t)) == INF


def test_debug_nans_stays_silent_on_legitimate_input():
    rows = np.array([[1.0, -INF, 2.0], [0, 0, 0], [1e30, -1e30, 0]], np.float32)
    ends = np.array([INF, -INF, 0.0, 1e30], np.float32)
    with jax.debug_nans(True):
        value_and_grad(integer, rows, np.array([2, 0, 1]), label_smoothing=0.0, z_loss=1e-3)
        value_and_grad(jaxent.softmax_focal_loss, rows, np.array([2, 0, 1]), gamma=0.5)
        value_and_grad(dense, rows, np.eye(3, dtype=np.float32)[[2, 0, 1]])
        value_and_grad(jaxent.softmax_entropy, rows)
        value_and_grad(jaxent.softmax_kl_divergence, rows, rows)
        for loss in BINARY_LOSSES.values():
            value_and_grad(loss, ends, np.array([1.0, 0, 1, 1]))
            value_and_grad(loss, ends, np.array([0.0, 1, 0, 0]))
        value_and_grad(jaxent.binary_cross_entropy, np.array([0.0, 1]), np.array([0.0, 1]))
        value_and_grad(jaxent.entropy, np.array([0.0, 1.0]))


class TestCompilation:
    @pytest.mark.parametrize("exponent", range(20, 101, 4))
    @pytest.mark.parametrize("loss", ["integer", "dense", "entropy", "focal"])
    def test_large_scaled_logits_under_jit(self, exponent, loss):
        """`x * c` contracted with `- max` would leave the maximum's own rounding residue.

        Dividing by 3, jit multiplies by 1/3 instead, so only there being no NaN is compared then.
        """
        function = {
            "integer": lambda z: integer(z, np.arange(64) % 10),
            "dense": lambda z: dense(z, np.full((64, 10), 0.1, np.float32)),
            "entropy": jaxent.softmax_entropy,
            "focal": lambda z: jaxent.softmax_focal_loss(z, np.arange(64) % 10),
        }[loss]
        x = np.random.default_rng(exponent).normal(size=(64, 10)) * 2.0**exponent * 3
        x, third = jnp.asarray(x, jnp.float32), np.float32(1 / 3)
        for got in value_and_grad(jax.jit(lambda x: function(x / 3)), x):
            assert np.all(np.isfinite(got))
        got = value_and_grad(jax.jit(lambda x: function(x * third)), x)
        want = value_and_grad(lambda x: function(x * third), x)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_max_ulp(np.asarray(g), np.asarray(w), 8)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_temperature_in_16_bits_gives_no_nan(self, dtype):
        largest = float(jnp.finfo(dtype).max)
        x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (64, 10)) * largest, dtype)
        loss, gradient = value_and_grad(jax.jit(lambda x: integer(x / 3, np.arange(64) % 10)), x)
        assert np.all(np.isfinite(loss))
        assert np.all(np.isfinite(gradient.astype(jnp.float32)))


class TestTraps:
    """Each a point where the obvious formula, or the compiler, is known to go wrong."""

    @pytest.mark.parametrize("y", [0.0, 0.5, 1.0])
    def test_the_gradient_at_a_logit_of_zero(self, y):
        """max(z, 0) − z·y + log1p(exp(−|z|)) has −0.5 for 0 there at y = 0.5."""
        assert jax.grad(binary)(0.0, y) == 0.5 - y
        assert jax.grad(jax.grad(binary))(0.0, y) == 0.25

    def test_float64_log1p_near_its_branch(self):
        with jax.enable_x64(True):
            p = np.linspace(0.2, 0.6, 4001)
            got = np.asarray(jaxent.binary_cross_entropy(p, np.zeros_like(p)))
            np.testing.assert_array_max_ulp(got, -np.log1p(-p), 4)

    def test_subnormals_are_flushed(self):
        assert jaxent.self_information(np.float32(1e-40)) == INF

    def test_losses_are_never_negative(self):
        z = np.random.default_rng(0).normal(size=(1000, 7)).astype(np.float32) * 30
        assert np.all(integer(z, np.argmax(z, -1)) >= 0)
        assert not np.any(np.signbit(integer(z, np.argmax(z, -1))))
        certain = np.array([1.0, 0.0])
        for loss in (
            jaxent.binary_cross_entropy(certain, certain),
            jaxent.categorical_cross_entropy(certain, certain),
            jaxent.categorical_cross_entropy_with_integer_labels(certain, 0),
            jaxent.entropy(certain),
            jaxent.self_information(np.ones(1)),
        ):
            assert np.all(loss == 0)
            assert not np.any(np.signbit(loss))

    @pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4])
    def test_close_distributions_have_their_true_divergence(self, gap):
        """KL of logits (gap, 0) from (0, 0) is gap²/8 to leading order."""
        z, target = np.array([gap, 0.0], np.float32), np.zeros(2, np.float32)
        np.testing.assert_allclose(
            jaxent.softmax_kl_divergence(z, target), np.float32(gap) ** 2 / 8, rtol=1e-5
        )
