"""Drawn inputs to every loss of the table, and many calls: `make fuzz` draws more of them.

No call may crash, broadcast in silence, or give NaN where the contract has a number.
"""

import concurrent.futures
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import jaxent
from tests import makers
from tests.cases import CASES
from tests.laws import value_and_gradients
from tests.totals import TOTALS

EVERY = CASES + TOTALS
WHICH = st.integers(0, len(EVERY) - 1)
SEEDS = st.integers(0, 2**32 - 1)
BATCHES = st.sampled_from([(), (1,), (3,), (2, 3), (0,)])
DTYPES = st.sampled_from(["float16", "bfloat16", "float32"])
SCALES = st.sampled_from([1e-30, 1e-3, 1.0, 30.0, 1e3])
# Arrays whose floats may be of any size.
UNBOUNDED = {makers.logits, makers.numbers, makers.values}


@functools.cache
def program(case):
    return jax.jit(value_and_gradients(case))


def drawn(which, batch, dtype, seed, **further):
    case = EVERY[which]
    batch = batch if case in CASES else (4,)
    note(f"{case.name}, batch {batch}, {dtype}")
    return case, case.make(batch, jnp.dtype(dtype), seed, **further)


@given(WHICH, BATCHES, DTYPES, SEEDS, SCALES)
def test_finite_arrays_give_finite_losses_and_gradients(which, batch, dtype, seed, scale):
    case, arrays = drawn(which, batch, dtype, seed)
    scaled = [
        (x.astype(np.float32) * scale).astype(x.dtype) if make in UNBOUNDED else x
        for x, make in zip(arrays, case.makers, strict=True)
    ]
    results = jax.tree.leaves(program(case)(*scaled))
    if all(np.all(np.isfinite(x)) for x in results):
        return
    # A gradient of a float16 array may be too large for float16, and for no wider dtype.
    assert dtype == "float16"
    widened = [x.astype(np.float32) if x.dtype == np.float16 else x for x in scaled]
    for x, wide in zip(results, jax.tree.leaves(program(case)(*widened)), strict=True):
        too_large = np.abs(wide) > 0.99 * float(jnp.finfo(x.dtype).max)
        assert np.all(np.isfinite(wide) & (np.isfinite(x) | (too_large & ~np.isnan(x))))


@given(WHICH, st.sampled_from(["bfloat16", "float32"]), SEEDS)
def test_arrays_at_their_edges_give_no_nan(which, dtype, seed):
    case, arrays = drawn(which, (3,), dtype, seed, instead=makers.EDGES)
    for x in jax.tree.leaves(program(case)(*arrays)):
        assert not np.any(np.isnan(x))


@given(
    WHICH, SEEDS, st.integers(0, 20), st.sampled_from(["longer", "an axis more", "an axis less"])
)
def test_a_wrong_shape_is_an_error(which, seed, i, how):
    """Wherever an array has a batch, no other shape of it broadcasts."""
    case, arrays = drawn(which, (2, 3), "float32", seed)
    i %= len(arrays)
    x = arrays[i]
    if i not in case.batched or len(case.batched) == 1 or (i == 0 and how != "longer"):
        return  # a number may be one per class, and the first array says what the batch is
    if case.loss in (jaxent.info_nce, jaxent.siglip_loss) and i == 1 and how == "longer":
        return  # more keys than queries
    if case.loss is jaxent.linear_softmax_loss and i >= 3 and how == "an axis more":
        return  # a formula may take several numbers per row
    wrong = {
        "longer": lambda: np.concatenate([x, x[:1]]),
        "an axis more": lambda: x[..., None],
        "an axis less": lambda: x[0],
    }[how]()
    with pytest.raises((ValueError, TypeError), match="must"):
        jax.eval_shape(case.function, *arrays[:i], wrong, *arrays[i + 1 :])


@pytest.mark.exhaustive
def test_new_numbers_neither_compile_again_nor_hold_memory():
    compiled = []

    def count(name, *_, **__):
        compiled.append(name.endswith("backend_compile_duration"))

    z, y = np.zeros((4, 5), np.float32), np.zeros(4, int)

    def call(i):
        jaxent.softmax_cross_entropy_with_integer_labels(
            z, y, label_smoothing=(i + 1) / 20_000, z_loss=1e-4 * (i + 1)
        ).block_until_ready()

    for i in range(100):
        call(i)
    process = psutil.Process()
    before = process.memory_info().rss
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        for i in range(10_000):
            call(i)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert sum(compiled) == 0
    assert process.memory_info().rss - before < 2**24


@pytest.mark.exhaustive
def test_threads_may_call_every_loss_at_once():
    arrays = [case.make((3,), np.float32) for case in CASES]
    want = [case.function(*a) for case, a in zip(CASES, arrays, strict=True)]
    jax.clear_caches()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        calls = [
            threads.submit(case.function, *a)
            for case, a in zip(CASES, arrays, strict=True)
            for _ in range(2)
        ]
        got = [call.result() for call in calls]
    for case, w, two in zip(CASES, want, zip(got[::2], got[1::2], strict=True), strict=True):
        for g in two:
            np.testing.assert_allclose(g, w, rtol=1e-6, atol=1e-7, err_msg=case.name)


@pytest.mark.parametrize("name", jaxent.__all__)
def test_pickling(name):
    function = getattr(jaxent, name)
    assert pickle.loads(pickle.dumps(function)) is function


def test_statistics_are_pickled():
    stats = jaxent.softmax_stats(np.eye(3, dtype=np.float32), np.arange(3))
    jax.tree.map(np.testing.assert_array_equal, pickle.loads(pickle.dumps(stats)), stats)
