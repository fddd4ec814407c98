"""Compiling a loss together with what makes its logits does not change the result."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests.edges import binary, dense, integer, naming, value_and_grad

LOSSES = {
    "integer": lambda z: integer(z, np.arange(64) % 10),
    "dense": lambda z: dense(z, np.full((64, 10), 0.1, np.float32)),
    "entropy": jaxent.softmax_entropy,
    "focal": lambda z: jaxent.softmax_focal_loss(z, np.arange(64) % 10),
}

SUMS_IN_CHAINS = {
    "dense": dense,
    "poly": jaxent.poly_loss_cross_entropy,
    "statistics": lambda z, t: jaxent.softmax_stats(z, t).nll,
    "entropy": lambda z, t: jaxent.softmax_entropy(z),
    "divergence": jaxent.kl_divergence,
    "divergence of logarithms": jaxent.kl_divergence_with_log_targets,
}


@pytest.mark.parametrize("loss", SUMS_IN_CHAINS.values(), ids=SUMS_IN_CHAINS)
def test_numbers_of_rows_are_apart_from_what_is_done_with_them(loss):
    """Or XLA of jax 0.12 makes a chain of both, and takes several times as long over it."""
    z = jax.ShapeDtypeStruct((37, 1000), jnp.float32)
    program = jax.jit(loss).lower(z, z).as_text()
    # The last operation, in the branch for the CPU.
    assert re.search(r"optimization_barrier %\S+ : tensor<37xf32>\n.*\n.*\n    return", program)


@pytest.mark.parametrize("loss", [lambda z: binary(z, jnp.ones_like(z)), jaxent.sigmoid_entropy])
def test_a_gpu_makes_the_exponentials_of_derivatives_in_another_way(loss):
    """As exp(−max(z, −z)), or it would store those of the values, which are exp(−|z|)."""
    z = jax.ShapeDtypeStruct((64, 100), jnp.bfloat16)
    traced = jax.jit(jax.value_and_grad(lambda z: jnp.mean(loss(z)))).trace(z)
    gpu, cpu = (traced.lower(lowering_platforms=(p,)).as_text() for p in ("cuda", "cpu"))
    assert "stablehlo.maximum" in gpu
    assert "stablehlo.maximum" not in cpu


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_large_scaled_logits_under_jit(loss):
    """`x * c` contracted with `- max` would leave the maximum's own rounding residue.

    Dividing by 3, jit multiplies by 1/3 instead, so only there being no NaN is compared then.
    """
    third = np.float32(1 / 3)
    divided, scaled = jax.jit(lambda x: loss(x / 3)), jax.jit(lambda x: loss(x * third))
    for exponent in range(20, 101, 4):
        x = np.random.default_rng(exponent).normal(size=(64, 10)) * 2.0**exponent * 3
        x = jnp.asarray(x, jnp.float32)
        with naming(f"logits about 2^{exponent}"):
            for got in value_and_grad(divided, x):
                assert np.all(np.isfinite(got))
            got, want = value_and_grad(scaled, x), value_and_grad(lambda x: loss(x * third), x)
            for g, w in zip(got, want, strict=True):
                np.testing.assert_array_max_ulp(np.asarray(g), np.asarray(w), 8)


@pytest.mark.parametrize("classes", [10, 200])
@pytest.mark.parametrize("loss", [integer, jaxent.softmax_focal_loss])
def test_two_scaled_leaders_under_jit(loss, classes):
    """The residue of the maximum would weigh as much as the second class does."""
    third, y = np.float32(1 / 3), np.ones(64, int)
    for exponent in (10, 20, 34):
        x = np.random.default_rng(1).normal(size=(64, classes)) * 2.0**exponent
        x = x.astype(np.float32)
        x[:, 0] = x[:, 1:].max(axis=1)
        x[:, 1] = np.nextafter(x[:, 0], np.float32(0))
        function = functools.partial(value_and_grad, lambda x: loss(x * third, y))
        with naming(f"logits about 2^{exponent}"):
            for got, want in zip(jax.jit(function)(x), function(x), strict=True):
                np.testing.assert_array_max_ulp(np.asarray(got), np.asarray(want), 8)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_temperature_in_16_bits_gives_no_nan(dtype):
    largest = float(jnp.finfo(dtype).max)
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (64, 10)) * largest, dtype)
    loss, gradient = value_and_grad(jax.jit(lambda x: integer(x / 3, np.arange(64) % 10)), x)
    assert np.all(np.isfinite(loss))
    assert np.all(np.isfinite(gradient.astype(jnp.float32)))


@pytest.mark.parametrize("temperature", [2.0**-126, 1e-20, 2.0**126])
def test_the_gradient_by_any_temperature_is_finite(temperature):
    def loss(temperature):
        z = np.float32([[1, 2, 3], [3, 3, 3]])
        return -jaxent.softmax_log_probs(z, np.array([2, 0]), temperature=temperature)

    np.testing.assert_array_equal(jax.jacrev(loss)(np.float32(temperature)), 0)
