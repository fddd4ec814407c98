"""The functions of `lower.cpu` and `lower.one_pass` return the numbers of `lower.plain`."""

import dataclasses
import functools
import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent.core
from jaxent.core import lower
from jaxent.core.lower import cpu, one_pass, plain
from jaxent.core.rows import Rows
from jaxent.core.stats import finalize, kept_rows
from tests import accelerator_sums

SHAPES = [(3, 1), (2, 3, 130), (2, 40000), (0, 5)]
HELD = {
    "finite": lambda z: z,
    "absent": lambda z: np.where(np.arange(z.shape[-1]) % 3 == 1, -np.inf, z),
    "tied": np.round,
    "confident": lambda z: np.where(np.arange(z.shape[-1]) == 0, z + 60, z),
    "shifted": lambda z: z + 1e6,
    "infinite": lambda z: np.where(np.arange(z.shape[-1]) == 0, np.inf, z),
    "nan": lambda z: np.where(np.arange(z.shape[-1]) == 0, np.nan, z),
    "nothing": lambda z: np.full_like(z, -np.inf),
}
BLOCK = 1000
OPTIONS = ("none", "masks and temperature")


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=HELD)
def held(request):
    return request.param


def problem(shape, held, options):
    """Rows, class indices, targets and class weights, without mass where a class is absent."""
    rng = np.random.default_rng(0)
    z = HELD[held](rng.normal(size=shape).astype(np.float32) * 3).astype(np.float32)
    y = rng.integers(shape[-1], size=shape[:-1], dtype=np.int32)
    t = np.where(np.isneginf(z), 0, rng.uniform(size=shape)).astype(np.float32)
    kept = classes = beta = None
    if options != "none":
        kept = jnp.asarray(rng.uniform(size=shape[:-1]) < 0.6)
        drawn = rng.uniform(size=shape) < 0.8
        drawn[..., 0] = True
        classes = jnp.asarray(drawn)
        t = np.where(drawn, t, 0)
        beta = jnp.float32(0.7)
    rows = Rows(jnp.asarray(z), classes, kept, inverse_temperature=beta)
    w = jnp.asarray(rng.uniform(size=shape[-1:]), jnp.float32)
    return rows, jnp.asarray(y), jnp.asarray(t), rows.class_weights(w, jnp.float32)


def same(rows, got, want, rest_error=1e-30):
    """The statistics of rows, to rounding, and NaN alike but for the maximum."""
    got, want = (kept_rows(rows, finalize(sums))._replace(max=None) for sums in (got, want))
    for name, g, w in zip(got._fields, got, want, strict=True):
        assert (g is None) == (w is None), name
        if g is not None:
            atol = rest_error if name == "rest" else 1e-30
            np.testing.assert_allclose(g, w, rtol=3e-6, atol=atol, err_msg=name)


def by_blocks(x):
    """Arrays (..., V) as (..., V / BLOCK, BLOCK)."""
    return None if x is None else x.reshape(*x.shape[:-1], -1, BLOCK)


def label_sums_by_blocks(rows, y, w, moment):
    """The sums of blocks of classes, then of those sums, as the threads of an accelerator add."""
    V = rows.values.shape[-1]
    if V % BLOCK:
        return one_pass.label_sums(rows, y, w, moment)
    y = y[..., None] - jnp.arange(0, V, BLOCK)[None]
    y = jnp.where((y >= 0) & (y < BLOCK), y, BLOCK)
    blocks = rows_by_blocks(rows)
    return one_pass.merged(one_pass.label_sums(blocks, y, by_blocks(w), moment))


def target_sums_by_blocks(rows, t, w, slack, moment):
    if rows.values.shape[-1] % BLOCK:
        return one_pass.target_sums(rows, t, w, slack, moment)
    blocks = rows_by_blocks(rows)
    sums = one_pass.target_sums(blocks, by_blocks(t), by_blocks(w), slack, moment)
    return one_pass.merged(sums)


def rows_by_blocks(rows):
    kept = None if rows.kept is None else rows.kept[..., None]
    values, classes = by_blocks(rows.values), by_blocks(rows.classes)
    return dataclasses.replace(rows, values=values, classes=classes, kept=kept)


