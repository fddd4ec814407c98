"""The bench times every function, finds a slow contestant slow and a wrong one wrong."""

import itertools
import subprocess
import sys
import time
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from bench import measure, programs
from bench.__main__ import main
from bench.cases import CASES, Case
from bench.inputs import normal
from bench.measure import FLOOR, TOLERANCES
from bench.peers import LOADERS, load
from bench.programs import MODES
from bench.shapes import SHAPES, Shape, parse

SHAPE, HEAD_SHAPE = Shape("", 16, 40), Shape("", 16, 40, features=8)

pytestmark = pytest.mark.usefixtures("peers_promote")


def square(x):
    return x * x


def slow(x):
    """The square, after 2000 matrix products that leave x as it is."""
    unit = jnp.eye(x.shape[1], dtype=x.dtype)
    return square(jax.lax.fori_loop(0, 2000, lambda _, y: y @ unit, x))


def contest(dtype="float32", mode="grad", **losses):
    """The records of planted contestants."""
    case = Case("planted", (normal,), square)
    found = measure.measure(case, Shape("", 64, 100), dtype, mode, losses, rounds=5)
    return {m["contestant"]: m for m in found}


def test_every_public_function_is_timed():
    functions = {name for name in jaxent.__all__ if not isinstance(getattr(jaxent, name), type)}
    assert {case.public for case in CASES} == functions
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_jaxent_and_its_peer_have_the_formula_s_value_and_gradient(case):
    losses = {"jaxent": case.jaxent} | case.baseline()
    assert len(losses) == 2
    shape = HEAD_SHAPE if case.linear else SHAPE
    for m in measure.measure(case, shape, "float32", "grad", losses, rounds=1):
        assert m["wrong"] is None, m
        assert m["ms"] > 0


def test_options_reach_jaxent():
    """Each option changes the loss, unless it is idle."""
    plain = {case.name: case for case in CASES if not case.options}
    for case in CASES:
        same = case.public in plain and case.inputs == plain[case.public].inputs
        if case.options and same and "idle" not in case.name:
            arrays = case.arrays(HEAD_SHAPE if case.linear else SHAPE, "float32")
            without = getattr(jaxent, case.public)(*arrays[: len(case.inputs)])
            assert not np.array_equal(case.jaxent(*arrays), without), case.name


def test_shapes_of_arrays_are_known_without_drawing_them():
    for case in CASES:
        shape = HEAD_SHAPE if case.linear else SHAPE
        drawn = [(x.shape, x.dtype) for x in case.arrays(shape, "bfloat16")]
        assert [(x.shape, x.dtype) for x in case.like(shape, "bfloat16")] == drawn, case.name


@pytest.mark.parametrize("mode", MODES)
def test_a_slow_contestant_is_found_slow(mode):
    found = contest("bfloat16", mode, jaxent=square, optax=slow)
    assert found["optax"]["wrong"] is None
    assert 2 < found["optax"]["low"] <= found["optax"]["ratio"] <= found["optax"]["high"]
    assert found["jaxent"]["ratio"] == 1
    assert found[FLOOR]["ms"] > 0


@pytest.mark.parametrize(
    ("wrong", "what", "mode"),
    [
        (lambda x: square(x) * 1.1, "value", "value"),
        (lambda x: jax.lax.stop_gradient(square(x)), "gradient", "grad"),
        (lambda x: square(x) + jnp.nan, "value", "grad"),
        # One row of 64, in the gradient alone.
        (lambda x: square(x.at[3].set(jax.lax.stop_gradient(x[3]))), "gradient", "grad"),
        (lambda x: square(x)[:, :50], "value of shape", "eager"),
    ],
    ids=["value", "gradient", "nan", "row", "shape"],
)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_wrong_contestant_is_refused(wrong, what, mode, dtype):
    found = contest(dtype, mode, jaxent=square, optax=wrong)
    assert found["optax"]["wrong"].startswith(what)
    assert np.isnan(found["optax"]["ms"])
    assert found["jaxent"]["wrong"] is None


