"""The tables of docs/coming-from: the last two cells of a row give one number and one gradient.

optax, Keras and PyTorch run if they are installed: `make test-peers` installs them. The other
pages have formulas beside jaxent's calls.
"""

import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

PAGES = sorted((Path(__file__).parents[1] / "docs" / "coming-from").glob("*.md"))
N, V, D = 4, 5, 3
pytestmark = pytest.mark.usefixtures("peers_promote")


def rows_of(page):
    """The last two cells of each row of a table that has code in both."""
    for line in page.read_text().splitlines():
        if (
            line.startswith("| ")
            and len(found := re.findall(r"(?<=\| )`([^`]+)`(?= \|)", line)) > 1
        ):
            yield found[-2:]


ROWS = [
    pytest.param(page.stem, theirs, ours, id=f"{page.stem}: {theirs}")
    for page in PAGES
    for theirs, ours in rows_of(page)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_of_a_page_is_compared(page):
    rows = [line for line in page.read_text().splitlines() if re.match(r"\|.*`[^`]*jaxent\.", line)]
    assert len(rows) == len(list(rows_of(page))) > 4


def arrays():
    """The arrays that the pages name."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def log_softmax(z):
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    y, log_p, log_t = rng.integers(0, V, N), log_softmax(normal(N, V)), log_softmax(normal(N, V))
    views = normal(N, D)
    return {
        "z": normal(N, V),
        "t": np.exp(log_t),
        "b": rng.integers(0, 2, (N, V)).astype(np.float32),
        "y": y,
        "p": np.exp(log_p),
        "log_p": log_p,
        "log_t": log_t,
        "w": np.exp(normal(V)),
        "s": np.exp(normal(N)),
        "pos": np.exp(normal(V)),
        "kept": np.arange(N) != 1,
        "classes": np.eye(N, V, dtype=bool) | (rng.uniform(size=(N, V)) < 0.5),
        "images": normal(N, V, 2, 3),
        "pixels": rng.integers(0, V, (N, 2, 3)),
        "x": normal(N, D),
        "head": normal(V, D),
        "bias": normal(V),
        "views": views / np.linalg.norm(views, axis=1, keepdims=True),
        "same": np.arange(N) // 2,
        "other": np.arange(N) ^ 1,
        "log_ref": normal(N) - 1,
        "teacher_x": normal(N, D),
        "teacher": normal(V, D),
        "old": normal(N) - 1,
        "advantages": normal(N),
    }


# The array that both sides are differentiated by is the first one of these that jaxent's call has.
BY = "z", "x", "p", "log_p", "views", "images"


def unit(vectors):
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def normalised(probs):
    return probs / jnp.sum(probs, axis=-1, keepdims=True)


def margin(ratios):
    return ratios[0] - ratios[1]


def jensen_shannon(z, target_z):
    p, t = jax.nn.softmax(z), jax.nn.softmax(target_z)
    log_m = jnp.log((p + t) / 2)
    return jnp.sum(p * (jnp.log(p) - log_m) + t * (jnp.log(t) - log_m), axis=-1) / 2


def of_jax(expression, by, arrays, **modules):
    def total(x):
        names = {name: jnp.asarray(a) for name, a in arrays.items()} | {by: x}
        value = eval(expression, modules | {"jnp": jnp, "jax": jax} | names)
        return jnp.sum(value), value

    modules |= {f.__name__: f for f in (unit, normalised, margin, jensen_shannon)}
    (_, value), gradient = jax.value_and_grad(total, has_aux=True)(jnp.asarray(arrays[by]))
    return value, gradient


def of_pytorch(expression, by, arrays):
    torch = pytest.importorskip("torch", reason="make test-peers installs PyTorch")
    names = {name: torch.tensor(a) for name, a in arrays.items()}
    names[by].requires_grad_()
    value = eval(expression, {"torch": torch, "F": torch.nn.functional} | names)
    value.sum().backward()
    return value.detach().numpy(), names[by].grad.numpy()


def of_keras(expression, by, arrays):
    os.environ["KERAS_BACKEND"] = "jax"
    keras = pytest.importorskip("keras", reason="make test-peers installs Keras")
    return of_jax(expression, by, arrays, keras=keras, losses=keras.losses)


def of_optax(expression, by, arrays):
    losses = pytest.importorskip("optax.losses")
    return of_jax(expression, by, arrays, losses=losses)


PEERS = {"pytorch": of_pytorch, "keras": of_keras, "optax": of_optax}


@pytest.mark.parametrize(("page", "theirs", "ours"), ROWS)
def test_both_calls_of_a_row_agree(page, theirs, ours):
    made = arrays()
    made["padded"] = np.where(np.arange(N) == 1, -1 if page == "keras" else -100, made["y"])
    named = re.findall(r"\w+", ours)
    by = next(name for name in BY if name in named)
    got = of_jax(ours, by, made, jaxent=jaxent)
    want = PEERS.get(page, of_jax)(theirs, by, made)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=1e-6)
