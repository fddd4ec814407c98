"""Distils the transformer of `examples.language_model` into one of half its blocks, by JSD.

The teacher learns the text first. The student learns from the teacher's head alone, by the
generalized Jensen–Shannon divergence of both heads, whose logits are never all held. A second
student of the same size learns from the text alone. Printed is the perplexity of all three on
held-out text, and how close each student is to the teacher. The curves go to
examples/output/distillation.png.

    python -m examples.distillation
"""

from collections import deque
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.typing import ArrayLike
from matplotlib.figure import Figure
from rich.progress import track

import jaxent
from examples.common import OUTPUT, save
from examples.language_model import (
    LEARNING_RATE,
    Model,
    Text,
    batches,
    held_out_loss,
    linear_loss,
    load,
    training,
)

BETA = 0.5
STUDENT_BLOCKS = 1
EVALUATIONS = 6


def divergence(student: Any, teacher: Any, windows: ArrayLike) -> Array:
    """The mean over all tokens. The teacher is fixed."""
    tokens = jnp.asarray(windows)[:, :-1]
    features, target_features = (jax.vmap(model)(tokens) for model in (student, teacher))
    return jaxent.linear_softmax_jensen_shannon_divergence(
        features,
        student.embedding,
        jax.lax.stop_gradient(target_features),
        jax.lax.stop_gradient(teacher.embedding),
        beta=BETA,
        axis=0,
        target_axis=0,
        reduction="mean",
    )


@partial(jax.jit, static_argnames="optimizer")
def step(
    student: Any, state: Any, teacher: Any, windows: Array, optimizer: optax.GradientTransformation
) -> tuple[Any, Any, Array]:
    value, gradients = jax.value_and_grad(divergence)(student, teacher, windows)
    updates, state = optimizer.update(gradients, state, student)
    return optax.apply_updates(student, updates), state, value


class History(NamedTuple):
    """The loss on held-out text and the divergence from the teacher, after some steps."""

    steps: np.ndarray
    held_out: np.ndarray
    divergences: np.ndarray


def judged(model: Any, teacher: Any, text: Text) -> tuple[float, float]:
    windows = next(batches(text.held_out, 1))
    return held_out_loss(model, text.held_out), float(divergence(model, teacher, windows))


def distil(teacher: Any, text: Text, steps: int) -> History:
    student: Any = Model(jax.random.key(1), blocks=STUDENT_BLOCKS)
    schedule = optax.warmup_cosine_decay_schedule(0, LEARNING_RATE, steps // 10, steps)
    optimizer = optax.adamw(schedule)
    state = optimizer.init(student)
    evaluated = np.linspace(0, steps, EVALUATIONS + 1).astype(int)
    found = [judged(student, teacher, text)]
    windows = track(batches(text.train, steps), "distilling", total=steps)
    for i, batch in enumerate(windows, start=1):
        student, state, _ = step(student, state, teacher, batch, optimizer)
        if i in evaluated:
            found.append(judged(student, teacher, text))
    return History(evaluated, *np.array(found).T)


def learn(teacher: Any, text: Text, steps: int) -> History:
    """A student of that size that sees the text alone."""
    student: Any = Model(jax.random.key(1), blocks=STUDENT_BLOCKS)
    evaluated = np.linspace(0, steps, EVALUATIONS + 1).astype(int)
    found = [judged(student, teacher, text)]
    for i, (model, _) in enumerate(training(student, text, steps, linear_loss), start=1):
        if i in evaluated:
            found.append(judged(model, teacher, text))
    return History(evaluated, *np.array(found).T)


def plot(runs: dict[str, History], of_teacher: float) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, run in runs.items():
        left.plot(run.steps, run.held_out, "o-", label=name)
        right.plot(run.steps, run.divergences, "o-", label=name)
    left.axhline(of_teacher, color="black", linewidth=1, label="teacher")
    left.set_ylabel("cross-entropy of a held-out token, in nats")
    right.set_ylabel("divergence from the teacher, in nats")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle("A transformer of two blocks, distilled into one block")
    return figure


def main(steps: int = 150, figure: Path = OUTPUT / "distillation.png") -> None:
    text = load()
    teacher: Any = Model(jax.random.key(0))
    ((teacher, _),) = deque(training(teacher, text, steps, linear_loss), maxlen=1)
    runs = {
        "student of the teacher": distil(teacher, text, steps),
        "student of the text": learn(teacher, text, steps),
    }
    of_teacher = held_out_loss(teacher, text.held_out)
    save(plot(runs, of_teacher), figure)
    print(f"perplexity of the teacher on held-out text: {np.exp(of_teacher):.1f}")
    for name, run in runs.items():
        print(
            f"{name}: perplexity {np.exp(run.held_out[-1]):.1f}, divergence from the teacher"
            f" {run.divergences[0]:.3f} to {run.divergences[-1]:.3f} nats"
        )
    first, second = runs.values()
    if first.divergences[-1] >= second.divergences[-1]:
        raise SystemExit("the distilled student must be the one closer to the teacher")


if __name__ == "__main__":
    main()
