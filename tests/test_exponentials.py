"""Each way of doing the same thing, one for the CPU and one for the rest, gives the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxent.core import exponentials, softplus, sums

DTYPES = ["float32", "bfloat16", "float16", "float8_e4m3fn"]
SHAPES = [(1, 1), (3, 7), (2, 3, 130), (0, 5)]


@pytest.fixture(params=SHAPES, ids=str)
def drawn(request):
    """Rows, in which everything but the label is NaN, the labels, and what the labels have."""
    rng = np.random.default_rng(0)
    shape = request.param
    labels = rng.integers(shape[-1], size=shape[:-1], dtype=np.int32)
    value = rng.normal(size=shape[:-1]).astype(np.float32)
    rows = np.where(np.arange(shape[-1]) == labels[..., None], value[..., None], np.nan)
    return rows, labels, value


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", ["pick", "_pick_by_gather", "_pick_by_select"])
def test_pick(way, dtype, drawn):
    rows, labels, value = drawn
    got = getattr(exponentials, way)(jnp.asarray(rows, dtype), jnp.asarray(labels))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, jnp.asarray(value, dtype))


@pytest.mark.parametrize("way", ["place", "_place_by_scatter", "_place_by_select"])
def test_place(way, drawn):
    rows, labels, value = drawn
    before = jnp.where(jnp.isnan(rows), 5.0, 7.0)
    got = getattr(exponentials, way)(before, jnp.asarray(labels), 2 * jnp.asarray(value))
    np.testing.assert_array_equal(got, np.where(np.isnan(rows), 5, 2 * rows))


@pytest.mark.parametrize("way", ["row_sum", "_sum", "_sum_by_windows"])
@pytest.mark.parametrize(
    "shape", [(3, 7), (2, 16), (2, 4096), (1, 50257), (2, 2, 40000), (0, 5), (2, 0)], ids=str
)
def test_row_sum(way, shape):
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    got = getattr(sums, way)(jnp.asarray(x))
    np.testing.assert_allclose(got, x.sum(axis=-1, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("way", ["_sum_in_the_loop", "_total_in_the_loop"])
@pytest.mark.parametrize("special", [0.5, np.inf, -np.inf, np.nan], ids=str)
@pytest.mark.parametrize("row", range(5))
def test_sums_in_a_loop_take_any_number(way, special, row):
    x = np.random.default_rng(0).uniform(size=(8, 5)).astype(np.float32)
    x[row, row] = special
    axis = 1 if way == "_sum_in_the_loop" else None
    got = jax.jit(getattr(sums, way))(jnp.asarray(x))
    np.testing.assert_allclose(got, x.sum(axis, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("way", ["total", "_total_in_the_loop"])
@pytest.mark.parametrize("shape", [(8,), (4, 1), (32, 3), (64, 5, 3)], ids=str)
def test_total(way, shape):
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    got = getattr(sums, way)(jnp.asarray(x))
    np.testing.assert_allclose(got, x.sum(dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (3,), (9, 2), (0, 3), (64, 0)], ids=str)
def test_total_of_any_number_of_rows(shape):
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    np.testing.assert_allclose(sums.total(jnp.asarray(x)), x.sum(dtype=np.float64), rtol=1e-6)


def test_a_sum_that_is_used_for_an_empty_batch():
    """Which XLA's compiler may not survive where it makes the sum as one of two results."""
    sum_for_all = jax.jit(lambda x, rows: sums.row_sum(x) * rows)
    assert sum_for_all(jnp.ones((1, 5)), jnp.ones((0,))).shape == (0,)


@pytest.mark.parametrize("classes", [3, 2**24 + 3])
def test_no_class_but_the_label_is_at_distance_0(classes):
    """Though float32 holds no odd numbers above 2^24."""
    labels = np.array([0, classes - 2], np.int32)
    distance = exponentials.distance_from(jnp.asarray(labels), jnp.zeros((2, classes)))
    np.testing.assert_array_equal(np.argwhere(distance == 0), [[0, 0], [1, classes - 2]])
    assert np.min(distance[:, -3:]) in (0, 1)


@pytest.mark.parametrize("way", ["_from_exps", "_from_gaps"])
@pytest.mark.parametrize(
    "gaps", [[0, 3], [0, 17], [0, 0, 50], [0, 1e-30, 80], [np.inf, 0, 0, 0]], ids=str
)
def test_the_rest_of_a_row_keeps_its_tail(way, gaps):
    gaps = np.array([gaps], np.float32)
    below, at_max = getattr(exponentials, way)(jnp.asarray(gaps), jnp.exp(-gaps))
    largest = gaps < 1e-20
    want = np.exp(-np.float64(gaps[~largest])).sum() + (largest.sum() - 1)
    np.testing.assert_allclose(below + (at_max - 1), [want], rtol=1e-6)


def test_softplus_keeps_its_tail():
    x = np.concatenate([np.linspace(0, 1, 10001), np.linspace(0, 87, 10001)]).astype(np.float32)
    want = np.log1p(np.exp(-x.astype(np.float64)))
    # The exponential's own error grows with what it is of.
    allowed = (2.5 + x / 2) * np.spacing(want.astype(np.float32))
    assert np.all(np.abs(softplus.softplus(jnp.asarray(x)) - want) <= allowed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stored_exponentials_are_those_that_are_summed(dtype):
    """Also where the maximum knows nothing of a NaN, or of a row dropped."""
    with jax.enable_x64(dtype == np.float64):
        z = np.random.default_rng(0).normal(size=(6, 7)).astype(dtype) * 30
        m = z.max(axis=-1)
        z[0, 3], z[1], m[1], z[2, 2], m[3] = np.nan, -np.inf, -np.inf, -np.inf, np.nan
        z[4, 0] = m[4] + 1
        got = exponentials.stored_exps(jnp.asarray(z), jnp.asarray(m))
        _, want = exponentials.gaps_and_exps(jnp.asarray(z), jnp.asarray(m))
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, want)
        assert np.isnan(got[0, 3])
        assert np.isnan(got).sum() == 8