# Compiled once for all that rows can hold.
LABEL_WAYS = {
    name: jax.jit(way, static_argnames="moment")
    for name, way in {
        "cpu": functools.partial(cpu.label_sums, reused=False),
        "cpu, reused": functools.partial(cpu.label_sums, reused=True),
        "one pass": label_sums_by_blocks,
        "plain": plain.label_sums,
    }.items()
}
TARGET_WAYS = {
    name: jax.jit(way, static_argnames=("slack", "moment"))
    for name, way in {
        "cpu": cpu.target_sums,
        "one pass": target_sums_by_blocks,
        "plain": plain.target_sums,
    }.items()
}
EXPONENTIALS = {name: jax.jit(way.other_exps) for name, way in {"cpu": cpu, "plain": plain}.items()}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("way", [name for name in LABEL_WAYS if name != "plain"])
def test_sums_of_a_class_number(way, options, held, shape):
    rows, y, _, w = problem(shape, held, options)
    for weights, moment in ((None, False), (w, True)):
        got, want = (LABEL_WAYS[name](rows, y, weights, moment=moment) for name in (way, "plain"))
        # A CPU adds 1 and takes it away again where another class than the label is at the maximum.
        rest_error = 2e-6 if way != "one pass" and not moment else 1e-30
        same(rows, got, want, rest_error)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("way", [name for name in TARGET_WAYS if name != "plain"])
def test_sums_of_a_target(way, options, held, shape):
    rows, _, t, w = problem(shape, held, options)
    for target, slack in ((t, True), (None, False)):
        got, want = (
            TARGET_WAYS[name](rows, target, w, slack=slack, moment=True) for name in (way, "plain")
        )
        same(rows, got, want)


@pytest.mark.parametrize("options", OPTIONS)
def test_exponentials_of_the_other_classes(options, held, shape):
    rows, y, _, _ = problem(shape, held, options)
    m = rows.only_kept(jnp.max(rows.without_classes(jnp.float32), axis=-1))
    got, want = (EXPONENTIALS[way](rows, y, m) for way in ("cpu", "plain"))
    if rows.kept is not None:
        assert held in ("infinite", "nan") or np.isfinite(got).all()
        got, want = got[rows.kept], want[rows.kept]
    if held in ("infinite", "nan"):
        got, want = (np.nan_to_num(x, nan=0, posinf=0) for x in (got, want))
    np.testing.assert_allclose(got, want, rtol=3e-6, atol=1e-30)


@pytest.mark.parametrize("shape", [(3, 1), (2, 3, 130), (0, 5)], ids=str)
def test_any_class(shape):
    classes = np.random.default_rng(0).uniform(size=shape) < 0.1
    if classes.size:
        classes[0, ..., -1] = True
        classes[-1] = False
    for any_class in (one_pass.any_class, plain.any_class, lower.any_class):
        np.testing.assert_array_equal(jax.jit(any_class)(classes), classes.any(axis=-1))


