"""What reverse mode keeps: the arguments as they came, and a few floats a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests.cases import CASES
from tests.laws import unoptimized

pytestmark = unoptimized
N, V = 64, 1000
FLOATS_A_ROW = 16


def kept_bytes(function, *arrays) -> int:
    """The size of what `jax.vjp` holds on to, each array once, inputs included."""
    found = {}

    def trace(*arrays):
        _, pullback = jax.vjp(function, *arrays)
        found.update({id(x): (x, x.size * x.dtype.itemsize) for x in jax.tree.leaves(pullback)})

    jax.eval_shape(trace, *arrays)
    return sum(size for _, size in found.values())


def wide_arrays(case, dtype) -> list:
    """The arrays of a case, with rows wide enough that a float a row is small beside them."""
    arrays = [jnp.asarray(x) for x in case.make((N, V), dtype)]
    if case.elementwise:
        return arrays
    # The table's rows have few classes: their batch's last axis is made the class axis.
    return [x[..., 0] if x.ndim == 3 else x[:, 0] if x.ndim == 2 else x for x in arrays]


def bytes_of(arrays) -> int:
    return sum(x.nbytes for x in arrays)


# The table's formulas on statistics keep arrays of their own; linear heads have a test below.
LOSSES = [case for case in CASES if not case.name.startswith(("softmax_stats", "linear"))]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_no_more_than_the_arguments_and_a_few_floats_a_row(case, dtype):
    """Masks in their bytes and labels in theirs: nothing is kept in a wider copy."""
    arrays = wide_arrays(case, jnp.dtype(dtype))
    arrays = [jnp.ones(V, x.dtype) if x.shape == (5,) else x for x in arrays]
    which = case.differentiable

    def by_floats(*floats):
        full = list(arrays)
        for i, x in zip(which, floats, strict=True):
            full[i] = x
        return case.function(*full)

    kept = kept_bytes(by_floats, *(arrays[i] for i in which))
    assert kept <= bytes_of(arrays) + FLOATS_A_ROW * 4 * N


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "loss",
    [
        jaxent.softmax_cross_entropy_with_integer_labels,
        lambda z, y: jaxent.softmax_cross_entropy_with_integer_labels(
            z, y, label_smoothing=0.1, z_loss=1e-4, reduction="mean"
        ),
        jaxent.softmax_focal_loss,
        jaxent.softmax_stats,
        lambda z, y: jaxent.softmax_entropy(z),
    ],
    ids=["plain", "all options", "focal", "stats", "entropy"],
)
def test_of_class_numbers_the_logits_alone(loss, dtype):
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(N, V)), dtype)
    y = jnp.asarray(rng.integers(0, V, N))
    assert kept_bytes(lambda z: loss(z, y), z) <= z.nbytes + FLOATS_A_ROW * 4 * N


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_of_a_linear_head_its_arguments_or_its_gradients(dtype):
    """Losses per row keep features and kernel; a number its gradients, in float32."""
    rng = np.random.default_rng(0)
    features, kernel = (jnp.asarray(rng.normal(size=s), dtype) for s in ((N, 32), (32, V)))
    labels = jnp.asarray(rng.integers(0, V, N))
    arguments = bytes_of((features, kernel))
    wide = (features.size + kernel.size) * 4
    for reduction, expected in (("none", arguments), ("mean", wide)):
        kept = kept_bytes(
            lambda x, W, reduction=reduction: jaxent.linear_softmax_cross_entropy(
                x, W, labels, max_logits_bytes=10 * 4 * V, reduction=reduction
            ),
            features,
            kernel,
        )
        assert kept <= expected + FLOATS_A_ROW * 4 * N
