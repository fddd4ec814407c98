"""The linear loss over a mesh in one call, global means, and what is no mesh for a loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, Mesh, PartitionSpec

import jaxent
from tests import heads, meshes
from tests.edges import floating
from tests.laws import mainly, unoptimized

linear = jaxent.linear_softmax_cross_entropy
N, CLASSES = 16, 64
EVERY = tuple(heads.OPTIONS)
DATA, VOCAB, BOTH = PartitionSpec("data"), PartitionSpec(None, "vocab"), ("data", "vocab")

# Every two of a kind of axes, a way to lay out features, and a reduction.
PAIRWISE = [
    (kind, (None, "data")[(i + j) % 2], reduction)
    for i, kind in enumerate([AxisType.Auto, AxisType.Explicit])
    for j, reduction in enumerate(["none", "sum", "mean", "weighted_mean"])
]


def sharded(mesh, **axes):
    return jaxent.sharded(linear, mesh=mesh, **axes)


def of_mesh(mesh, feature_axis=None, **options):
    axes = {"data_axis": "data", "vocab_axis": "vocab", "feature_axis": feature_axis}
    return functools.partial(sharded(mesh, **axes), **options)


def results(loss, x, W, y, options):
    masks = {name: options[name] for name in ("where",) if name in options}
    floats = {name: option for name, option in options.items() if name not in masks}

    def summed(x, W, floats):
        return jnp.sum(loss(x, W, y, **floats, **masks))

    return jax.jit(jax.value_and_grad(summed, (0, 1, 2)))(x, W, floats)


class TestOneCall:
    @unoptimized
    @pytest.mark.parametrize(("kind", "feature_axis", "reduction"), PAIRWISE)
    @pytest.mark.parametrize("shape", mainly([(2, 4)], (1, 1)), ids=str)
    def test_is_the_loss_of_one_device(self, shape, kind, feature_axis, reduction):
        mesh = meshes.mesh_of(shape, kind)
        (x, W, y), options = heads.problem(N, CLASSES, EVERY)
        budget = heads.bytes_of(3, CLASSES, options=EVERY)
        common = {"reduction": reduction, "max_logits_bytes": budget}
        place = functools.partial(meshes.placed, mesh)
        (on_mesh,) = place([PartitionSpec(feature_axis, "vocab")], [W])
        got = results(of_mesh(mesh, feature_axis=feature_axis, **common), x, on_mesh, y, options)
        want = results(functools.partial(linear, **common), x, W, y, options)
        meshes.same(got, want, value=want[0])

    @pytest.mark.parametrize("feature_axis", [None, "data"])
    def test_a_kernel_of_the_other_layout(self, feature_axis):
        (x, W, y), _ = heads.problem(N, CLASSES)
        loss = of_mesh(meshes.mesh_of((2, 4)), feature_axis=feature_axis, axis=0)
        np.testing.assert_allclose(jax.jit(loss)(x, W.T, y), linear(x, W, y), rtol=1e-6)

    @pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
    @pytest.mark.parametrize("lying", ["split", "whole", "of NumPy"])
    def test_under_set_mesh(self, kind, lying):
        mesh = meshes.mesh_of((2, 4), kind)
        arrays, _ = heads.problem(N, CLASSES)
        specs = {"split": (DATA, VOCAB, DATA), "whole": (PartitionSpec(),) * 3}
        given = meshes.placed(mesh, specs[lying], arrays) if lying in specs else arrays
        with jax.set_mesh(mesh):
            got = jax.jit(of_mesh(mesh))(*given)
        np.testing.assert_allclose(got, linear(*arrays), rtol=1e-6)

    @pytest.mark.parametrize("reduction", ["none", "mean"])
    def test_hessian_vector_products(self, reduction):
        (x, W, y), _ = heads.problem(N, CLASSES)
        common = {"reduction": reduction, "max_logits_bytes": heads.bytes_of(3, CLASSES // 4)}

        def product(loss):
            gradient = jax.grad(lambda x, W: jnp.sum(loss(x, W, y)), (0, 1))
            return jax.jit(lambda x, W: jax.jvp(gradient, (x, W), (jnp.cos(x), jnp.cos(W)))[1])

        got = product(of_mesh(meshes.mesh_of((2, 4)), **common))(x, W)
        want = product(functools.partial(linear, **common))(x, W)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-5 * np.max(np.abs(w)))

    def test_total_and_count(self):
        (x, W, y), options = heads.problem(N, CLASSES, ("where",))
        both = (
            loss(x, W, y, reduction="total_and_count", **options)
            for loss in (of_mesh(meshes.mesh_of((2, 4))), linear)
        )
        np.testing.assert_allclose(*both, rtol=1e-6)

    def test_several_axes_and_none(self):
        """A mesh of three axes, the batch over two of them, every class on every device."""
        mesh = Mesh(np.array(jax.devices()).reshape(2, 2, 2), ("replica", "data", "vocab"))
        (x, W, y), _ = heads.problem(N, CLASSES)
        want = linear(x, W, y)
        for axes in (
            {"data_axis": ("replica", "data"), "vocab_axis": "vocab"},
            {"data_axis": "replica", "vocab_axis": ("data", "vocab")},
            {"data_axis": ("replica", "data", "vocab")},
            {"vocab_axis": "vocab"},
        ):
            got = jax.jit(sharded(mesh, **axes))(x, W, y)
            np.testing.assert_allclose(got, want, rtol=1e-6)

    def test_padding_of_a_vocabulary(self):
        """Classes of bias −inf are as if they were not there."""
        (x, W, y), _ = heads.problem(N, 61)
        padded = np.pad(W, ((0, 0), (0, 3)))
        bias = np.where(np.arange(64) < 61, 0, -np.inf).astype(np.float32)
        smoothing = {"label_smoothing": 0.1}
        got = of_mesh(meshes.mesh_of((2, 4)), bias=bias, **smoothing)(x, padded, y)
        np.testing.assert_allclose(got, linear(x, W, y, **smoothing), rtol=1e-6)

    def test_a_mesh_that_does_not_divide(self):
        mesh = meshes.mesh_of((2, 4))
        (x, W, y), _ = heads.problem(N, 62)
        with pytest.raises(ValueError, match=r"axis 1 of kernel must be a multiple of 4.*'vocab'"):
            of_mesh(mesh)(x, W, y)
        (x, W, y), _ = heads.problem(15, CLASSES)
        with pytest.raises(ValueError, match=r"axis 0 of features must be a multiple of 2.*'data'"):
            of_mesh(mesh)(x, W, y)

    def test_wrong_arguments(self):
        mesh = meshes.mesh_of((2, 4))
        (x, W, y), _ = heads.problem(N, CLASSES)
        for axes, message in (
            ({"data_axis": "data", "vocab_axis": "data"}, "vocab_axis must name no axis of"),
            ({"data_axis": BOTH, "vocab_axis": "vocab"}, "vocab_axis must name no axis of"),
            ({"data_axis": "data", "feature_axis": "vocab"}, "feature_axis must name axes of"),
        ):
            with pytest.raises(ValueError, match=message):
                sharded(mesh, **axes)
        with pytest.raises(ValueError, match=r"vocab_axis must be among .*, got 'model'"):
            sharded(mesh, data_axis="data", vocab_axis="model")
        for axis in ((), ("data", "data")):
            with pytest.raises(ValueError, match="data_axis must name one axis or more, each once"):
                sharded(mesh, data_axis=axis)
        with pytest.raises(TypeError, match="data_axis must be a name"):
            sharded(mesh, data_axis=1)
        with pytest.raises(TypeError, match=r"mesh must be a jax.sharding.Mesh, got tuple"):
            sharded((2, 4), data_axis="data")
        with pytest.raises(TypeError, match=r"loss must be a loss of a linear head .*entropy"):
            jaxent.sharded(jaxent.softmax_entropy, mesh=mesh)
        with pytest.raises(ValueError, match=r"features must have 2 or more axes, got .* \(64,\)"):
            of_mesh(mesh)(np.zeros(64), W, y)
        with (
            jax.set_mesh(meshes.mesh_of((4, 2))),
            pytest.raises(ValueError, match="mesh must be the one of"),
        ):
            of_mesh(mesh)(x, W, y)
        with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\]"):
            of_mesh(mesh, label_smoothing=2.0)(x, W, y)


class TestGlobalMeans:
    def test_where_devices_keep_different_numbers(self):
        """Totals and counts are added up, over devices and over steps, and divided once."""
        steps = [heads.problem(N, CLASSES, seed=seed)[0] for seed in (0, 1)]
        kept = [np.arange(N) < 3, np.arange(N) % 5 == 0]
        mesh = meshes.mesh_of((8,))

        @functools.partial(
            jax.shard_map,
            mesh=mesh,
            in_specs=(DATA, PartitionSpec(), DATA, DATA),
            out_specs=PartitionSpec(),
        )
        def pair(x, W, y, where):
            return lax.psum(linear(x, W, y, where=where, reduction="total_and_count"), "data")

        def mean(W):
            pairs = [pair(x, W, y, where) for (x, _, y), where in zip(steps, kept, strict=True)]
            total, count = (sum(column) for column in zip(*pairs, strict=True))
            return total / count.astype(total.dtype)

        def at_once(W):
            x, y = (np.concatenate([step[i] for step in steps]) for i in (0, 2))
            return linear(x, W, y, where=np.concatenate(kept), reduction="mean")

        W = steps[0][1]
        got, want = (jax.jit(jax.value_and_grad(f))(W) for f in (mean, at_once))
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), got, want)


class TestAxisName:
    """Arguments that `shard_map` has not split as `axis_name` says."""

    def call(self, loss, specs, *arrays, check_vma=True):
        out = PartitionSpec() if check_vma else DATA
        split = {"mesh": meshes.mesh_of((2, 4)), "in_specs": specs, "out_specs": out}
        return jax.shard_map(loss, check_vma=check_vma, **split)(*arrays)

    def test_no_such_axis(self):
        with pytest.raises(ValueError, match=r"axis_name must name an axis .*, got 'model'"):
            jaxent.softmax_entropy(jnp.zeros((4, 8)), axis_name="model")

    def test_an_array_that_is_whole_everywhere(self):
        entropy = functools.partial(jaxent.softmax_entropy, axis_name="vocab")
        with pytest.raises(ValueError, match="logits must be split along the mesh axis 'vocab'"):
            self.call(entropy, DATA, jnp.zeros((4, 8)))

    @pytest.mark.parametrize(
        "loss", [jaxent.softmax_kl_divergence, jaxent.softmax_jensen_shannon_divergence]
    )
    def test_target_logits_that_are_whole_everywhere(self, loss):
        divergence = functools.partial(loss, axis_name="vocab")
        with pytest.raises(ValueError, match="target_logits must be split along the mesh axis"):
            self.call(divergence, (VOCAB, PartitionSpec()), jnp.zeros((4, 8)), jnp.zeros((4, 2)))

    def test_a_shard_map_that_does_not_say_what_varies(self):
        entropy = functools.partial(jaxent.softmax_entropy, axis_name="vocab")
        with pytest.raises(ValueError, match="check_vma=True"):
            self.call(entropy, PartitionSpec(*BOTH), jnp.zeros((4, 8)), check_vma=False)

    def test_a_shard_map_over_some_of_the_explicit_axes(self):
        mesh = meshes.mesh_of((2, 4), AxisType.Explicit)
        entropy = functools.partial(jaxent.softmax_entropy, axis_name="vocab")
        split = {"in_specs": VOCAB, "out_specs": PartitionSpec(), "axis_names": {"vocab"}}
        (logits,) = meshes.placed(mesh, [VOCAB], [np.zeros((4, 8), np.float32)])
        with jax.set_mesh(mesh), pytest.raises(ValueError, match="over all axes of the mesh if"):
            jax.jit(jax.shard_map(entropy, mesh=mesh, **split))(logits)

    def test_a_kernel_that_is_whole_everywhere(self):
        loss = functools.partial(linear, axis_name="vocab")
        (x, W, y), _ = heads.problem(4, 8)
        with pytest.raises(ValueError, match="kernel must be split along the mesh axis 'vocab'"):
            self.call(loss, (DATA, PartitionSpec(), DATA), x, W, y)

    @pytest.mark.parametrize("classes", [8, 4096])
    @pytest.mark.parametrize("device", range(4))
    def test_a_nan_on_one_device(self, device, classes):
        logits = np.zeros((4, classes), np.float32)
        logits[1, device * classes // 4] = np.nan
        dense = np.full((4, classes), 1 / classes, np.float32)
        for loss, labels, spec in (
            (jaxent.softmax_cross_entropy_with_integer_labels, np.zeros(4, int), DATA),
            (jaxent.softmax_cross_entropy, dense, PartitionSpec(*BOTH)),
            (jaxent.softmax_stats, np.zeros(4, int), DATA),
        ):
            of_axis = functools.partial(loss, axis_name="vocab")
            split = {"in_specs": (PartitionSpec(*BOTH), spec), "out_specs": DATA}
            by_row = jax.shard_map(of_axis, mesh=meshes.mesh_of((2, 4)), **split)
            for made in floating(jax.jit(by_row)(logits, labels)):
                np.testing.assert_array_equal(np.isnan(made), np.arange(4) == 1)

    def test_no_name(self):
        with pytest.raises(TypeError, match="axis_name must be"):
            jaxent.softmax_entropy(jnp.zeros((4, 8)), axis_name=1)


class TestLabels:
    """Labels count the classes of all devices."""

    @pytest.mark.parametrize("label", [-1, CLASSES, -100])
    def test_no_class(self, label):
        (x, W, y), _ = heads.problem(N, CLASSES)
        y[3] = label
        made = of_mesh(meshes.mesh_of((2, 4)))

        def total(x, W):
            losses = made(x, W, y)
            return jnp.sum(jnp.where(jnp.isnan(losses), 0, losses)), losses

        (_, losses), (x_bar, W_bar) = jax.value_and_grad(total, (0, 1), has_aux=True)(x, W)
        np.testing.assert_array_equal(np.isnan(losses), np.arange(N) == 3)
        np.testing.assert_array_equal(x_bar[3], 0)
        assert np.all(np.isfinite(W_bar))

    def test_the_class_of_the_largest_logit_is_that_of_a_nan(self):
        (x, W, y), _ = heads.problem(N, CLASSES)
        W[:, 2], W[:, 40] = 9, np.nan
        stats = functools.partial(jaxent.linear_softmax_stats, axis_name="vocab")
        split = {"in_specs": (DATA, VOCAB, DATA), "out_specs": DATA}
        best = jax.shard_map(stats, mesh=meshes.mesh_of((2, 4)), **split)(x, W, y).predicted
        np.testing.assert_array_equal(best, jaxent.linear_softmax_stats(x, W, y).predicted)
        np.testing.assert_array_equal(best, 40)

    def test_statistics_and_the_class_of_the_largest_logit(self):
        (x, W, y), _ = heads.problem(N, CLASSES)
        W[:, 40] = W[:, 7]  # the first of equal ones counts
        x[5] = np.nan
        mesh = meshes.mesh_of((2, 4))
        stats = jax.shard_map(
            functools.partial(jaxent.linear_softmax_stats, axis_name="vocab"),
            mesh=mesh,
            in_specs=(DATA, VOCAB, DATA),
            out_specs=DATA,
        )
        got, want = stats(x, W, y), jaxent.linear_softmax_stats(x, W, y)
        assert not np.any(np.isfinite([x[5] for x in floating(got)]))
        others = np.arange(N) != 5
        for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(g[others], w[others], rtol=2e-6)
