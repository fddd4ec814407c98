"""Every transform of JAX, on every loss of the table."""

import functools

import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from tests.cases import CASES, Case

every_loss = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def float64():
    """Derivatives are compared to many digits; how fast the programs run is of no matter here."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


def by_floats(case: Case, arrays: tuple):
    """The summed loss as a function of its differentiable arrays, and those arrays."""

    @jax.jit
    def total(*floats):
        full = list(arrays)
        for i, x in zip(case.differentiable, floats, strict=True):
            full[i] = x
        return jnp.sum(case.function(*full))

    return total, tuple(jnp.asarray(arrays[i]) for i in case.differentiable)


def check(got, want, **tolerance):
    jax.tree.map(functools.partial(np.testing.assert_allclose, **tolerance), got, want)


def random_like(x, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=np.shape(x)))


@every_loss
def test_derivatives_agree_with_differences_to_second_order(case):
    total, floats = by_floats(case, case.make((3,), np.float64))
    jax.test_util.check_grads(total, floats, order=2, modes=("fwd", "rev"), eps=1e-5, rtol=1e-4)


@every_loss
def test_jit_changes_nothing(case):
    arrays = case.make((3,), np.float64)
    check(jax.jit(case.function)(*arrays), case.function(*arrays), rtol=1e-14)


@every_loss
def test_forward_and_reverse_hessians_agree(case):
    total, floats = by_floats(case, case.make((2,), np.float64))
    argnums = tuple(range(len(floats)))
    modes = (jax.jacfwd, jax.jacrev), (jax.jacfwd, jax.jacfwd), (jax.jacrev, jax.jacrev)

    @jax.jit
    def hessians(*floats):
        return [outer(inner(total, argnums), argnums)(*floats) for outer, inner in modes]

    hessian, *others = hessians(*floats)
    for other in others:
        check(other, hessian, atol=1e-12)


@every_loss
def test_jvp_and_linearize_are_the_transpose_of_the_gradient(case):
    total, floats = by_floats(case, case.make((3,), np.float64))
    tangents = tuple(random_like(x, i) for i, x in enumerate(floats))
    gradients = jax.grad(total, tuple(range(len(floats))))(*floats)
    along = sum(jnp.vdot(g, t) for g, t in zip(gradients, tangents, strict=True))
    np.testing.assert_allclose(jax.jvp(total, floats, tangents)[1], along, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        jax.linearize(total, *floats)[1](*tangents), along, rtol=1e-12, atol=1e-13
    )


@every_loss
def test_checkpoint_changes_nothing(case):
    total, floats = by_floats(case, case.make((3,), np.float64))
    argnums = tuple(range(len(floats)))
    check(
        jax.grad(jax.checkpoint(total), argnums)(*floats),
        jax.grad(total, argnums)(*floats),
        rtol=1e-13,
    )


@every_loss
def test_scan_of_gradients(case):
    """A scan over batches, differentiated, and gradients taken inside a scan."""
    steps = [case.make((3,), np.float64, seed) for seed in range(2)]
    stacked = tuple(jnp.stack(x) for x in zip(*steps, strict=True))
    which = case.differentiable[0]

    def total(x):
        def step(carry, arrays):
            arrays = list(arrays)
            arrays[which] = arrays[which] + x
            loss, gradient = jax.value_and_grad(
                lambda y: jnp.sum(case.function(*arrays[:which], y, *arrays[which + 1 :]))
            )(arrays[which])
            return carry + loss, gradient

        return jax.lax.scan(step, jnp.zeros(()), stacked)

    losses, gradients = total(0.0)
    for step, gradient in zip(steps, gradients, strict=True):
        f, floats = by_floats(case, step)
        check(jax.grad(f)(*floats), gradient, rtol=1e-12, atol=1e-14)
    check(jax.grad(lambda x: total(x)[0])(0.0), jnp.sum(gradients), rtol=1e-10, atol=1e-12)
    assert jnp.isfinite(losses)


@every_loss
def test_vmap_over_each_array_alone(case):
    """Adding an axis to one array and mapping over it is calling it with each slice."""
    arrays = case.make((3,), np.float64)
    for i in case.differentiable:
        stack = jnp.stack([arrays[i], arrays[i] * 0.9])
        axes = [None] * len(arrays)
        axes[i] = 0
        got = jax.vmap(case.function, tuple(axes))(*arrays[:i], stack, *arrays[i + 1 :])
        want = jnp.stack([case.function(*arrays[:i], x, *arrays[i + 1 :]) for x in stack])
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@every_loss
def test_vmap_over_all_arrays_along_odd_axes(case):
    """The mapped axis in the middle or at the end of each array, and of the result."""
    batches = [case.make((3, 2), np.float64, seed) for seed in range(4)]
    want = jnp.stack([case.function(*arrays) for arrays in batches], axis=1)
    axes = tuple(min(np.ndim(x), 1 + i % 2) for i, x in enumerate(batches[0]))
    stacked = tuple(jnp.stack(x, a) for x, a in zip(zip(*batches, strict=True), axes, strict=True))
    got = jax.vmap(case.function, axes, out_axes=1)(*stacked)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@every_loss
def test_vmap_of_gradients_and_hessians(case):
    batches = [case.make((2,), np.float64, seed) for seed in range(3)]
    stacked = tuple(jnp.stack(x) for x in zip(*batches, strict=True))
    which = case.differentiable[0]

    def second(*arrays):
        def total(x):
            return jnp.sum(case.function(*arrays[:which], x, *arrays[which + 1 :]))

        return jax.grad(total)(arrays[which]), jax.hessian(total)(arrays[which])

    got = jax.jit(jax.vmap(second))(*stacked)
    want = jax.tree.map(lambda *x: jnp.stack(x), *(second(*arrays) for arrays in batches))
    check(got, want, rtol=1e-12, atol=1e-14)


@every_loss
def test_no_batch_at_all_and_an_empty_one(case):
    assert case.function(*case.make((), np.float32)).shape == ()
    arrays = case.make((0, 2), np.float32)
    assert case.function(*arrays).shape == (0, 2)
    total, floats = by_floats(case, arrays)
    for g, x in zip(jax.grad(total, tuple(range(len(floats))))(*floats), floats, strict=True):
        assert g.shape == x.shape
        assert jnp.all(g == 0)


@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_result_is_float32_or_wider_and_gradients_come_back_in_kind(case, dtype):
    arrays = case.make((3,), jnp.dtype(dtype))
    wide = jnp.float64 if dtype == "float64" else jnp.float32
    assert case.function(*arrays).dtype == wide
    total, floats = by_floats(case, arrays)
    for g in jax.grad(total, tuple(range(len(floats))))(*floats):
        assert g.dtype == dtype


class TestVariants(chex.TestCase):
    """With and without jit, with device arrays and NumPy's, and under pmap."""

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_every_loss(self):
        for case in CASES:
            arrays = case.make((3,), np.float32)
            got = self.variant(case.function)(*arrays)
            np.testing.assert_allclose(got, case.function(*arrays), rtol=1e-6, atol=1e-7)
