"""A loss of the user's own on a head: what it closes over, what it costs, what it may return."""

import functools
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests import heads, meshes

N, CLASSES = 9, 40
(X, W, Y), _ = heads.problem(N, CLASSES)
BUDGET = {"max_logits_bytes": heads.bytes_of(4, CLASSES)}
FACTORS = np.linspace(0.5, 2, N, dtype=np.float32)


def held(x, W, factor):
    stats = jaxent.softmax_stats(x @ W, Y)
    return jnp.mean(factor * stats.nll - 0.1 * stats.entropy)


def on_head(x, W, factor):
    """The formula refers to a number from outside."""

    def formula(stats):
        return factor * stats.nll - 0.1 * stats.entropy

    return jaxent.linear_softmax_loss(formula, x, W, Y, reduction="mean", **BUDGET)


def close(got, want):
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=2e-5, atol=1e-6), got, want)


class TestWhatAFormulaRefersTo:
    @pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint])
    def test_has_a_gradient(self, wrap):
        got, want = (
            wrap(jax.value_and_grad(f, (0, 1, 2)))(X, W, jnp.float32(1.5)) for f in (on_head, held)
        )
        close(got, want)

    def test_has_a_tangent_and_a_second_derivative(self):
        one = jnp.float32(1.0)
        for derivative in (
            lambda f: jax.jvp(lambda c: f(X, W, c), (one,), (one,)),
            lambda f: jax.hessian(lambda c: f(c * X, W, c))(one),
        ):
            close(derivative(on_head), derivative(held))

    def test_is_mapped_over(self):
        factors = jnp.arange(3, dtype=jnp.float32)
        close(*(jax.vmap(jax.grad(f, 2), (None, None, 0))(X, W, factors) for f in (on_head, held)))

    def test_is_carried_by_a_loop(self):
        def steps(f):
            def step(factor, _):
                return factor - 0.1 * jax.grad(f, 2)(X, W, factor), None

            return jax.jit(lambda c: jax.lax.scan(step, c, length=3)[0])(jnp.float32(1.0))

        close(steps(on_head), steps(held))

    def test_may_be_another_traced_number_at_the_next_call(self):
        def formula(stats):
            return factor * stats.nll

        total = functools.partial(jaxent.linear_softmax_loss, formula, X, W, Y, reduction="sum")

        @jax.value_and_grad
        def quotient(x):
            nonlocal factor
            factor = x
            first = total()
            factor = x**2
            return total() / first

        factor = None
        for x in (2.0, 3.0):
            close(quotient(x), (x, 1.0))

    def test_is_no_traced_array_that_is_replicated_on_a_mesh(self):
        loss = jaxent.sharded(
            jaxent.linear_softmax_loss, mesh=meshes.mesh_of((2,)), data_axis="data"
        )

        def total(factor):
            return loss(lambda stats: factor * stats.nll, X[:8], W, Y[:8], reduction="sum")

        with pytest.raises(ValueError, match="pass it after labels"):
            jax.jit(total)(1.5)

    @pytest.mark.exhaustive
    def test_leaks_nowhere(self):
        with jax.checking_leaks():
            jax.jit(jax.grad(on_head, (0, 2)))(X, W, jnp.float32(1.5))

    @pytest.mark.usefixtures("peers_promote")
    def test_is_an_array_of_16_bits(self):
        narrow = jnp.asarray(1.5, jnp.bfloat16)
        gradient = jax.grad(lambda c: on_head(X, W, c))(narrow)
        assert gradient.dtype == jnp.bfloat16


