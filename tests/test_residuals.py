"""What reverse mode keeps: the logits as they came, and a few floats a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

N, V = 64, 1000


def kept_bytes(function, *arrays) -> int:
    """The size of what `jax.vjp` holds on to, each buffer once, inputs included."""
    _, pullback = jax.vjp(function, *arrays)
    buffers = {x.unsafe_buffer_pointer(): x.nbytes for x in jax.tree.leaves(pullback)}
    return sum(buffers.values())


def integer(**options):
    return lambda z, y: jaxent.softmax_cross_entropy_with_integer_labels(z, y, **options)


def inputs(dtype):
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(N, V)), dtype)
    return z, jnp.asarray(rng.integers(0, V, N))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "function",
    [
        integer(),
        integer(reduction="mean"),
        integer(label_smoothing=0.1, z_loss=1e-4),
        integer(class_weights=np.ones(V), weights=np.ones(N), where=np.ones(N, bool)),
        jaxent.softmax_focal_loss,
        lambda z, y: jaxent.softmax_stats(z, y),
        lambda z, y: jaxent.softmax_entropy(z),
    ],
    ids=["plain", "mean", "smoothing and z-loss", "weights", "focal", "stats", "entropy"],
)
def test_softmax_losses_keep_one_array_of_logits(function, dtype):
    z, y = inputs(dtype)
    row_floats = 16 * 4 * N
    assert kept_bytes(lambda z: function(z, y), z) <= z.nbytes + row_floats + 8 * V


@pytest.mark.parametrize("loss", [jaxent.softmax_cross_entropy, jaxent.poly_loss_cross_entropy])
def test_dense_labels_are_kept_beside_the_logits(loss):
    z, y = inputs("float32")
    t = jax.nn.one_hot(y, V)
    assert kept_bytes(lambda z: loss(z, t), z) <= z.nbytes + t.nbytes + 16 * 4 * N


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", [jaxent.sigmoid_binary_cross_entropy, jaxent.sigmoid_focal_loss])
def test_binary_losses_keep_logits_and_labels(loss, dtype):
    z, _ = inputs(dtype)
    y = (z > 0).astype(jnp.float32)
    assert kept_bytes(lambda z: loss(z, y), z) <= z.nbytes + 2 * y.nbytes + 1024
