"""Losses from features and a kernel are those of the logits they stand for.

`python -m tests.test_linear` checks options alone and in pairs at every shape, in a quarter of an
hour; the suite at one of them.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import track

import jaxent
from tests import heads
from tests.laws import mainly

cross_entropy = jaxent.linear_softmax_cross_entropy
focal = jaxent.linear_softmax_focal_loss

SHAPES = list(itertools.product((1, 7, 1000), (2, 1000, 32000, 50257)))
# A float option, each of which is differentiated, too.
EVERY = tuple(heads.OPTIONS)


def by_floats(loss, y, options):
    """A loss as a function of features, kernel and the options that are floating."""
    fixed = {k: v for k, v in options.items() if v.dtype == bool}
    floats = {k: v for k, v in options.items() if v.dtype != bool}
    return lambda x, W, floats: loss(x, W, y, **fixed, **floats), floats


def exact(y, arrays, options, naive=heads.mean):
    """The value and every gradient in float64, on logits that are held."""
    with jax.enable_x64(True):
        loss, floats = by_floats(naive, jnp.asarray(y), options)
        wide = jax.tree.map(lambda x: np.asarray(x, np.float64), (*arrays, floats))
        return jax.device_get(jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*wide))


def check(n, classes, names, chunk, loss=cross_entropy, naive=heads.mean):
    (x, W, y), options = heads.problem(n, classes, names)
    mean = functools.partial(
        loss, reduction="mean", max_logits_bytes=heads.bytes_of(chunk, classes, options=names)
    )
    function, floats = by_floats(mean, y, options)
    value, gradients = jax.jit(jax.value_and_grad(function, (0, 1, 2)))(x, W, floats)
    want, want_gradients = exact(y, (x, W), options, naive)
    np.testing.assert_allclose(value, want, rtol=1e-6)
    for got, by in zip(*map(jax.tree.leaves, (gradients, want_gradients)), strict=True):
        assert got.dtype == np.float32
        # The slope by a number is a sum over rows of both signs, each term as large as a loss.
        size = max(np.linalg.norm(by), value) if by.ndim == 0 else np.linalg.norm(by)
        assert np.linalg.norm(got - by) <= 2e-6 * size, names


@pytest.mark.parametrize("names", [(), EVERY], ids=["plain", "every option"])
@pytest.mark.parametrize("shape", mainly([(7, 1000), (1000, 50257)], *SHAPES), ids=str)
def test_float32_against_float64(shape, names):
    check(*shape, names, chunk=300)


ALONE, PAIRS = ([*itertools.combinations(heads.OPTIONS, size)] for size in (1, 2))


@pytest.mark.parametrize("names", mainly(ALONE, *PAIRS), ids=" ".join)
def test_options_alone_and_in_pairs(names):
    check(7, 1000, names, chunk=3)


@pytest.mark.parametrize("names", [(), ("bias", "softcap", "class_weights", "where", "weights")])
def test_focal(names):
    naive = functools.partial(heads.mean, gamma=2.0)
    check(7, 1000, names, chunk=2, loss=focal, naive=naive)


@pytest.mark.parametrize("spread", [4, 40])
def test_float32_of_peaked_logits(spread):
    (x, W, y), _ = heads.problem(200, 1000, spread=spread)
    mean = functools.partial(
        cross_entropy, reduction="mean", max_logits_bytes=heads.bytes_of(30, 1000)
    )
    value, gradients = jax.jit(jax.value_and_grad(mean, (0, 1)))(x, W, y)
    want, want_gradients = exact(y, (x, W), {})
    np.testing.assert_allclose(value, want, rtol=1e-6)
    for got, by in zip(gradients, want_gradients[:2], strict=True):
        assert heads.relative(got, by) <= 2e-6


def errors_in_16_bits(dtype, spread, right, reduction):
    """Of the gradients, relative in norm, with many chunks.

    Also by a model that is right, whose logits' derivatives are no powers of two.
    """
    (x, W, y), _ = heads.problem(300, 1000, spread=spread)
    x, W = (jnp.asarray(a, dtype) for a in (x, W))
    y = np.argmax(np.float64(x) @ np.float64(W), axis=-1) if right else y
    loss = functools.partial(
        cross_entropy, reduction=reduction, max_logits_bytes=heads.bytes_of(9, 1000)
    )
    scale = 1 / len(y) if reduction == "none" else 1
    got = jax.jit(jax.grad(lambda x, W: jnp.sum(loss(x, W, y)) * scale, (0, 1)))(x, W)
    _, want = exact(y, (x, W), {})
    for g, w in zip(got, want[:2], strict=True):
        assert g.dtype == dtype
        # What float16 has no normal numbers for, it can only hold in steps.
        step = np.sqrt(w.size) * float(jnp.finfo(dtype).smallest_subnormal)
        yield (np.linalg.norm(np.float64(g) - w) - step) / np.linalg.norm(w)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("spread", mainly([4], 1, 40))
@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 2e-3), ("float16", 3e-4)])
def test_gradients_in_16_bits(dtype, error, spread, right, reduction):
    """Rounded once, at the end."""
    assert max(errors_in_16_bits(dtype, spread, right, reduction)) < error


@pytest.mark.usefixtures("as_on_accelerators")
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_bfloat16_gradients_on_accelerators(reduction):
    """Rounded as operands of a product, too."""
    assert max(errors_in_16_bits("bfloat16", 4, True, reduction)) < 3e-3


@pytest.mark.usefixtures("as_on_accelerators")
def test_float16_gradients_on_accelerators():
    """The logits' derivatives of a large vocabulary would be below its smallest numbers."""
    (x, W, y), _ = heads.problem(20, 20000)
    x, W = jnp.asarray(x * 30, "float16"), jnp.asarray(W / 300, "float16")
    mean = functools.partial(cross_entropy, reduction="mean", label_smoothing=1.0)
    got = jax.jit(jax.grad(mean, 1))(x, W, y)
    _, want = exact(y, (x, W), {"label_smoothing": np.ones(())})
    assert heads.relative(got, want[1]) < 1e-3


