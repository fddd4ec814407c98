"""The bench finds a slow contestant slow, and refuses a wrong one."""

import itertools
import subprocess
import sys
import time
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import optax.losses
import pytest
from rich.console import Console

import jaxent
from bench import measure, programs, timing
from bench.cases import CASES, Case
from bench.contestants import Contestant, load
from bench.measure import TOLERANCES
from bench.programs import MODES
from bench.report import report
from bench.results import by_cell, slowdown
from bench.runs import Run
from bench.shapes import SHAPES, Shape, parse

SHAPE = Shape("", 64, 100)
SQUARED_ERROR = next(case for case in CASES if case.name == "squared_error")
RUN = Run("2026-01-02T03:04:05+00:00", 0.1, "cpu", "", "A CPU", 2, {"jax": "1", "optax": "2"})

pytestmark = pytest.mark.usefixtures("peers_promote")


def square(x):
    return x * x


def slow(x):
    """The square again, after 2000 matrix products that leave x as it is."""
    unit = jnp.eye(x.shape[1], dtype=x.dtype)
    return square(jax.lax.fori_loop(0, 2000, lambda _, y: y @ unit, x))


def draw(rng, shape):
    return (rng.standard_normal(shape[1:3], dtype=np.float32),)


def contest(dtype="float32", mode="grad", rounds=5, **losses):
    """The measurements of planted contestants, by name."""
    case = Case("planted", draw, square)
    who = [Contestant(name, {"planted": loss}) for name, loss in losses.items()]
    found = measure.measure(case, SHAPE, dtype, mode, who, RUN, rounds)
    return {m.contestant: m for m in found}


def printed(*renderables):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(*renderables)
    return capture.get()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_slow_contestant_is_found_slow(mode, dtype):
    found = contest(dtype, mode, jaxent=square, optax=slow)
    assert [m.wrong for m in found.values()] == [None] * 3
    assert slowdown(found, "optax", "jaxent") > 2
    for m in found.values():
        assert m.rounds == 5
        assert 0 < m.low_ms <= m.median_ms <= m.high_ms


@pytest.mark.parametrize(
    ("wrong", "what", "mode"),
    [
        (lambda x: square(x) * 1.1, "value", "value"),
        (lambda x: square(x) * 1.1, "losses", "eager"),
        (lambda x: jax.lax.stop_gradient(square(x)), "gradient", "grad"),
        (lambda x: square(x) + jnp.nan, "value", "grad"),
        # One row in 64, in the gradient alone.
        (lambda x: square(x.at[3].set(jax.lax.stop_gradient(x[3]))), "gradient", "grad"),
        (lambda x: square(x)[:, :50], "losses", "eager"),
    ],
    ids=["value", "losses", "gradient", "nan", "row", "shape"],
)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_wrong_contestant_is_refused(wrong, what, mode, dtype):
    found = contest(dtype, mode, jaxent=square, optax=wrong)
    assert found["optax"].wrong.startswith(what)
    assert found["optax"].median_ms is None
    assert found["optax"].rounds == 0
    assert found["jaxent"].wrong is None
    lines = printed(report(by_cell(found.values())))
    assert f"optax is wrong in planted, {mode}, 64×100 {dtype}: {what}" in lines


def test_means_over_the_last_axis_agree_with_elementwise_losses():
    found = contest(mode="eager", jaxent=square, keras=lambda x: square(x).mean(axis=-1))
    assert found["keras"].wrong is None


def test_everyone_runs_once_a_round_and_never_on_the_input_just_used():
    seen = []
    calls = {name: lambda x, name=name: seen.append((name, x)) for name in "abc"}
    inputs = {name: [(i,) for i in range(4)] for name in calls}
    table = [row for row, _ in zip(timing.interleaved(calls, inputs), range(40), strict=False)]
    assert all(row.keys() == calls.keys() for row in table)
    names, used = zip(*seen, strict=True)
    rounds = [names[i : i + 3] for i in range(0, len(names), 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) == 6  # every order
    assert all(x != y for x, y in itertools.pairwise(used))


def test_inputs_are_different_and_larger_than_a_cache():
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20)
    inputs = timing.rotations((x, y))
    assert len(inputs) == timing.MOST_INPUTS
    for a, b in inputs:
        np.testing.assert_array_equal(a[:, 0], 2 * b)  # labels stay with their rows
    large = np.zeros((2**10, 2**12), np.float32)
    inputs = timing.rotations((large,))
    assert sum(x.nbytes for (x,) in inputs) >= timing.INPUT_BYTES


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_the_rounds_are_bounded(monkeypatch, seconds):
    monkeypatch.setattr(timing, "SECONDS", seconds)
    program = programs.Program(lambda x: x, lambda arguments: arguments, np.asarray)
    found = timing.timings({"a": program}, [(np.zeros(2),)])
    assert len(found["a"]) == (timing.FEWEST_ROUNDS if seconds == 0 else timing.MOST_ROUNDS)


