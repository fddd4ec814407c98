"""The bench finds a slow contestant slow, refuses a wrong one, and runs from the command line."""

import jax
import jax.numpy as jnp
import optax.losses
import pytest
from rich.console import Console

import jaxent
from bench import measure
from bench.__main__ import main, run
from bench.contestants import CASES, Case
from bench.measure import TOLERANCES
from bench.report import report

SHAPE = (64, 100)


@pytest.fixture(autouse=True)
def peers_promote():
    """Optax mixes dtypes and ranks, which the suite forbids."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def arguments(key, shape, dtype):
    return (jax.random.normal(key, shape).astype(dtype),)


def square(x):
    return x * x


def slow(x):
    """The square again, after 300 matrix products that leave x as it is."""
    unit = jnp.eye(x.shape[1], dtype=x.dtype)
    return square(jax.lax.fori_loop(0, 300, lambda _, y: y @ unit, x))


def planted(**losses):
    return Case("planted", arguments, losses, reference=square)


def printed(result):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(report([result]))
    return capture.get()


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_slow_contestant_is_found_slow(dtype):
    result = run(planted(jaxent=square, optax=slow), SHAPE, dtype, rounds=5)
    assert not result.wrong
    assert result.timings["optax"].median > 2 * result.timings["jaxent"].median


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda x: square(x) * 1.1, "value"),
        (lambda x: jax.lax.stop_gradient(square(x)), "gradient"),
        (lambda x: square(x) + jnp.nan, "value"),
        # One row in 64, in the gradient alone.
        (lambda x: square(x.at[3].set(jax.lax.stop_gradient(x[3]))), "gradient"),
    ],
    ids=["value", "gradient", "nan", "row"],
)
def test_a_wrong_contestant_is_refused(wrong, what, dtype):
    result = run(planted(jaxent=square, optax=wrong), SHAPE, dtype, rounds=1)
    assert result.timings.keys() == {"jaxent", "exp"}
    assert result.wrong.keys() == {"optax"}
    assert result.wrong["optax"].startswith(what)
    assert f"optax is wrong in planted 64×100 {dtype}: {what}" in printed(result)


def test_everyone_runs_on_the_same_input_once_a_round():
    inputs = [(jnp.array(i),) for i in range(3)]
    seen = {"a": [], "b": []}
    calls = {name: lambda x, name=name: seen[name].append(int(x)) for name in seen}
    assert measure.timings(calls, inputs, rounds=6).keys() == seen.keys()
    assert seen["a"] == seen["b"] == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_the_rounds_are_bounded(monkeypatch, seconds):
    monkeypatch.setattr(measure, "SECONDS", seconds)
    count = []
    measure.timings({"a": count.append}, [(jnp.array(0),)])
    assert len(count) == 1 + (measure.FEWEST if seconds == 0 else measure.MOST)


def test_the_smoke_run(capsys):
    argv = "--loss squared_error --shapes 8x8 --shapes 4x3 --dtype float32 --rounds 2"
    assert main(argv.split()) == 0
    out = capsys.readouterr().out
    assert f"jax {jax.__version__}" in out
    assert "8×8" in out
    assert "4×3" in out


def test_every_case_agrees(capsys):
    assert main(["--shapes", "8x8", "--dtype", "float32", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert all(case.name in out for case in CASES)


def test_every_loss_that_optax_has_is_timed():
    shared = {name for name in vars(jaxent) if callable(getattr(optax.losses, name, None))}
    assert {case.name for case in CASES} == shared


@pytest.mark.parametrize(
    "argv", ["--loss nothing", "--shapes 8", "--shapes 8x0", "--rounds 0", "--dtype int8"]
)
def test_an_argument_that_makes_no_sense_is_refused(argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv.split())
    assert argv.split()[0] in capsys.readouterr().err
