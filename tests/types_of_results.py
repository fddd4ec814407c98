"""What a type checker knows of results; `make lint` runs pyright over this file."""

from typing import assert_type

import jax.numpy as jnp
from jax import Array

import jaxent

z, labels = jnp.zeros((2, 3)), jnp.zeros(2, int)
loss = jaxent.softmax_cross_entropy_with_integer_labels

assert_type(loss(z, labels), Array)
assert_type(loss(z, labels, reduction="mean"), Array)
assert_type(loss(z, labels, reduction="total_and_count"), tuple[Array, Array])
assert_type(jaxent.reduce_losses(z), Array)
assert_type(jaxent.reduce_losses(z, reduction="total_and_weight"), tuple[Array, Array])
assert_type(jaxent.entropy(z, where=z > 0, reduction="sum"), Array)
total, count = jaxent.kl_divergence(z, z, reduction="total_and_count")
assert_type(total, Array)
assert_type(count, Array)
stats = jaxent.linear_softmax_stats(z, z.T, labels)
assert_type(stats.lse, Array)
