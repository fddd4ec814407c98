"""Losses of papers on the log-probabilities of a head, beside the same in NumPy's float64.

A naive formula takes the module of its functions, so that NumPy gives its value and JAX, in
float64, its gradient. A policy is a head with `features` and `kernel`; its reference has another
kernel. Sequences are (B, T) tokens, of which a mask drops the prompt.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

pytestmark = pytest.mark.usefixtures("peers_promote")
B, T, D, V = 4, 6, 5, 11
BUDGET = {"max_logits_bytes": 2 * 4 * 7 * V}
rng = np.random.default_rng(0)
features, kernel = rng.normal(size=(B, T, D)), rng.normal(size=(D, V))
reference = kernel + 0.3 * rng.normal(size=(D, V))
tokens, kept = rng.integers(0, V, (B, T)), rng.uniform(size=(B, T)) < 0.7
kept[:, 0] = True
advantages, desirable = rng.normal(size=B), np.array([1.0, 0.0, 1.0, 0.0])
chosen, rejected = [0, 1], [2, 3]


def log_probs(np, x, W):
    z = x @ W
    z = z - z.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return np.take_along_axis(log_p, tokens[..., None], -1)[..., 0]


def of_sequences(x, W):
    """log π of each sequence."""
    return jnp.sum(jaxent.linear_softmax_log_probs(x, W, tokens, where=kept, **BUDGET), axis=-1)


def naive_of_sequences(np, x, W):
    return (log_probs(np, x, W) * kept).sum(-1)


def log_sigmoid(np, x):
    return -np.log1p(np.exp(-x))


def margins(ratios):
    return ratios[jnp.array(chosen)] - ratios[jnp.array(rejected)]


def dpo(x, W):
    """Rafailov et al., 2023: −log σ(β (log-ratio of the chosen − of the rejected))."""
    z = 0.1 * margins(of_sequences(x, W) - of_sequences(x, reference))
    return jaxent.sigmoid_binary_cross_entropy(z, jnp.ones_like(z), reduction="mean")


def naive_dpo(np, x, W):
    ratios = naive_of_sequences(np, x, W) - naive_of_sequences(np, x, reference)
    return -log_sigmoid(np, 0.1 * (ratios[np.array(chosen)] - ratios[np.array(rejected)])).mean()


def ipo(x, W):
    """Azar et al., 2023: the squared distance of that margin from 1/(2 τ)."""
    z = margins(of_sequences(x, W) - of_sequences(x, reference))
    return jaxent.squared_error(z, jnp.full_like(z, 1 / (2 * 0.1)), reduction="mean")


def naive_ipo(np, x, W):
    ratios = naive_of_sequences(np, x, W) - naive_of_sequences(np, x, reference)
    z = ratios[np.array(chosen)] - ratios[np.array(rejected)]
    return ((z - 1 / (2 * 0.1)) ** 2).mean()


def kto(x, W):
    """Ethayarajh et al., 2024: 1 − σ(±(β log-ratio − z₀)), with z₀ held constant."""
    ratios = 0.1 * (of_sequences(x, W) - of_sequences(x, reference))
    z0 = jax.lax.stop_gradient(jnp.maximum(0, jnp.mean(ratios)))
    signs = jnp.asarray(2 * desirable - 1, ratios.dtype)
    return jnp.mean(jax.nn.sigmoid(-signs * (ratios - z0)))


def naive_kto(np, x, W, z0=None):
    ratios = 0.1 * (naive_of_sequences(np, x, W) - naive_of_sequences(np, x, reference))
    if z0 is None:
        z0 = max(0, float(naive_kto_baseline()))
    return (1 / (1 + np.exp((2 * desirable - 1) * (ratios - z0)))).mean()


def naive_kto_baseline():
    ratios = naive_of_sequences(np, features, kernel) - naive_of_sequences(np, features, reference)
    return (0.1 * ratios).mean()


OLD = log_probs(np, features, kernel) + 0.2 * rng.normal(size=(B, T))
OF_REFERENCE = log_probs(np, features, reference)
BY_TOKEN = np.broadcast_to(advantages[:, None], (B, T))


def grpo_of_token(stats, old, of_reference, advantages):
    """Shao et al., 2024: the clipped ratio, and 0.04 times the estimate of KL(π ‖ reference)."""
    log_p = -stats.nll
    ratio = jnp.exp(log_p - old)
    gain = jnp.minimum(ratio * advantages, jnp.clip(ratio, 0.8, 1.2) * advantages)
    to_reference = of_reference - log_p
    return 0.04 * (jnp.exp(to_reference) - to_reference - 1) - gain


def grpo(x, W):
    rows = (jnp.asarray(r, x.dtype) for r in (OLD, OF_REFERENCE, BY_TOKEN))
    return jaxent.linear_softmax_loss(
        grpo_of_token, x, W, tokens, *rows, where=kept, reduction="mean", **BUDGET
    )


def naive_grpo(np, x, W):
    log_p = log_probs(np, x, W)
    ratio, away = np.exp(log_p - OLD), OF_REFERENCE - log_p
    gain = np.minimum(ratio * BY_TOKEN, np.clip(ratio, 0.8, 1.2) * BY_TOKEN)
    losses = 0.04 * (np.exp(away) - away - 1) - gain
    return (losses * kept).sum() / kept.sum()


def dft(x, W):
    """Dynamic fine-tuning (Wu et al., 2025): each token's loss times its probability, constant."""

    def formula(stats):
        return jax.lax.stop_gradient(1 - stats.miss) * stats.nll

    return jaxent.linear_softmax_loss(formula, x, W, tokens, where=kept, reduction="mean", **BUDGET)


