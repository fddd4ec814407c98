"""A CPU computes narrow gradients of short rows, and costly terms of short rows, in one loop."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from jaxent.core import lower


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 5), (5, 0), (4, 1), (6, 10), (2, 3, 15), (2, 16)])
def test_one_loop_changes_no_number(shape, dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), dtype)
    x = x.at[..., -1:].set(jnp.nan) if x.ndim else x
    of_vectors = jax.vmap(lower.in_one_loop) if x.ndim else lower.in_one_loop
    _, by_x = jax.vjp(lower.in_one_loop, x)
    for again in (jax.jit(lower.in_one_loop), jax.jit(of_vectors), lambda x: by_x(x)[0]):
        np.testing.assert_array_equal(*(np.asarray(x, np.float32) for x in (again(x), x)))


def test_narrow_gradients_of_short_rows_are_one_loop():
    """In the loop over rows of ten, LLVM uses no vectors."""
    N, V = 64, 10

    def mean(logits):
        return jaxent.sigmoid_focal_loss(logits, jnp.ones((N, V)), gamma=2.5, reduction="mean")

    compiled = jax.jit(jax.grad(mean)).lower(jnp.zeros((N, V), jnp.bfloat16)).compile().as_text()
    assert re.search(rf"= bf16\[{N * V}\]\S* fusion", compiled)
    assert not re.search(rf"= bf16\[{N},{V}\]\S* fusion", compiled)


def test_terms_of_a_jensen_shannon_divergence_of_short_rows_are_one_loop():
    N, V = 64, 10
    z = jnp.zeros((N, V))
    loss = jax.jit(jaxent.softmax_jensen_shannon_divergence)
    assert re.search(rf"= f32\[{N * V}\]\S* fusion", loss.lower(z, z).compile().as_text())


def test_gradients_of_short_rows_stay_sharded():
    mesh = jax.make_mesh((2, 4), ("d", "m"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    by_rows = jax.sharding.NamedSharding(mesh, jax.P("d", "m", None))
    z = jax.device_put(jnp.zeros((4, 8, 10), jnp.bfloat16), by_rows)
    y = jax.device_put(jnp.zeros((4, 8), jnp.int32), jax.sharding.NamedSharding(mesh, jax.P()))
    loss = functools.partial(
        jaxent.softmax_cross_entropy_with_integer_labels, labels=y, reduction="mean"
    )
    compiled = jax.jit(jax.grad(loss)).lower(z).compile()
    assert compiled.output_shardings.is_equivalent_to(by_rows, 3)
    assert "all-gather" not in compiled.as_text()
