"""Every transform of JAX, on every loss of the table.

Compiling is what these tests spend their time on. So the derivatives of a loss that a test compares
are the results of one program, and what several tests compare with is compiled once for all.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from tests import makers
from tests.case import Case
from tests.cases import PLAIN
from tests.laws import (
    by_floats,
    every_loss,
    every_total,
    mainly,
    of_every,
    unoptimized,
)

BATCH = (4,)
# Where there is 0 · log 0, and a second derivative.
SMOOTH_EDGES = {
    makers.distributions: makers.sparse_distributions,
    makers.probabilities: makers.edge_probabilities,
    makers.outcomes: makers.edge_outcomes,
}


pytestmark = unoptimized


@pytest.fixture(autouse=True)
def float64():
    """Derivatives are compared to many digits."""
    with jax.enable_x64(True):
        yield


def summed(case: Case, arrays: tuple, function=None):
    """The summed loss as a function of its differentiable arrays, and those arrays."""
    losses, floats = by_floats(case, arrays, function)
    return lambda *floats: jnp.sum(losses(*floats)), floats


def gradients(case: Case, arrays: tuple, function=None):
    """The gradient of the summed loss by each differentiable array."""
    total, floats = summed(case, arrays, function)
    return jax.grad(total, tuple(range(len(floats))))(*floats)


@functools.cache
def compiled(case: Case):
    """Losses and gradients of a case, as a function of its arrays."""
    return jax.jit(lambda *arrays: (case.function(*arrays), gradients(case, arrays)))


def check(got, want, what="", **tolerance):
    chex.assert_trees_all_equal_structs(got, want)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, **tolerance, err_msg=what), got, want
    )


def stack(trees):
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


def directions(floats, seed):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=np.shape(x))) for x in floats)


def dot(xs, ys):
    return sum(jnp.vdot(x, y) for x, y in zip(xs, ys, strict=True))


@every_total
def test_every_mode_agrees_with_differences_to_second_order(case):
    """At an ordinary point; at the edges the modes agree with each other."""
    arrays, argnums = case.make(BATCH, np.float64), case.differentiable
    floats = tuple(jnp.asarray(arrays[i]) for i in argnums)
    u, v = directions(floats, 1), directions(floats, 2)

    @jax.jit
    def derivatives(*arrays):
        total, x = summed(case, arrays)
        argnums = tuple(range(len(x)))
        gradient = jax.grad(total, argnums)

        def along_u(*x):
            return jax.jvp(total, x, u)[1]

        first = {"forward": along_u(*x), "linearize": jax.linearize(total, *x)[1](*u)}
        second = {
            "forward over reverse": jax.jvp(gradient, x, u)[1],
            "reverse over forward": jax.grad(along_u, argnums)(*x),
            "reverse over reverse": jax.vjp(gradient, *x)[1](u),
        }
        along_both = jax.jvp(along_u, x, v)[1]
        return total(*x), gradient(*x), first, second, along_both

    def moved(step):
        ahead = list(arrays)
        for i, y in zip(argnums, u, strict=True):
            ahead[i] = arrays[i] + step * y
        return derivatives(*ahead)[:2]

    step = 1e-5
    differences = jax.tree.map(lambda a, b: (a - b) / (2 * step), moved(step), moved(-step))
    edges = case.make(BATCH, np.float64, instead=SMOOTH_EDGES)
    for where in ("ordinary", "edges"):
        _, by_each, first, second, along_both = derivatives(
            *(arrays if where == "ordinary" else edges)
        )
        slope, curvature = dot(by_each, u), second["forward over reverse"]
        if where == "ordinary":
            check((slope, curvature), differences, "differences", rtol=1e-6, atol=1e-7)
        assert all(np.all(np.isfinite(x)) for x in curvature)
        for mode, got in first.items():
            check(got, slope, mode, rtol=1e-12, atol=1e-13)
        for mode, got in second.items():
            check(got, curvature, mode, rtol=1e-11, atol=1e-12)
        check(along_both, dot(curvature, v), "forward over forward", rtol=1e-11, atol=1e-12)


@pytest.mark.exhaustive
@of_every(PLAIN)
def test_check_grads(case):
    """JAX's own checker of derivatives, beside the differences above."""
    total, floats = summed(case, case.make((1,), np.float64))
    jax.test_util.check_grads(
        jax.jit(total), floats, order=2, modes=("fwd", "rev"), eps=1e-5, rtol=1e-4
    )


@every_total
def test_jit_changes_nothing(case):
    arrays = case.make(BATCH, np.float64)
    got, want = compiled(case)(*arrays), (case.function(*arrays), gradients(case, arrays))
    check(got, want, rtol=1e-14, atol=1e-15)


@every_total
def test_checkpoint_changes_nothing(case):
    arrays = case.make(BATCH, np.float64)
    got = jax.jit(lambda *arrays: gradients(case, arrays, jax.checkpoint(case.function)))(*arrays)
    check(got, compiled(case)(*arrays)[1], rtol=1e-13)


