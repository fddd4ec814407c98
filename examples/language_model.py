"""Trains a small transformer on English text, its logits never all held: the linear loss at work.

The text is the reference of Python's own help, which needs no download; a byte-pair vocabulary is
trained on it. Token embeddings are tied to the output, so the kernel of the loss is their
transpose. Printed are the perplexity on held-out text, beside that of a model that knows how
frequent each token is and no more, and the memory of a training step with the linear loss and with
logits that are held. The curves go to examples/output/language_model.png.

    python -m examples.language_model
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure
from rich.progress import track
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import jaxent
from examples.common import OUTPUT, save

VOCABULARY = 8192
CONTEXT, BATCH = 128, 16
WIDTH, HEADS, BLOCKS = 192, 4, 2
LEARNING_RATE = 2e-3
Z_LOSS = 1e-4
REQUIRED = 0.5  # of the perplexity of token frequencies


class Text(NamedTuple):
    """Token numbers of the topics learned from, one after the other, and of every tenth topic."""

    train: np.ndarray
    held_out: np.ndarray


def load() -> Text:
    names = sorted(topics)
    held_out = [topics[name] for name in names[::10]]
    learned = [topics[name] for i, name in enumerate(names) if i % 10]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(learned, trainer)
    parts = (learned, held_out)
    return Text(*(np.array(tokenizer.encode("\n".join(part)).ids, np.int32) for part in parts))


class Block(eqx.Module):
    """Causal attention, then two layers, on normalised features and added to them."""

    to_heads: eqx.nn.Linear
    from_heads: eqx.nn.Linear
    wider: eqx.nn.Linear
    narrower: eqx.nn.Linear
    norms: tuple[eqx.nn.LayerNorm, eqx.nn.LayerNorm]

    def __init__(self, key: Array):
        keys = jax.random.split(key, 4)
        self.to_heads = eqx.nn.Linear(WIDTH, 3 * WIDTH, key=keys[0])
        self.from_heads = eqx.nn.Linear(WIDTH, WIDTH, key=keys[1])
        self.wider = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=keys[2])
        self.narrower = eqx.nn.Linear(4 * WIDTH, WIDTH, key=keys[3])
        self.norms = eqx.nn.LayerNorm(WIDTH), eqx.nn.LayerNorm(WIDTH)

    def __call__(self, x: Array) -> Array:
        heads = jax.vmap(self.to_heads)(jax.vmap(self.norms[0])(x))
        query, key, value = heads.reshape(len(x), 3, HEADS, WIDTH // HEADS).swapaxes(0, 1)
        attended = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        x = x + jax.vmap(self.from_heads)(attended.reshape(x.shape))
        wide = jax.nn.gelu(jax.vmap(self.wider)(jax.vmap(self.norms[1])(x)))
        return x + jax.vmap(self.narrower)(wide)


class Model(eqx.Module):
    """Tokens (T,) to features (T, WIDTH) that predict the token after each."""

    embedding: Array
    positions: Array
    blocks: list[Block]
    norm: eqx.nn.LayerNorm

    def __init__(self, key: Array, blocks: int = BLOCKS):
        for_tokens, for_positions, *for_blocks = jax.random.split(key, 2 + blocks)
        self.embedding = jax.random.normal(for_tokens, (VOCABULARY, WIDTH)) / np.sqrt(WIDTH)
        self.positions = jax.random.normal(for_positions, (CONTEXT, WIDTH)) / np.sqrt(WIDTH)
        self.blocks = [Block(key) for key in for_blocks]
        self.norm = eqx.nn.LayerNorm(WIDTH)

    def __call__(self, tokens: Array) -> Array:
        x = self.embedding[tokens] + self.positions
        for block in self.blocks:
            x = block(x)
        return jax.vmap(self.norm)(x)


Loss = Callable[[Array, Array, Array], Array]  # of features, kernel and labels


def linear_loss(features: Array, kernel: Array, labels: Array) -> Array:
    return jaxent.linear_softmax_cross_entropy(
        features, kernel, labels, z_loss=Z_LOSS, reduction="mean"
    )


def loss_of_logits(features: Array, kernel: Array, labels: Array) -> Array:
    return jaxent.softmax_cross_entropy_with_integer_labels(
        features @ kernel, labels, z_loss=Z_LOSS, reduction="mean"
    )


def batches(tokens: np.ndarray, steps: int) -> Iterator[np.ndarray]:
    """Windows at random places, (BATCH, CONTEXT + 1)."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        starts = rng.integers(0, len(tokens) - CONTEXT, BATCH)
        yield tokens[starts[:, None] + np.arange(CONTEXT + 1)]


def make_step(optimizer: optax.GradientTransformation, loss: Loss) -> Any:
    @jax.jit
    def step(model, state, windows):
        def mean(model):
            features = jax.vmap(model)(windows[:, :-1])
            return loss(features, model.embedding.T, windows[:, 1:])

        value, grads = jax.value_and_grad(mean)(model)
        updates, state = optimizer.update(grads, state, model)
        return optax.apply_updates(model, updates), state, value

    return step