def test_second_derivatives_in_float16_do_not_overflow():
    """Those of a sum of many rows would."""
    x, W = jnp.full((3000, 1), 50, jnp.float16), jnp.zeros((1, 2), jnp.float16)
    mean = functools.partial(cross_entropy, x, labels=jnp.zeros(3000, int), reduction="mean")
    along = jax.jvp(jax.grad(mean), (W,), (jnp.array([[1, 0]], jnp.float16),))[1]
    np.testing.assert_allclose(along, [[625, -625]])


@st.composite
def problems(draw):
    n, classes = draw(st.integers(0, 9)), draw(st.integers(1, 12))
    names = draw(st.sets(st.sampled_from(EVERY)))
    budget = draw(st.integers(1, 1000))
    reduction = draw(st.sampled_from(["none", "sum", "mean", "weighted_mean", "total_and_count"]))
    return n, classes, sorted(names), budget, reduction


@given(problems(), st.integers(0, 2**16))
def test_chunked_equals_dense(drawn, seed):
    n, classes, names, budget, reduction = drawn
    with jax.enable_x64(True):
        (x, W, y), options = heads.problem(n, classes, names, np.float64, seed)
        head = {k: options.pop(k) for k in ("bias", "softcap") if k in options}
        dense = jaxent.softmax_cross_entropy_with_integer_labels

        def of_logits(x, W):
            return dense(heads.logits(x, W, **head), y, reduction=reduction, **options)

        def chunked(x, W):
            return cross_entropy(
                x, W, y, reduction=reduction, max_logits_bytes=budget, **head, **options
            )

        for function in (lambda f: f(x, W), lambda f: jax.grad(total(f), (0, 1))(x, W)):
            got, want = function(chunked), function(of_logits)
            jax.tree.map(
                lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-12), got, want
            )


def total(function):
    """The sum of all results, of which a count is an integer."""
    return lambda *arrays: sum(jnp.sum(x).astype(float) for x in jax.tree.leaves(function(*arrays)))


# The table's laws hold its main cases in `make test`.
@pytest.mark.exhaustive
class TestTransforms:
    """The schedule that makes gradients with the value, in every transform, beside the other."""

    @pytest.fixture(autouse=True)
    def float64(self):
        with jax.enable_x64(True):
            yield

    def functions(self, names=EVERY):
        (x, W, y), options = heads.problem(7, 11, names, np.float64)
        budget = heads.bytes_of(2, 11, 8)

        def loss(reduction):
            made = functools.partial(cross_entropy, reduction=reduction, max_logits_bytes=budget)
            return by_floats(made, y, options)[0]

        floats = by_floats(cross_entropy, y, options)[1]
        return loss("sum"), total(loss("none")), (x, W, floats)

    def same(self, transform):
        fused, per_row, arrays = self.functions()
        got, want = (jax.jit(functools.partial(transform, f))(*arrays) for f in (fused, per_row))
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), got, want
        )

    def test_gradients(self):
        self.same(lambda f, *arrays: jax.value_and_grad(f, (0, 1, 2))(*arrays))

    def test_forward_mode(self):
        self.same(lambda f, *arrays: jax.jvp(f, arrays, jax.tree.map(jnp.sin, arrays)))

    def test_hessian_vector_products(self):
        def product(f, *arrays):
            return jax.jvp(jax.grad(f, (0, 1, 2)), arrays, jax.tree.map(jnp.sin, arrays))

        self.same(product)

    def test_hessian(self):
        self.same(lambda f, x, W, floats: jax.hessian(f)(x, W, floats))

    def test_vmap_of_gradients(self):
        def mapped(f, x, W, floats):
            gradient = jax.grad(f, (0, 1, 2))
            stacked = jnp.stack([W, W * 0.9])
            return jax.vmap(gradient, (None, 0, None))(x, stacked, floats)

        self.same(mapped)

    def test_checkpoint_inside_scan(self):
        def scanned(f, x, W, floats):
            def added(x, W, floats):
                def step(carry, scale):
                    return carry + jax.checkpoint(f)(x * scale, W, floats), None

                return jax.lax.scan(step, jnp.zeros(()), jnp.arange(1.0, 4))[0]

            return jax.grad(added, (0, 1, 2))(x, W, floats)

        self.same(scanned)


if __name__ == "__main__":
    for (n, classes), names in track(list(itertools.product(SHAPES, ALONE + PAIRS)), "options"):
        check(n, classes, names, chunk=300 if n == 1000 else 3)
