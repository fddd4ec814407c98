"""One cell measured: everyone judged, then those who are right timed, interleaved."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bench.cases import Arguments, Case
from bench.contestants import Contestant
from bench.programs import Mode, Program, compiled, of_mean
from bench.results import FLOOR, Measurement
from bench.runs import Run
from bench.shapes import Shape
from bench.timing import rotations, timings

# How far a value and a gradient may be from the formula's, relative to their norm. A peer that
# keeps log-probabilities in bfloat16 rounds those of 1e5 classes, near -12, by up to 3e-2.
TOLERANCES = {"float32": 1e-5, "bfloat16": 4e-2}
OUTCOMES = {
    "value": ("value",),
    "grad": ("value", "gradient", "gradient by the kernel"),
    "eager": ("losses",),
}


def measure(
    case: Case,
    shape: Shape,
    dtype: str,
    mode: Mode,
    contestants: Sequence[Contestant],
    run: Run,
    rounds: int | None = None,
) -> list[Measurement]:
    """Judges everyone who has the loss, and times those who are right, beside the floor."""
    arguments = case.arguments(shape, dtype)
    moved = moved_bytes(case, arguments, mode)
    programs = {
        contestant.name: contestant.program(
            contestant.losses[case.name], mode, arguments, case.moving
        )
        for contestant in contestants
        if case.name in contestant.losses
    }
    wrong = _complaints(case, dtype, mode, arguments, programs)
    programs[FLOOR] = floor(case, mode, moved, arguments)
    right = {name: program for name, program in programs.items() if name not in wrong}
    seconds = timings(right, rotations(arguments), rounds)

    def measurement(name: str, program: Program) -> Measurement:
        taken = seconds.get(name, ())
        low, median, high = np.quantile(taken, (0.25, 0.5, 0.75)) * 1e3 if taken else [None] * 3
        return Measurement(
            loss=case.name,
            shape=shape.name,
            rows=shape.rows,
            classes=shape.classes,
            features=shape.features,
            dtype=dtype,
            mode=mode,
            contestant=name,
            wrong=wrong.get(name),
            rounds=len(taken),
            low_ms=low,
            median_ms=median,
            high_ms=high,
            moved_bytes=moved,
            temp_bytes=program.temp_bytes,
            compile_s=program.compile_s,
            run=run,
        )

    return [measurement(name, program) for name, program in programs.items()]


def moved_bytes(case: Case, arguments: Arguments, mode: Mode) -> int:
    """What must move at the least.

    Every array with more than one axis is read once. For a gradient those that move are read again
    and their gradients are written; an eager call writes the losses, in the dtype of the first.
    """
    read = sum(x.nbytes for x in arguments if x.ndim == 2)
    if mode == "value":
        return read
    if mode == "grad":
        return read + 2 * sum(x.nbytes for x in arguments[: case.moving])
    losses = jax.eval_shape(case.formula, *arguments)
    return read + losses.size * arguments[0].itemsize


def floor(case: Case, mode: Mode, moved: int, arguments: Arguments) -> Program:
    """What nobody can be much faster than.

    Of a linear head its matrix products: one for a value, three with gradients. Of logits on a CPU
    one elementwise exponential: a read, a write and what a loss computes. On an accelerator, which
    computes while it waits for memory, a copy that moves the same bytes.
    """
    if case.linear:
        return compiled(products if mode == "grad" else product, arguments)
    if jax.default_backend() == "cpu":
        return compiled(lambda logits, *_: jnp.exp(logits), arguments)
    half = np.zeros(moved // 2, np.uint8)  # a copy reads and writes
    program = compiled(jnp.copy, (half,))
    return program._replace(place=lambda _: (jax.device_put(half),))


def product(features: Array, kernel: Array, *_: Array) -> Array:
    """The logits, alone."""
    return _product(features, kernel, 1, 0)


def products(features: Array, kernel: Array, *_: Array) -> tuple[Array, Array]:
    """The logits, and what is shaped like gradients made of them."""
    z = product(features, kernel).astype(features.dtype)
    return _product(z, kernel, 1, 1), _product(features, z, 0, 0)


def _product(a: Array, b: Array, a_axis: int, b_axis: int) -> Array:
    contracted = ((a_axis,), (b_axis,)), ((), ())
    return jax.lax.dot_general(a, b, contracted, preferred_element_type=jnp.float32)


def _complaints(
    case: Case,
    dtype: str,
    mode: Mode,
    arguments: Arguments,
    programs: Mapping[str, Program],
) -> dict[str, str]:
    """What is wrong with whose numbers."""
    exact = tuple(x if x.dtype == np.int32 else x.astype(np.float32) for x in arguments)
    like = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in exact)
    want = _outcome(_formula(case, mode, like), exact)
    verdicts = {
        name: disagreement(_outcome(program, arguments), want, OUTCOMES[mode], TOLERANCES[dtype])
        for name, program in programs.items()
    }
    return {name: verdict for name, verdict in verdicts.items() if verdict}


@lru_cache(maxsize=1)  # the dtypes of a cell are judged by the same
def _formula(case: Case, mode: Mode, like: tuple[jax.ShapeDtypeStruct, ...]) -> Program:
    return compiled(
        case.formula if mode == "eager" else of_mean(case.formula, mode, case.moving), like
    )


def _outcome(program: Program, arguments: Arguments) -> tuple[np.ndarray, ...]:
    outcome = program.call(*program.place(arguments))
    return tuple(map(program.fetch, jax.tree.leaves(outcome)))


def disagreement(
    got: Sequence[np.ndarray], want: Sequence[np.ndarray], names: Sequence[str], tolerance: float
) -> str | None:
    """What is wrong with a contestant's outcome, or None."""
    for name, g, w in zip(names[: len(want)], got, want, strict=True):
        # Keras has some elementwise losses as means over the last axis only.
        w = w.mean(axis=tuple(range(g.ndim, w.ndim)))
        if g.shape != w.shape:
            return f"{name} of shape {g.shape} where it is {w.shape}"
        if not np.all(np.isfinite(g)):
            return f"{name} NaN or infinite"
        # In rows of one class it is 0, and so is what everyone makes of it.
        error = np.linalg.norm(g - w) / max(np.linalg.norm(w), np.finfo(np.float32).tiny)
        if not error <= tolerance:
            return f"{name} off by {error:.1e} of its norm, {tolerance:.0e} allowed"
    return None