def test_everyone_runs_once_a_round_and_never_on_the_input_just_used():
    seen = []
    calls = {name: lambda x, name=name: seen.append((name, x)) for name in "abc"}
    inputs = {name: [(i,) for i in range(4)] for name in calls}
    list(itertools.islice(measure.interleaved(calls, inputs), 40))
    names, used = zip(*seen, strict=True)
    rounds = [names[i : i + 3] for i in range(0, len(names), 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) == 6  # every order
    assert all(x != y for x, y in itertools.pairwise(used))


def test_inputs_are_different_and_larger_than_a_cache():
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20)
    inputs = measure.rotations((x, y))
    assert len(inputs) == measure.INPUTS[1]
    assert len({a.tobytes() for a, _ in inputs}) == len(x)
    for a, b in inputs:
        np.testing.assert_array_equal(a[:, 0], 2 * b)  # labels stay with their rows
    large = np.zeros((2**10, 2**12), np.float32)
    assert sum(x.nbytes for (x,) in measure.rotations((large,))) >= measure.INPUT_BYTES


def test_a_slow_first_call_takes_no_rounds_away():
    delays = itertools.chain([0.3], itertools.repeat(0))
    program = programs.Program(lambda x: time.sleep(next(delays)), lambda arrays: arrays)
    found = measure.timings({"a": program}, [(np.zeros(2),)])
    assert len(found) == measure.ROUNDS[1]


def test_compile_times_are_of_compiling_from_nothing():
    traced = []

    @jax.jit
    def inner(x):
        traced.append(x)
        return x * 2

    for _ in range(2):
        assert programs.compiled(lambda x: inner(x) + 1, (np.zeros(3, np.float32),)).compile_s > 0
    assert len(traced) == 2


def test_temporaries_are_the_compiled_program_s():
    x = np.zeros((300, 300), np.float32)
    kept = programs.compiled(lambda x: jnp.sort(x @ x, axis=0) @ x, (x,))
    assert kept.temp_bytes >= x.nbytes
    assert programs.compiled(lambda x: x + 1, (x,)).temp_bytes == 0


@pytest.mark.exhaustive
def test_peers_are_imported_when_asked_for():
    code = "import sys, bench.__main__; sys.exit(bool({'keras', 'torch'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("peer", [*filter(find_spec, ("keras", "torch"))])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("default")
def test_a_peer_agrees(peer, mode):
    calls, cases = load(peer), {case.name: case for case in CASES}
    assert calls.keys() <= cases.keys()
    for name, loss in calls.items():
        case = cases[name]
        losses = {"jaxent": case.jaxent, peer: loss}
        shape = HEAD_SHAPE if case.linear else SHAPE
        for dtype in TOLERANCES:
            _, theirs, _ = measure.measure(case, shape, dtype, mode, losses, rounds=1)
            assert theirs["wrong"] is None, (name, dtype)


@pytest.mark.parametrize(("peer", "extra"), [("torch", "peers"), ("tokamax", "heads")])
def test_a_missing_peer_s_extra_is_named(peer, extra, monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module")

    monkeypatch.setitem(LOADERS, peer, missing)
    with pytest.raises(SystemExit, match=f"extra `{extra}` has {peer}"):
        load(peer)


def test_shapes_have_names():
    defaults = {(512, 8192), (4096, 1000), (256, 50257), (8192, 10)}
    assert {(shape.rows, shape.classes) for shape in SHAPES} >= defaults
    assert parse(" imagenet") == Shape("ImageNet", 4096, 1000)
    assert parse("8×4x3") == Shape("", 8, 3, features=4)
    assert str(parse("8x4x3")) == "8×4×3"


@pytest.mark.parametrize(
    "argv",
    ["--loss nothing", "--shapes 8", "--shapes 8x0", "--shapes 8x3 --loss linear", "--dtype int8"],
)
def test_an_argument_without_a_case_is_refused(argv):
    with pytest.raises(SystemExit, match="2"):
        main(argv.split())


def test_the_exit_status_tells_that_jaxent_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(jaxent, "squared_error", lambda x, t, reduction: jnp.mean(x * t))
    argv = "--loss squared --shapes 8x8 --dtype float32 --rounds 1"
    assert main(argv.split()) == 1
    assert "jaxent is WRONG: value off" in capsys.readouterr().out