def held_out_loss(model: Model, tokens: np.ndarray) -> float:
    """The mean over all windows of the text, side by side; without the z-loss."""
    windows = tokens[: len(tokens) // (CONTEXT + 1) * (CONTEXT + 1)].reshape(-1, CONTEXT + 1)
    totals = [_total(model, part) for part in np.array_split(windows, -(-len(windows) // BATCH))]
    total, count = np.sum(totals, axis=0)
    return total / count


@jax.jit
def _total(model: Any, windows: Array) -> Any:
    features = jax.vmap(model)(windows[:, :-1])
    return jaxent.linear_softmax_cross_entropy(
        features, model.embedding.T, windows[:, 1:], reduction="total_and_count"
    )


def frequency_loss(text: Text) -> float:
    """Of a model that knows how frequent each token is: the cross-entropy of the two texts."""
    counts = np.bincount(text.train, minlength=VOCABULARY) + 1
    return -np.log(counts / counts.sum())[text.held_out].mean()


class History(NamedTuple):
    losses: np.ndarray  # of each step
    evaluated: np.ndarray  # after which steps
    held_out: np.ndarray  # the loss on the held-out text then


def training(
    model: Any, text: Text, steps: int, loss: Loss, place: Callable[[np.ndarray], Any] = np.asarray
) -> Iterator[tuple[Any, Array]]:
    """The model and the loss after every step, with batches placed on devices."""
    schedule = optax.warmup_cosine_decay_schedule(0, LEARNING_RATE, steps // 10, steps)
    optimizer = optax.adamw(schedule)
    state = optimizer.init(model)
    step = make_step(optimizer, loss)
    for windows in track(batches(text.train, steps), "training", total=steps):
        model, state, value = step(model, state, place(windows))
        yield model, value


def train(text: Text, steps: int, evaluations: int = 8) -> History:
    initial: Any = Model(jax.random.key(0))
    evaluated = np.linspace(0, steps, evaluations + 1).astype(int)
    losses, held_out = [], [held_out_loss(initial, text.held_out)]
    for model, value in training(initial, text, steps, linear_loss):
        losses.append(value)
        if len(losses) in evaluated:
            held_out.append(held_out_loss(model, text.held_out))
            print(f"step {len(losses)}: {held_out[-1]:.3f} nats a held-out token", flush=True)
    return History(np.array(losses), evaluated, np.array(held_out))


def step_bytes(loss: Loss) -> int:
    """What a compiled training step takes besides parameters, optimizer state and batch."""
    optimizer = optax.adamw(LEARNING_RATE)
    model: Any = jax.eval_shape(Model, jax.random.key(0))
    windows = jax.ShapeDtypeStruct((BATCH, CONTEXT + 1), np.int32)
    arguments = model, jax.eval_shape(optimizer.init, model), windows
    compiled = make_step(optimizer, loss).lower(*arguments).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def plot(history: History, by_frequency: float, memory: dict[str, int]) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    steps = np.arange(1, len(history.losses) + 1)
    left.plot(steps, history.losses, color="tab:orange", alpha=0.5, label="each training batch")
    left.plot(history.evaluated, history.held_out, "o-", color="black", label="held-out text")
    left.axhline(by_frequency, color="tab:blue", linewidth=1, label="token frequencies alone")
    left.set_title(f"Perplexity of held-out text: {np.exp(history.held_out[-1]):.0f}")
    left.set_xlabel("step")
    left.set_ylabel("cross-entropy of a token, in nats")
    left.grid(alpha=0.3)
    left.legend()
    bars = right.bar(list(memory), [size / 2**20 for size in memory.values()], color="tab:orange")
    right.bar_label(bars, fmt="{:.0f} MiB")
    right.margins(y=0.1)
    right.set_title("Temporaries of a step")
    right.set_ylabel("MiB")
    figure.suptitle(f"A transformer of {BLOCKS} blocks, {VOCABULARY} tokens, without its logits")
    return figure


def main(steps: int = 300, figure: Path = OUTPUT / "language_model.png") -> None:
    text = load()
    print(f"{len(text.train)} tokens to learn from, {len(text.held_out)} held out")
    memory = {
        "linear loss": step_bytes(linear_loss),
        "logits held": step_bytes(loss_of_logits),
    }
    for name, size in memory.items():
        print(f"temporaries of a step, {name}: {size / 2**20:.0f} MiB")
    history, by_frequency = train(text, steps), frequency_loss(text)
    save(plot(history, by_frequency, memory), figure)
    reached, baseline = np.exp(history.held_out[-1]), np.exp(by_frequency)
    print(f"perplexity of held-out text: {reached:.1f}; by token frequencies {baseline:.1f}")
    if reached > REQUIRED * baseline:
        raise SystemExit(f"the perplexity must be below {REQUIRED * baseline:.1f}")


if __name__ == "__main__":
    main()
