"""Teaches a small policy to add two digits by reinforcement learning: GRPO on a linear head.

The policy sees two digits and samples the two digits of their sum. The reward is 1/2 for each right
digit, which a program verifies. Group relative policy optimisation (Shao et al., 2024) samples
several answers to each question, and its advantages compare answers to the same question. The loss
is a formula of the statistics of the head's rows, with their entropy to log. The curves go to
examples/output/grpo.png.

    python -m examples.grpo
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure
from rich.progress import track

import jaxent
from examples.common import OUTPUT, save

DIGITS, ANSWER, WIDTH = 10, 2, 64
QUESTIONS, GROUP, UPDATES = 64, 8, 2
LEARNING_RATE = 5e-4
CLIP, ENTROPY_BONUS = 0.2, 0.3
REQUIRED = 0.9  # of the sums right


class Policy(eqx.Module):
    """Questions (N,) and answers (N, ANSWER) to features (N, ANSWER, WIDTH).

    Each feature sees the question and the digit of the answer before its own.
    """

    questions: Array
    digits: Array
    places: Array
    wider: eqx.nn.Linear
    narrower: eqx.nn.Linear

    def __init__(self, key: Array):
        keys = jax.random.split(key, 5)
        self.questions = jax.random.normal(keys[0], (DIGITS * DIGITS, WIDTH))
        self.digits = jax.random.normal(keys[1], (DIGITS, WIDTH)) / np.sqrt(WIDTH)
        self.places = jax.random.normal(keys[2], (ANSWER, WIDTH))
        self.wider = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=keys[3])
        self.narrower = eqx.nn.Linear(4 * WIDTH, WIDTH, key=keys[4])

    def __call__(self, questions: Array, answers: Array) -> Array:
        before = jnp.pad(self.digits[answers[:, :-1]], [(0, 0), (1, 0), (0, 0)])
        x = self.questions[questions][:, None] + self.places + before
        return jax.vmap(jax.vmap(lambda x: self.narrower(jax.nn.gelu(self.wider(x)))))(x)


class Rollout(NamedTuple):
    """Questions with sampled answers, and numbers for each answer."""

    questions: Array  # 10 a + b for the digits a and b, (N,)
    answers: Array  # (N, ANSWER)
    log_probs: Array  # of each digit of the answer when it was sampled, (N, ANSWER)
    rewards: Array  # (N,)
    advantages: Array  # (N,)


def right_digits(questions: Array, answers: Array) -> Array:
    """Which digits of the answers are right, (N, ANSWER)."""
    total = questions // DIGITS + questions % DIGITS
    return jnp.stack([total // DIGITS, total % DIGITS], axis=1) == answers


def digit_by_digit(policy: Any, questions: Array, choose: Any) -> tuple[Array, Array]:
    """Answers of digits that `choose` takes from their logits, and their log-probabilities."""
    answers, log_probs = jnp.zeros((len(questions), ANSWER), jnp.int32), []
    for place in range(ANSWER):
        logits = policy(questions, answers)[:, place] @ policy.digits.T
        chosen = choose(place, logits)
        log_probs.append(jaxent.softmax_log_probs(logits, chosen))
        answers = answers.at[:, place].set(chosen)
    return answers, jnp.stack(log_probs, axis=1)


@jax.jit
def roll_out(policy: Any, key: Array) -> Rollout:
    for_questions, *for_digits = jax.random.split(key, 1 + ANSWER)
    asked = jax.random.randint(for_questions, (QUESTIONS,), 0, DIGITS * DIGITS)
    questions = jnp.repeat(asked, GROUP)
    answers, log_probs = digit_by_digit(
        policy, questions, lambda place, logits: jax.random.categorical(for_digits[place], logits)
    )
    rewards = jnp.mean(right_digits(questions, answers), axis=1)
    groups = rewards.reshape(QUESTIONS, GROUP)
    deviation = jnp.std(groups, axis=1, keepdims=True) + 1e-4
    advantages = (groups - jnp.mean(groups, axis=1, keepdims=True)) / deviation
    return Rollout(questions, answers, log_probs, rewards, advantages.reshape(-1))


def clipped(stats: jaxent.SoftmaxStats, old_log_probs: Array, advantages: Array) -> Any:
    """The loss of each digit, and its entropy to log."""
    ratio = jnp.exp(-stats.nll - old_log_probs)
    gain = jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantages)
    return -gain - ENTROPY_BONUS * stats.entropy, stats.entropy


def loss(policy: Any, rollout: Rollout) -> tuple[Array, Array]:
    """The mean over the digits of all answers, and their mean entropy."""
    advantages = jnp.broadcast_to(rollout.advantages[:, None], rollout.log_probs.shape)
    value, entropy = jaxent.linear_softmax_loss(
        clipped,
        policy(rollout.questions, rollout.answers),
        policy.digits,
        rollout.answers,
        rollout.log_probs,
        advantages,
        axis=0,
        has_aux=True,
        reduction="mean",
    )
    return value, jnp.mean(entropy)


@partial(jax.jit, static_argnames="optimizer")
def update(policy: Any, state: Any, rollout: Rollout, optimizer: optax.GradientTransformation):
    (_, entropy), gradients = jax.value_and_grad(loss, has_aux=True)(policy, rollout)
    updates, state = optimizer.update(gradients, state, policy)
    return optax.apply_updates(policy, updates), state, entropy


@jax.jit
def share_right(policy: Any) -> Array:
    """The share of all hundred sums that the policy's likeliest digits get right."""
    questions = jnp.arange(DIGITS * DIGITS)
    answers, _ = digit_by_digit(policy, questions, lambda _, logits: jnp.argmax(logits, axis=-1))
    return jnp.mean(jnp.all(right_digits(questions, answers), axis=1))


class History(NamedTuple):
    """Three numbers of each step."""

    rewards: np.ndarray  # the mean of the samples
    entropies: np.ndarray  # the mean of a digit
    right: np.ndarray  # the share of all sums


def train(steps: int) -> History:
    policy: Any = Policy(jax.random.key(0))
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps * UPDATES)),
    )
    state = optimizer.init(policy)
    history, entropy = [], jnp.zeros(())
    for key in track(jax.random.split(jax.random.key(1), steps), "training"):
        rollout = roll_out(policy, key)
        for _ in range(UPDATES):
            policy, state, entropy = update(policy, state, rollout, optimizer)
        history.append((jnp.mean(rollout.rewards), entropy, share_right(policy)))
    return History(*(np.array(column) for column in zip(*history, strict=True)))


def plot(history: History) -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(history.rewards, color="tab:orange", label="mean reward of the samples")
    left.plot(history.right, color="black", label="share of sums right, likeliest answers")
    left.set_ylim(0, 1.02)
    left.set_title("Reward")
    left.legend(loc="lower right")
    right.plot(history.entropies, color="tab:blue")
    right.set_title("Entropy of a digit, in nats")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    figure.suptitle("A small policy learns to add two digits by GRPO")
    return figure


def main(steps: int = 400, figure: Path = OUTPUT / "grpo.png") -> None:
    history = train(steps)
    save(plot(history), figure)
    first, last = history.rewards[:10].mean(), history.rewards[-10:].mean()
    print(f"mean reward: {first:.2f} in the first ten steps, {last:.2f} in the last ten")
    print(f"sums right: {history.right[-1]:.0%}")
    if history.right[-1] < REQUIRED:
        raise SystemExit(f"at least {REQUIRED:.0%} of the sums must be right")


if __name__ == "__main__":
    main()