@every_total
def test_scan_of_gradients(case):
    """A scan over batches, differentiated, and gradients taken inside a scan."""
    steps = [case.make(BATCH, np.float64, seed) for seed in range(2)]
    which = case.differentiable[0]

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def scanned(shift, batches):
        def step(carry, arrays):
            arrays = list(arrays)
            arrays[which] = arrays[which] + shift
            loss, gradient = jax.value_and_grad(
                lambda y: jnp.sum(case.function(*arrays[:which], y, *arrays[which + 1 :]))
            )(arrays[which])
            return carry + loss, gradient

        return jax.lax.scan(step, jnp.zeros(()), batches)

    (total, by_step), slope = scanned(0.0, stack(steps))
    want = [compiled(case)(*arrays) for arrays in steps]
    check(total, sum(jnp.sum(losses) for losses, _ in want), rtol=1e-12)
    check(by_step, jnp.stack([by_each[0] for _, by_each in want]), rtol=1e-12, atol=1e-14)
    check(slope, jnp.sum(by_step), rtol=1e-10, atol=1e-12)


@every_total
def test_vmap_over_each_array_alone(case):
    """Adding an axis to one array and mapping over it is calling it with each slice."""
    arrays = case.make(BATCH, np.float64)

    slices = {
        i: [(*arrays[:i], arrays[i] * c, *arrays[i + 1 :]) for c in (1, 0.9)]
        for i in case.differentiable
    }

    def mapped(i, calls):
        axes = tuple(0 if j == i else None for j in range(len(arrays)))
        stacked = (*arrays[:i], jnp.stack([call[i] for call in calls]), *arrays[i + 1 :])
        return jax.vmap(case.function, axes)(*stacked)

    got = jax.jit(lambda slices: {i: mapped(i, calls) for i, calls in slices.items()})(slices)
    want = {i: jnp.stack([case.function(*call) for call in calls]) for i, calls in slices.items()}
    check(got, want, rtol=1e-13, atol=1e-15)


@every_loss
def test_vmap_over_all_arrays_along_odd_axes(case):
    """The mapped axis in the middle or at the end of each array, and of the result."""
    batches = [case.make((3, 2), np.float64, seed) for seed in range(4)]
    want = jnp.stack([case.function(*arrays) for arrays in batches], axis=1)
    axes = tuple(min(np.ndim(x), 1 + i % 2) for i, x in enumerate(batches[0]))
    stacked = tuple(jnp.stack(x, a) for x, a in zip(zip(*batches, strict=True), axes, strict=True))
    got = jax.vmap(case.function, axes, out_axes=1)(*stacked)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@every_total
def test_vmap_of_gradients_and_hessians(case):
    batches = [case.make((2,), np.float64, seed) for seed in range(3)]
    which = case.differentiable[0]
    u = jnp.cos(jnp.arange(np.size(batches[0][which]), dtype=float))
    u = u.reshape(np.shape(batches[0][which]))

    def by_first(*arrays):
        def total(x):
            return jnp.sum(case.function(*arrays[:which], x, *arrays[which + 1 :]))

        return total, arrays[which]

    @jax.jit
    def along_u(*arrays):
        total, x = by_first(*arrays)
        return jax.jvp(jax.grad(total), (x,), (u,))

    @jax.jit
    @jax.vmap
    def mapped(*arrays):
        total, x = by_first(*arrays)
        return jax.grad(total)(x), jnp.tensordot(jax.hessian(total)(x), u, u.ndim)

    want = stack([along_u(*arrays) for arrays in batches])
    check(mapped(*stack(batches)), want, rtol=1e-12, atol=1e-14)


@every_loss
def test_shard_map_over_the_batch(case):
    """The losses and gradients of each device's part, arrays without a batch on every device."""
    arrays = case.make(BATCH, np.float64)
    mesh = jax.sharding.Mesh(jax.devices()[: BATCH[0]], "batch")
    batch, everywhere = PartitionSpec("batch"), PartitionSpec()
    sharded = jax.shard_map(
        case.function,
        mesh=mesh,
        in_specs=tuple(batch if i in case.batched else everywhere for i in range(len(arrays))),
        out_specs=batch,
    )
    got = jax.jit(lambda *arrays: (sharded(*arrays), gradients(case, arrays, sharded)))(*arrays)
    check(got, compiled(case)(*arrays), rtol=1e-12, atol=1e-14)


@every_loss
def test_no_batch_at_all_and_an_empty_one(case):
    assert case.function(*case.make((), np.float32)).shape == ()
    arrays = case.make((0, 2), np.float32)
    losses, by_each = compiled(case)(*arrays)
    assert losses.shape == (0, 2)
    for gradient, i in zip(by_each, case.differentiable, strict=True):
        assert gradient.shape == arrays[i].shape
        assert jnp.all(gradient == 0)


@every_total
@pytest.mark.parametrize("dtype", mainly(["bfloat16", "float64"], "float16", "float32"))
def test_result_is_float32_or_wider_and_gradients_come_back_in_kind(case, dtype):
    losses, by_each = jax.eval_shape(compiled(case), *case.make(BATCH, jnp.dtype(dtype)))
    assert losses.dtype == ("float64" if dtype == "float64" else "float32")
    assert [gradient.dtype for gradient in by_each] == [dtype] * len(by_each)


@every_loss
def test_pmap_over_batches(case):
    batches = [case.make(BATCH, np.float64, seed) for seed in range(2)]
    got = jax.pmap(case.function, devices=jax.devices()[:2])(*stack(batches))
    want = jnp.stack([compiled(case)(*arrays)[0] for arrays in batches])
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
