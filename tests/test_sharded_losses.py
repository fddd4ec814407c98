"""`sharded`: every loss of a head and every contrastive loss, beside the same on one device."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

import jaxent
from tests import heads, meshes
from tests.laws import unoptimized

N = 16
linear = jaxent.linear_softmax_cross_entropy


def every_loss_on_a_mesh():
    """Losses of heads and contrastive ones, with arrays for them, and options."""
    rng = np.random.default_rng(0)
    x, W, t = (rng.normal(size=size).astype(np.float32) for size in ((N, 8), (8, 32), (N, 8)))
    y, advantages = rng.integers(0, 32, N), rng.normal(size=N).astype(np.float32)
    probs = rng.uniform(size=(N, 32)).astype(np.float32)

    def formula(stats, advantages):
        return advantages * stats.nll - stats.entropy, {"predicted": stats.predicted}

    many, many_probs = rng.integers(-1, 1024, (N, 20)), rng.uniform(size=(N, 20))
    scattered = {"label_probs": many_probs.astype(np.float32)}
    W_of_many = rng.normal(size=(8, 1024)).astype(np.float32)
    few = {"label_probs": probs[:, :2], "label_smoothing": 0.1, "temperature": 0.5}
    return {
        "few classes": (linear, (x, W, rng.integers(-1, 32, (N, 2))), few),
        "many of many classes": (linear, (x, W_of_many, many), scattered),
        "distributions": (linear, (x, W, probs), {"class_weights": probs[0]}),
        "focal": (jaxent.linear_softmax_focal_loss, (x, W, y), {"gamma": 0.5}),
        "log-probs": (jaxent.linear_softmax_log_probs, (x, W, y), {"temperature": 2.0}),
        "KL": (jaxent.linear_softmax_kl_divergence, (x, W, t, W), {"bias": probs[0], "labels": y}),
        "JSD": (jaxent.linear_softmax_jensen_shannon_divergence, (x, W, t, W), {"beta": 0.3}),
        "reverse KL": (jaxent.linear_softmax_jensen_shannon_divergence, (x, W, t, W), {"beta": 1}),
        "formula": (
            functools.partial(jaxent.linear_softmax_loss, formula, has_aux=True),
            (x, W, y, advantages),
            {},
        ),
        "InfoNCE": (jaxent.info_nce, (x, t), {"temperature": 0.5}),
        "CLIP": (jaxent.info_nce, (x, t), {"temperature": 0.5, "symmetric": True}),
        "NT-Xent": (
            jaxent.info_nce,
            (x, x),
            {"temperature": 0.5, "positives": (np.arange(N) + 1) % N, "exclude_self": True},
        ),
        "masked keys": (
            jaxent.info_nce,
            (x, t),
            {
                "temperature": 0.5,
                "keys_where": np.arange(N) != 3,
                "positives": (np.arange(N)[:, None] + np.arange(2)) % N,
            },
        ),
        "SigLIP": (jaxent.siglip_loss, (x, t), {"scale": 2.0, "bias": -1.0}),
    }


NAMES = list(every_loss_on_a_mesh())


def laid_out(arrays, options, axis):
    """The arrays of a head, or of two, whose kernels have their classes along an axis."""
    if axis == -1:
        return arrays, options
    two = len(arrays) == 4 and arrays[3].ndim == 2
    kernels = (1, 3) if two else (1,)
    arrays = tuple(x.T if i in kernels else x for i, x in enumerate(arrays))
    return arrays, options | dict.fromkeys(("axis", "target_axis")[: len(kernels)], axis)


@pytest.mark.parametrize("loss", [jaxent.info_nce, jaxent.siglip_loss])
def test_more_keys_than_queries_need_positives(loss):
    mesh = meshes.mesh_of((2,))
    x, keys = np.ones((8, 4), np.float32), np.ones((12, 4), np.float32)
    options = {"temperature": 0.5} if loss is jaxent.info_nce else {"scale": 1.0, "bias": 0.0}
    on_mesh = jaxent.sharded(loss, mesh=mesh, data_axis="data")
    with pytest.raises(ValueError, match="keys must have the 8 rows of queries on a mesh"):
        on_mesh(x, keys, **options)


@pytest.mark.parametrize(
    "axes", [{"vocab_axis": "data"}, {"data_axis": "data", "feature_axis": "data"}]
)
def test_contrastive_losses_have_no_classes_to_shard(axes):
    with pytest.raises(ValueError, match="vocab_axis and feature_axis must be None for a contrast"):
        jaxent.sharded(jaxent.siglip_loss, mesh=meshes.mesh_of((2,)), **axes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": -1}, r"features of shape \(8, 4\) and axis=-1, got \(16, 4\)"),
        ({"where": np.ones((8, 1), bool)}, r"where must have the shape \(8,\) .* got \(8, 1\)"),
    ],
)
def test_messages_name_the_shapes_of_all_devices(options, message):
    on_mesh = jaxent.sharded(
        linear, mesh=meshes.mesh_of((2, 2)), data_axis="data", vocab_axis="vocab"
    )
    x, tied, y = np.ones((8, 4), np.float32), np.ones((16, 4), np.float32), np.arange(8)
    with pytest.raises(ValueError, match=message):
        on_mesh(x, tied, y, **{"axis": 0} | options)


@pytest.mark.parametrize("positives", [None, (np.arange(8) + 1) % 8])
@pytest.mark.parametrize("kept", [[], [3], [0, 3, 5]])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "total_and_count"])
def test_the_mean_does_not_count_a_query_without_a_key(positives, kept, reduction):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4)).astype(np.float32)
    options = {
        "temperature": 0.5,
        "positives": positives,
        "exclude_self": positives is not None,
        "keys_where": np.isin(np.arange(8), kept),
        "where": np.arange(8) != 5,
        "weights": np.arange(8, dtype=np.float32),
        "reduction": reduction,
    }
    on_mesh = jaxent.sharded(jaxent.info_nce, mesh=meshes.mesh_of((2,)), data_axis="data")
    got, want = (loss(x, x, **options) for loss in (on_mesh, jaxent.info_nce))
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-6)


def test_an_error_of_a_formula_is_raised_as_it_is():
    def formula(stats):
        raise ValueError(f"on the device {jax.lax.axis_index('data')}, nll {stats.nll.shape}")

    on_mesh = jaxent.sharded(
        jaxent.linear_softmax_loss, mesh=meshes.mesh_of((2,)), data_axis="data"
    )
    x, kernel = np.ones((8, 4), np.float32), np.ones((4, 16), np.float32)
    with pytest.raises(ValueError, match="on the device"):
        on_mesh(formula, x, kernel, np.arange(8))


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_temperature_of_1_on_a_mesh(symmetric):
    """The argument has no default, so 1 is not the same as None."""
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    on_mesh = jaxent.sharded(jaxent.info_nce, mesh=meshes.mesh_of((2,)), data_axis="data")
    got, want = (f(x, x, temperature=1.0, symmetric=symmetric) for f in (on_mesh, jaxent.info_nce))
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("loss", [linear, jaxent.linear_softmax_loss, jaxent.info_nce])
def test_a_sharded_loss_takes_no_axis_name(loss):
    on_mesh = jaxent.sharded(loss, mesh=meshes.mesh_of((2,)), data_axis="data")
    assert "axis_name" in inspect.signature(loss).parameters
    assert "axis_name" not in inspect.signature(on_mesh).parameters


def test_positives_among_more_keys_than_queries():
    rng = np.random.default_rng(0)
    x, keys = (rng.normal(size=(n, 4)).astype(np.float32) for n in (8, 12))
    on_mesh = jaxent.sharded(jaxent.info_nce, mesh=meshes.mesh_of((2,)), data_axis="data")
    options = {"temperature": 0.5, "positives": rng.integers(0, 12, 8)}
    np.testing.assert_allclose(
        on_mesh(x, keys, **options), jaxent.info_nce(x, keys, **options), rtol=1e-6
    )


@pytest.mark.parametrize(
    "loss",
    [
        functools.partial(linear, reduction="mean"),
        lambda features, kernel, labels, *, axis_name=None: features,
        jaxent.softmax_entropy,
    ],
)
def test_what_is_no_loss_of_a_head(loss):
    with pytest.raises(TypeError, match="loss must be a loss of a linear head or a contrastive"):
        jaxent.sharded(loss, mesh=meshes.mesh_of((2,)), data_axis="data")


# A kernel's layout, and the axis of the mesh over which its features are split, take turns.
LAYOUTS = (-1, None), (0, "data"), (0, None), (-1, "data")


@pytest.mark.parametrize(
    ("reduction", "kind", "further"),
    [
        ("weighted_mean", AxisType.Auto, 0),
        pytest.param("none", AxisType.Auto, 1, marks=pytest.mark.exhaustive),
        pytest.param("weighted_mean", AxisType.Explicit, 2, marks=pytest.mark.exhaustive),
        pytest.param("mean", AxisType.Auto, 3, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize(("turn", "name"), list(enumerate(NAMES)))
@unoptimized
def test_is_the_loss_of_one_device(turn, name, reduction, kind, further):
    loss, arrays, options = every_loss_on_a_mesh()[name]
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 2, N).astype(np.float32)
    tail = {"where": rng.uniform(size=N) < 0.8, "weights": weights, "reduction": reduction}
    axes = {"mesh": meshes.mesh_of((2, 4), kind), "data_axis": "data"}
    function = getattr(loss, "func", loss)
    axis, feature_axis = LAYOUTS[(turn + further) % len(LAYOUTS)]
    if "kernel" in inspect.signature(function).parameters:
        arrays, options = laid_out(arrays, options, axis)
        axes |= {"vocab_axis": "vocab", "feature_axis": feature_axis}
    on_mesh = jaxent.sharded(function, **axes)
    if isinstance(loss, functools.partial):
        on_mesh = functools.partial(on_mesh, *loss.args, **loss.keywords)

    def of(loss):
        def total(x, y):
            result = loss(x, y, *arrays[2:], **options, **tail)
            return jnp.sum(result[0] if isinstance(result, tuple) else result), result

        return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(*arrays[:2])

    got, want = of(on_mesh), of(loss)
    result = got[0][1]
    if isinstance(result, tuple):
        np.testing.assert_array_equal(result[1]["predicted"], want[0][1][1]["predicted"])
        got, want = ((made[0][1][0], made[1]) for made in (got, want))
    jax.tree.map(lambda g, w: np.testing.assert_array_less(heads.relative(g, w), 3e-6), got, want)