def test_a_slow_first_call_takes_no_rounds_away():
    delays = itertools.chain([0.3], itertools.repeat(0))
    program = programs.Program(lambda x: time.sleep(next(delays)), lambda arguments: arguments, id)
    found = timing.timings({"a": program}, [(np.zeros(2),)])
    assert len(found["a"]) == timing.MOST_ROUNDS


def test_compile_times_are_of_compiling_from_nothing():
    traced = []

    @jax.jit
    def inner(x):
        traced.append(x)
        return x * 2

    for _ in range(2):
        program = programs.compiled(lambda x: inner(x) + 1, (np.zeros(3, np.float32),))
        assert program.compile_s > 0
    assert len(traced) == 2


def test_a_loss_that_takes_a_reduction_is_told_that_it_is_the_mean():
    told = []

    def loss(x, reduction="none"):
        told.append(reduction)
        return square(x)

    assert programs.of_mean(loss, "value")(jnp.full((2, 3), 2.0)) == 4
    assert told == ["mean"]


def test_temporaries_are_the_compiled_programs():
    x = np.zeros((300, 300), np.float32)
    kept = programs.compiled(lambda x: jnp.sort(x @ x, axis=0) @ x, (x,))
    assert kept.temp_bytes >= x.nbytes
    assert programs.compiled(lambda x: x + 1, (x,)).temp_bytes == 0


@pytest.mark.parametrize(("mode", "arrays"), [("value", 1), ("grad", 3), ("eager", 1)])
def test_the_bytes_that_must_move(mode, arrays):
    rows, one_array = 64, 64 * 100 * 2
    by_name = {case.name: case for case in CASES}

    def moved(name):
        case = by_name[name]
        return measure.moved_bytes(case, case.arguments(SHAPE, "bfloat16"), mode)

    losses = mode == "eager"
    integer = moved("softmax_cross_entropy_with_integer_labels")
    assert integer == arrays * one_array + losses * rows * 2
    assert moved("softmax_cross_entropy") == (arrays + 1) * one_array + losses * rows * 2
    assert moved("squared_error") == (arrays + 1 + losses) * one_array


def test_the_floor_is_an_exponential_on_a_cpu_and_a_copy_elsewhere(monkeypatch):
    x = np.ones((3, 4), np.float32)
    exp = measure.floor(SQUARED_ERROR, "grad", 1000, (x,))
    np.testing.assert_allclose(exp.call(*exp.place((x,))), np.exp(x), rtol=1e-6)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    copy = measure.floor(SQUARED_ERROR, "grad", 1000, (x,))
    (source,) = copy.place((x,))
    target = copy.call(source)
    assert source.nbytes + target.nbytes == 1000
    assert source.unsafe_buffer_pointer() != target.unsafe_buffer_pointer()


def test_every_loss_that_optax_has_is_timed():
    shared = {name for name in jaxent.__all__ if hasattr(optax.losses, name)}
    assert load("optax").losses.keys() == shared | {"linear_softmax_cross_entropy"}


def test_the_floor_of_a_linear_head_is_its_matrix_products():
    case = next(case for case in CASES if case.linear)
    arguments = case.arguments(Shape("", 8, 5, features=4), "float32")
    logits, by_features, by_kernel = (
        measure.floor(case, mode, 0, arguments) for mode in ("value", "grad", "grad")
    )
    x, W, _ = arguments
    np.testing.assert_allclose(logits.call(*arguments), x @ W, rtol=1e-5)
    np.testing.assert_allclose(by_features.call(*arguments)[0], x @ W @ W.T, rtol=1e-4)
    np.testing.assert_allclose(by_kernel.call(*arguments)[1], x.T @ x @ W, rtol=1e-4)
    assert load("jaxent").losses.keys() == {case.name for case in CASES}


def test_peers_are_imported_when_asked_for():
    code = (
        "import sys, bench.__main__; sys.exit(bool({'optax', 'keras', 'torch'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# How many losses each peer has. Keras and PyTorch are an extra of their own, for their weight.
LOSSES = {"optax": 10, "keras": 7, "torch": 7}


@pytest.mark.parametrize("peer", [*filter(find_spec, LOSSES)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("default")
def test_a_peer_agrees(peer, mode):
    who = load(peer)
    assert len(who.losses) == LOSSES[peer]
    cells = [(case, "float32") for case in CASES if case.name in who.losses]
    for case, dtype in (*cells, (SQUARED_ERROR, "bfloat16")):
        shape = SHAPE._replace(features=16) if case.linear else SHAPE
        ours, *_ = measure.measure(case, shape, dtype, mode, [who], RUN, rounds=1)
        assert ours.wrong is None, case.name


def test_shapes_have_names():
    assert {(shape.rows, shape.classes) for shape in SHAPES} >= {(8192, 10), (4096, 1000)}
    assert parse(" imagenet") == Shape("ImageNet", 4096, 1000)
    assert parse("8×3") == Shape("", 8, 3)
    assert str(parse("8x3")) == "8×3"
    assert parse("8x4x3") == Shape("", 8, 3, features=4)