@pytest.mark.parametrize("special", [0.5, np.inf, -np.inf, np.nan], ids=str)
@pytest.mark.parametrize(
    "shape", [(3, 7), (2, 16), (2, 4096), (1, 50257), (2, 2, 40000), (0, 5), (2, 0)], ids=str
)
def test_row_sum(shape, special):
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    if x.size:
        x[..., x.shape[-1] // 2] = special
    for sum_of in (cpu.row_sum, plain.row_sum, lower.row_sum):
        got = jax.jit(sum_of)(jnp.asarray(x))
        np.testing.assert_allclose(got, x.sum(axis=-1, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("special", [0.5, np.inf, -np.inf, np.nan], ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (9, 2), (0, 3), (64, 0), (64, 5, 3), (32,)], ids=str)
def test_total_and_count_of_any_number_of_rows(shape, special):
    rng = np.random.default_rng(0)
    x, kept = rng.uniform(size=shape).astype(np.float32), rng.uniform(size=shape) < 0.6
    if x.size:
        x.flat[-1] = special
    for total in (cpu.total, plain.total, lower.total):
        sum_of_x, count = jax.jit(total)(jnp.asarray(x), kept)
        np.testing.assert_allclose(sum_of_x, x.sum(dtype=np.float64), rtol=1e-6)
        assert (count.dtype, count) == (jnp.int32, kept.sum())
        sum_of_x, count = jax.jit(total)(jnp.asarray(x), None)
        np.testing.assert_allclose(sum_of_x, x.sum(dtype=np.float64), rtol=1e-6)
        assert count is None


def test_a_sum_that_is_used_for_an_empty_batch():
    """XLA's compiler crashes here if it finds one of the two results of a sum unused."""
    sum_for_all = jax.jit(lambda x, rows: lower.row_sum(x) * rows)
    assert sum_for_all(jnp.ones((1, 5)), jnp.ones((0,))).shape == (0,)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn"])
def test_a_label_is_picked_from_narrow_logits(dtype):
    z = jnp.asarray(np.random.default_rng(0).normal(size=(3, 200)), dtype)
    y = jnp.array([0, 77, 199])
    got = cpu.label_sums(Rows(z), y, None, moment=False).label_logit
    np.testing.assert_array_equal(got, z[np.arange(3), y].astype(np.float32))


def test_no_class_but_the_label_is_left_out_beyond_2_to_the_24():
    """float32 holds no odd numbers there."""
    classes = 2**24 + 3
    others = jax.jit(cpu._without)(jnp.ones((1, classes)), jnp.array([classes - 2]))
    np.testing.assert_array_equal(np.argwhere(np.asarray(others) == 0), [[0, classes - 2]])


@pytest.mark.parametrize("sums", [cpu.target_sums, one_pass.target_sums, plain.target_sums])
def test_a_target_of_a_row_without_distribution_has_no_loss(sums):
    rows, t = Rows(jnp.full((2, 3), -jnp.inf)), jnp.full((2, 3), 1 / 3)
    stats = finalize(jax.jit(functools.partial(sums, slack=True, moment=False))(rows, t, None))
    assert np.isnan(stats.nll).all()
    assert np.isnan(stats.miss).all()


def test_mathematics_names_no_platform():
    """A barrier, a dispatch and what a compiler does on some platform belong into `core/lower`."""
    machines = r"CPU|GPU|TPU|XLA|LLVM|cuda|accelerator|platform|barrier"
    core = pathlib.Path(jaxent.core.__file__).parent
    for file in sorted(core.glob("*.py")):
        found = [line for line in file.read_text().splitlines() if re.search(machines, line)]
        assert not found, file.name


@pytest.mark.parametrize("shape", [accelerator_sums.SHAPES[0], accelerator_sums.SHAPES[-1]])
def test_one_reduction_on_accelerators_keeps_the_bounds(shape):
    found = accelerator_sums.errors(shape, spread=4)
    assert found["sum of exponentials"] < 8
    assert max(found["nll"], found["sum_nll"], found["entropy"]) < 4


@pytest.mark.parametrize("epsilon", [0.0, 1e-7])
@pytest.mark.parametrize("classes", [3, 200])
def test_costs_of_probabilities(classes, epsilon):
    pairs = itertools.product([0, 1e-30, 0.5, 1], [-0.5, 0, 1e-30, 1e-9, 0.5, 1, 1.5, np.nan])
    t, p = (np.tile(x, (classes, 1)).T for x in np.array(list(pairs), np.float32).T)
    sums = [
        jax.jit(lambda t, p, cost=cost: plain.row_sum(cost(t, p, np.float32(epsilon))))(t, p)
        for cost in (cpu.cost, plain.cost)
    ]
    np.testing.assert_allclose(*sums, rtol=1e-6)


@pytest.mark.parametrize("classes", [3, 200])
def test_entropy_terms_of_probabilities(classes):
    p = np.array([-0.5, 0, 1e-30, 1e-9, 0.5, 1, 1.5, np.inf, np.nan], np.float32)
    p = np.tile(p, (classes, 1)).T
    sums = [
        jax.jit(lambda p, term=term: plain.row_sum(term(p)))(p)
        for term in (cpu.entropy_term, plain.entropy_term)
    ]
    np.testing.assert_allclose(*sums, rtol=1e-6)


@pytest.mark.parametrize("classes", [1, 10, 127, 128, 1000])
@pytest.mark.parametrize("few", [0, 1, 3, 17])
def test_probabilities_of_few_classes_are_spread_over_all(few, classes):
    rng = np.random.default_rng(0)
    y = rng.integers(-2, classes + 2, (2, 3, few))  # some of them twice, some of them no class
    probs = rng.uniform(size=y.shape).astype(np.float32)
    want = ((y[..., None] == np.arange(classes)) * probs[..., None]).sum(-2)
    for spread in (cpu.spread, plain.spread, lower.spread):
        got = jax.jit(spread)(jnp.zeros((2, 3, classes)), y, probs)
        np.testing.assert_allclose(got, want, rtol=1e-6)