class TestRows:
    def test_are_differentiable(self):
        def loss(factors, rows):
            def formula(stats, factors, rows):
                return factors * stats.nll * jnp.sum(rows, axis=-1)

            return jaxent.linear_softmax_loss(
                formula, X, W, Y, factors, rows, reduction="sum", where=Y > 3, **BUDGET
            )

        rows = np.stack([FACTORS, FACTORS**2], axis=-1)
        got = jax.grad(loss, (0, 1))(FACTORS, rows)
        nll = jaxent.softmax_cross_entropy_with_integer_labels(X @ W, Y, where=Y > 3)
        want = nll * rows.sum(-1), (nll * FACTORS)[:, None] * np.ones((1, 2), np.float32)
        close(got, want)

    def test_of_dropped_rows_may_be_nan(self):
        rows = np.where(Y > 3, FACTORS, np.nan).astype(np.float32)

        def loss(x, rows):
            return jaxent.linear_softmax_loss(
                lambda stats, factor: factor * stats.nll,
                x, W, Y, rows, reduction="mean", where=Y > 3, **BUDGET,
            )  # fmt: skip

        value, gradients = jax.value_and_grad(loss, (0, 1))(X, rows)
        assert np.isfinite(value)
        assert all(np.all(np.isfinite(g)) for g in gradients)

    def test_of_another_shape(self):
        with pytest.raises(ValueError, match=r"rows_0 must have the shape \(9,\)"):
            jaxent.linear_softmax_loss(lambda s, r: s.nll, X, W, Y, FACTORS[:3])


class TestByProducts:
    @pytest.mark.parametrize("reduction", ["none", "mean", "total_and_count"])
    def test_of_every_row(self, reduction):
        def formula(stats):
            return stats.nll, {"right": stats.predicted == Y_MAX, "both": (stats.lse, stats.rest)}

        Y_MAX = 0
        kept = np.arange(N) != 2
        options = {"where": kept, "reduction": reduction, "has_aux": True}
        result, aux = jaxent.linear_softmax_loss(formula, X, W, Y, **options, **BUDGET)
        want = jaxent.linear_softmax_cross_entropy(X, W, Y, where=kept, reduction=reduction)
        close(result, want)
        stats = jaxent.softmax_stats(X @ W, Y, where=kept)
        close(aux["both"], (stats.lse, stats.rest))
        np.testing.assert_array_equal(aux["right"], (stats.predicted == 0) & kept)

    @pytest.mark.parametrize("reduction", ["none", "mean"])
    def test_have_no_derivative(self, reduction):
        def of_aux(x):
            _, aux = jaxent.linear_softmax_loss(
                lambda stats: (stats.nll, stats.entropy), x, W, Y, has_aux=True, reduction=reduction
            )
            return jnp.sum(aux)

        np.testing.assert_array_equal(jax.grad(of_aux)(X), 0)


class TestRowsWhoseLossIsNotUsed:
    """Dropped ones, and those whose label is no class, have no share in any derivative."""

    @pytest.mark.parametrize("reduction", ["none", "sum"])
    @pytest.mark.parametrize("way", ["where", "label"])
    def test_in_what_a_formula_closes_over_and_takes(self, way, reduction):
        kept = np.arange(N) != 2

        def total(labels, kept, x, rows, factor, temperature, **options):
            def formula(stats, rows):
                risky = jnp.log(stats.nll) / stats.entropy + jnp.sqrt(stats.miss / stats.rest)
                return factor * risky / rows

            losses = jaxent.linear_softmax_loss(
                formula, x, W, labels, rows, temperature=temperature, **options, **BUDGET
            )
            return jnp.sum(losses, where=True if losses.ndim == 0 else kept)

        def gradients(x, rows, labels, kept, **options):
            loss = functools.partial(total, labels, kept, **options)
            return jax.grad(loss, (0, 1, 2, 3))(x, rows, jnp.float32(1.5), jnp.float32(0.7))

        want = gradients(X[kept], FACTORS[kept], Y[kept], kept[kept], reduction=reduction)
        rows = np.where(kept, FACTORS, 0)
        if way == "where":
            got = gradients(X, rows, Y, kept, where=kept, reduction=reduction)
        else:
            wrong = np.where(kept, Y, -1)
            got = gradients(X, rows, wrong, kept, reduction="none")
        close((got[0][kept], got[1][kept], *got[2:]), want)
        np.testing.assert_array_equal(got[0][~kept], 0)
        np.testing.assert_array_equal(got[1][~kept], 0)

    def test_auxiliary_numbers_of_a_label_that_is_no_class(self):
        losses, aux = jaxent.linear_softmax_loss(
            lambda stats: (stats.nll, (stats.entropy, stats.predicted)),
            *(X, W, np.where(np.arange(N) == 2, CLASSES, Y)),
            has_aux=True,
        )
        for x in (losses, aux[0]):
            np.testing.assert_array_equal(np.isnan(x), np.arange(N) == 2)