def naive_dft(np, x, W):
    # The derivative of p is not taken: p of the point at which it is.
    p = jax.nn.softmax(jnp.asarray(features @ kernel))
    p = np.take_along_axis(np.asarray(p), tokens[..., None], -1)[..., 0]
    return -(p * log_probs(np, x, W) * kept).sum() / kept.sum()


def with_entropy_bonus(x, W):
    def formula(stats):
        return stats.nll - 0.01 * stats.entropy

    return jaxent.linear_softmax_loss(formula, x, W, tokens, reduction="mean", **BUDGET)


def naive_with_entropy_bonus(np, x, W):
    z = x @ W
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    entropy = -(np.exp(log_p) * log_p).sum(-1)
    return (-log_probs(np, x, W) - 0.01 * entropy).mean()


RECIPES = {
    "DPO": (dpo, naive_dpo),
    "IPO": (ipo, naive_ipo),
    "KTO": (kto, naive_kto),
    "GRPO": (grpo, naive_grpo),
    "DFT": (dft, naive_dft),
    "entropy bonus": (with_entropy_bonus, naive_with_entropy_bonus),
}


@pytest.mark.parametrize("name", RECIPES)
def test_value_and_gradients(name):
    loss, naive = RECIPES[name]
    arrays = features.astype(np.float32), kernel.astype(np.float32)
    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(*arrays)
    wide = [x.astype(np.float64) for x in arrays]
    np.testing.assert_allclose(value, naive(np, *wide), rtol=2e-5)
    with jax.enable_x64(True):
        want = jax.device_get(jax.grad(functools.partial(naive, jnp), (0, 1))(*wide))
    for got, by in zip(gradients, want, strict=True):
        np.testing.assert_allclose(got, by, rtol=2e-4, atol=2e-5 * np.abs(by).max())


def test_fine_tuning_logs_its_z_loss():
    """As T5X and MaxText do: the loss with z-loss, and each of both alone."""

    def formula(stats):
        z_loss = 1e-4 * stats.lse**2
        return stats.nll + z_loss, {"cross_entropy": stats.nll, "z_loss": z_loss}

    x, W = (jnp.asarray(a, jnp.float32) for a in (features, kernel))

    def mean(x, W):
        return jaxent.linear_softmax_loss(
            formula, x, W, tokens, where=kept, reduction="mean", has_aux=True, **BUDGET
        )

    def built_in(x, W):
        return jaxent.linear_softmax_cross_entropy(
            x, W, tokens, z_loss=1e-4, where=kept, reduction="mean", **BUDGET
        )

    (value, logged), gradients = jax.value_and_grad(mean, (0, 1), has_aux=True)(x, W)
    want, want_gradients = jax.value_and_grad(built_in, (0, 1))(x, W)
    np.testing.assert_allclose(value, want, rtol=1e-6)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7),
        gradients,
        want_gradients,
    )
    assert logged["z_loss"].shape == (B, T)
    np.testing.assert_array_equal(logged["z_loss"][~kept], 0)
    parts = sum(jnp.sum(x) for x in logged.values())
    np.testing.assert_allclose(parts / kept.sum(), want, rtol=1e-6)


def test_perplexity_and_accuracy():
    stats = jaxent.linear_softmax_stats(
        features.astype(np.float32), kernel.astype(np.float32), tokens, where=kept
    )
    count = kept.sum()
    perplexity = np.exp(np.sum(stats.nll) / count)
    want = np.exp(-np.sum(log_probs(np, features, kernel) * kept) / count)
    np.testing.assert_allclose(perplexity, want, rtol=1e-5)
    right = (np.argmax(features @ kernel, -1) == tokens) & kept
    np.testing.assert_array_equal((stats.predicted == tokens) & kept, right)


