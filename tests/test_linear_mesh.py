"""Reduced losses of linear heads inside `shard_map`, whose gradients are made with the value."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxent
from tests import heads

BATCH, EVERYWHERE = PartitionSpec("batch"), PartitionSpec()


def cross_entropy(x, W, y):
    return jaxent.linear_softmax_cross_entropy(x, W, y, reduction="mean", max_logits_bytes=500)


def distillation(x, W, y):
    del y
    return jaxent.linear_softmax_kl_divergence(
        x, W, jnp.sin(x), W, reduction="mean", max_logits_bytes=500
    )


@pytest.mark.parametrize("loss", [cross_entropy, distillation])
@pytest.mark.parametrize("by", ["gradient", "Hessian-vector product"])
def test_the_mean_over_devices(loss, by):
    n = jax.device_count()
    mesh = jax.make_mesh((n,), ("batch",), axis_types=(AxisType.Auto,))
    (x, W, y), _ = heads.problem(6 * n, 40)

    @functools.partial(
        jax.shard_map, mesh=mesh, in_specs=(BATCH, EVERYWHERE, BATCH), out_specs=EVERYWHERE
    )
    def sharded(x, W, y):
        return jax.lax.pmean(loss(x, W, y), "batch")

    def derivative(loss, x, W):
        gradient = jax.grad(lambda x, W: loss(x, W, y), (0, 1))
        if by == "gradient":
            return gradient(x, W)
        return jax.jvp(gradient, (x, W), (jnp.cos(x), jnp.cos(W)))[1]

    got, want = (jax.jit(functools.partial(derivative, f))(x, W) for f in (sharded, loss))
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-6), got, want)