class TestCost:
    def reductions(self, formula):
        def loss(x, W):
            return jaxent.linear_softmax_loss(formula, x, W, Y, reduction="mean")

        return jax.jit(jax.value_and_grad(loss, (0, 1))).lower(X, W).as_text().count("reduce")

    def test_statistics_that_a_formula_does_not_use_are_not_computed(self):
        def cross_entropy(x, W):
            return jaxent.linear_softmax_cross_entropy(x, W, Y, reduction="mean")

        program = jax.jit(jax.value_and_grad(cross_entropy, (0, 1))).lower(X, W).as_text()
        assert self.reductions(lambda stats: stats.nll) == program.count("reduce")
        assert self.reductions(lambda stats: stats.entropy) > program.count("reduce")

    def test_three_products(self):
        def loss(x, W):
            return jaxent.linear_softmax_loss(
                lambda stats: (jnp.exp(-stats.nll), stats), x, W, Y, has_aux=True, reduction="mean"
            )

        text = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True)).lower(X, W).as_text()
        assert text.count("stablehlo.dot_general") == 3

    def test_a_formula_compiles_once(self):
        traced = []

        def formula(stats):
            traced.append(1)
            return stats.nll

        for _ in range(3):
            jaxent.linear_softmax_loss(formula, X, W, Y)
        assert len(traced) == 1

    def test_a_formula_is_not_kept(self):
        def formula(stats):
            return stats.nll

        jaxent.linear_softmax_loss(formula, X, W, Y)
        alive = weakref.ref(formula)
        del formula
        jax.clear_caches()
        gc.collect()
        assert alive() is None


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def method(self, stats, rows=1.0):
        return self.factor * rows * stats.nll


def test_a_method_whose_first_object_is_gone():
    """Bound methods are equal, and each is an object of its own."""
    scale = Scale(2.0)
    kept = scale.method
    want = 2 * jaxent.linear_softmax_cross_entropy(X, W, Y)
    np.testing.assert_allclose(jaxent.linear_softmax_loss(kept, X, W, Y), want, rtol=1e-6)
    for n in (5, 7):
        got = jaxent.linear_softmax_loss(scale.method, X[:n], W, Y[:n], FACTORS[:n])
        np.testing.assert_allclose(got, (FACTORS * want)[:n], rtol=1e-6)


class Callable:
    __slots__ = ()
    __hash__ = None

    def __call__(self, stats):
        return 2 * stats.nll


def test_an_object_without_a_hash():
    got = jaxent.linear_softmax_loss(Callable(), X, W, Y)
    np.testing.assert_allclose(got, 2 * jaxent.linear_softmax_cross_entropy(X, W, Y), rtol=1e-6)


@pytest.mark.parametrize(
    ("formula", "options", "error", "message"),
    [
        (3, {}, TypeError, "formula must be a function of SoftmaxStats, got 3"),
        (lambda s: (s.nll, s.lse), {}, TypeError, "pass has_aux=True"),
        (lambda s: s.nll, {"has_aux": True}, TypeError, "must return a pair"),
        (lambda s: s.nll, {"has_aux": 1}, TypeError, "has_aux must be True or False"),
        (lambda s: s.predicted, {}, TypeError, "must return one floating array"),
        (lambda s: jnp.sum(s.nll), {}, ValueError, "one loss for each row"),
        (lambda s: (s.nll, jnp.zeros(3)), {"has_aux": True}, ValueError, "aux must have"),
        (lambda s: s.nll, {"label_smoothing": 0.1}, TypeError, "label_smoothing"),
    ],
)
def test_wrong_formulas(formula, options, error, message):
    with pytest.raises(error, match=message):
        jaxent.linear_softmax_loss(formula, X, W, Y, **options)