def test_accumulated_gradients_are_those_of_the_batch():
    """Totals and counts of micro-batches, whose rows differ in number, in a scan."""
    x, W = features.astype(np.float32), kernel.astype(np.float32)
    loss = functools.partial(jaxent.linear_softmax_cross_entropy, **BUDGET)

    def step(sums, batch):
        x, y, where = batch

        def total(W):
            return loss(x, W, y, where=where, reduction="total_and_count")

        (total, count), gradient = jax.value_and_grad(total, has_aux=True)(W)
        return jax.tree.map(jnp.add, sums, (total, count, gradient)), None

    nothing = jnp.zeros(()), jnp.zeros((), int), jnp.zeros_like(W)
    (total, count, gradient), _ = jax.lax.scan(step, nothing, (x, tokens, kept))

    def mean(W):
        return loss(x, W, tokens, where=kept, reduction="mean")

    want, want_gradient = jax.value_and_grad(mean)(W)
    np.testing.assert_allclose(total / count.astype(jnp.float32), want, rtol=1e-6)
    np.testing.assert_allclose(
        gradient / count.astype(jnp.float32), want_gradient, rtol=1e-5, atol=1e-7
    )


def test_clip_with_a_learned_scale():
    """Radford et al., 2021: the logarithm of 1/T is learned, and the loss is of both ways."""
    images, texts = (rng.normal(size=(7, D)) for _ in range(2))

    def loss(images, texts, log_scale):
        unit = (x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts))
        return jaxent.info_nce(
            *unit, temperature=jnp.exp(-log_scale), symmetric=True, reduction="mean"
        )

    def naive(np, images, texts, log_scale):
        unit = (x / np.sqrt((x * x).sum(1, keepdims=True)) for x in (images, texts))
        images, texts = unit
        z = np.exp(log_scale) * images @ texts.T
        ways = (np.log(np.exp(s).sum(1)) - np.diagonal(s) for s in (z, z.T))
        return sum(way.mean() for way in ways) / 2

    arrays = images.astype(np.float32), texts.astype(np.float32), np.float32(np.log(1 / 0.07))
    value, gradients = jax.value_and_grad(loss, (0, 1, 2))(*arrays)
    with jax.enable_x64(True):
        wide = [np.asarray(x, np.float64) for x in arrays]
        both = jax.value_and_grad(functools.partial(naive, jnp), (0, 1, 2))(*wide)
        want, want_gradients = jax.device_get(both)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    for got, by in zip(gradients, want_gradients, strict=True):
        np.testing.assert_allclose(got, by, rtol=1e-4, atol=1e-5)


def test_the_weighted_mean_of_pytorch():
    """Its `cross_entropy` with `weight=w` divides by the weights of the labels."""
    z, y = rng.normal(size=(6, V)).astype(np.float32), np.array([0, 3, -100, 5, 5, 10])
    w, rows = rng.uniform(0.5, 2, V).astype(np.float32), y != -100
    got = jaxent.softmax_cross_entropy_with_integer_labels(
        z, y, where=rows, weights=w[np.maximum(y, 0)], reduction="weighted_mean"
    )
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    nll = -log_p[np.arange(6), y * rows]
    np.testing.assert_allclose(got, (w[y * rows] * nll)[rows].sum() / w[y[rows]].sum(), rtol=1e-6)


def test_distillation_and_the_label_of_one_head():
    """Hinton et al., 2015: a teacher's distribution and the hard label, in one pass over a head."""
    x, W = features.astype(np.float32), kernel.astype(np.float32)
    teacher = jax.nn.softmax(jnp.asarray(features @ reference, jnp.float32))

    def of_both(x, W):
        hard = jax.nn.one_hot(tokens, V)
        mixed = 0.7 * teacher + 0.3 * hard
        return jaxent.linear_softmax_cross_entropy(x, W, mixed, reduction="mean", **BUDGET)

    def separately(x, W):
        z = x @ W
        entropy = jaxent.entropy(teacher)
        soft = jaxent.softmax_kl_divergence(z, jnp.log(teacher)) + entropy
        return jnp.mean(
            0.7 * soft + 0.3 * jaxent.softmax_cross_entropy_with_integer_labels(z, tokens)
        )

    got, want = (jax.value_and_grad(f, (0, 1))(x, W) for f in (of_both, separately))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got, want)
