"""What devices tell each other, read from the compiled programs.

A few numbers a row, and gradients once: nothing that has the vocabulary in it is gathered.
"""

import functools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

import jaxent
from bench.mesh import collectives, too_many
from tests import heads, makers, meshes
from tests.cases import CASES, WITH_ALL_OPTIONS

N, CLASSES, MESH = 64, 1024, (2, 4)
ROWS, OWN_CLASSES = N // MESH[0], CLASSES // MESH[1]  # of a device
FEW = 8  # numbers a row
GRADIENTS = 3  # reductions of gradients: along classes, along the batch, along both


def found(function, *arrays):
    """Of a compiled program, those in the body of a loop once."""
    return collectives(text_of(function, *arrays))


def text_of(function, *arrays):
    return jax.jit(function).lower(*arrays).compile().as_text()


def numbers(collective):
    return sum(map(prod, collective.shapes))


def of_logits(style):
    """A sum of losses in a style, and logits and labels on the mesh."""
    mesh = meshes.mesh_of(MESH, AxisType.Explicit if style == "explicit" else AxisType.Auto)
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(N, CLASSES)).astype(np.float32), rng.integers(0, CLASSES, N)
    specs = jax.P("data", "vocab"), jax.P("data")
    loss = jaxent.softmax_cross_entropy_with_integer_labels
    if style == "shard_map":
        own = functools.partial(loss, axis_name="vocab")
        loss = jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=specs[1])
    return lambda z, y: jnp.sum(loss(z, y)), meshes.placed(mesh, specs, arrays)


@pytest.mark.parametrize("style", meshes.STYLES)
def test_logits(style):
    """Two reductions forward; backward at most what tells each row's devices its cotangent."""
    loss, arrays = of_logits(style)
    forward = found(loss, *arrays)
    assert {c.kind for c in forward} == {"all-reduce"}
    assert len(forward) == 2
    both = found(jax.value_and_grad(loss), *arrays)
    for collective in (*forward, *both):
        assert numbers(collective) <= FEW * N, collective
        assert not {CLASSES, OWN_CLASSES} & {size for s in collective.shapes for size in s}


def _over_classes():
    """Every loss that may have its classes split, with all options and, of divergences, without."""
    mesh = meshes.mesh_of((1, 1))
    plain = [case for case in CASES if case.name.endswith("kl_divergence")]
    return [case for case in (*plain, *WITH_ALL_OPTIONS) if meshes.splits_classes(case, mesh)]


@pytest.mark.parametrize("case", _over_classes(), ids=lambda case: case.name)
def test_every_loss(case):
    """Three reductions forward, three more for two logits; and again for logits made again.

    Labels that are smoothed over a mask of classes need their number first.
    """
    mesh = meshes.mesh_of(MESH)
    arrays = meshes.arrays_of(case)
    specs = meshes.specs_of(case, mesh, arrays)
    loss = meshes.on_mesh(case, "shard_map", mesh, specs)
    most = 6 if case.name.endswith("divergence, all options") else 3
    most += makers.class_mask in case.makers and "label_smoothing" in case.keywords
    forward = found(loss, *meshes.placed(mesh, specs, arrays))
    assert {c.kind for c in forward} == {"all-reduce"}
    assert len(forward) <= most
    assert all(numbers(c) <= 2 * FEW * meshes.ROWS for c in forward)
    both = found(meshes.value_and_gradients(case, loss), *meshes.placed(mesh, specs, arrays))
    assert {c.kind for c in both} == {"all-reduce"}
    assert len(both) <= (2 * most if case.name.startswith("linear") else most) + GRADIENTS


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("reduction", ["none", "mean"])
class TestLinear:
    def call(self, kind, reduction, feature_axis=None):
        mesh = meshes.mesh_of(MESH, kind)
        arrays, _ = heads.problem(N, CLASSES)
        specs = jax.P("data"), jax.P(feature_axis, "vocab"), jax.P("data")
        loss = jaxent.sharded(
            jaxent.linear_softmax_cross_entropy,
            mesh=mesh,
            data_axis="data",
            vocab_axis="vocab",
            feature_axis=feature_axis,
        )
        options = {"reduction": reduction, "max_logits_bytes": heads.bytes_of(8, OWN_CLASSES)}
        return lambda *arrays: jnp.sum(loss(*arrays, **options)), meshes.placed(mesh, specs, arrays)

    def test_forward(self, kind, reduction):
        loss, arrays = self.call(kind, reduction)
        made = found(loss, *arrays)
        assert {c.kind for c in made} == {"all-reduce"}
        assert len(made) <= 3
        assert all(numbers(c) <= FEW * ROWS for c in made)

    def test_each_gradient_is_added_up_once(self, kind, reduction):
        loss, arrays = self.call(kind, reduction)
        text = text_of(jax.value_and_grad(loss, (0, 1)), *arrays)
        made, outside_of_loops = collectives(text), collectives(text[text.index("ENTRY") :])
        large = [c for c in made if numbers(c) > FEW * ROWS]
        assert large == outside_of_loops
        by_features, by_kernel = (ROWS, heads.D), (heads.D, OWN_CLASSES)
        assert sorted(c.shapes for c in large) == sorted([(by_features,), (by_kernel,)])
        assert {c.kind for c in made} == {"all-reduce"}
        # Losses of rows have their cotangents come later: their logits are made again.
        assert len(made) <= (2 if reduction == "none" else 1) * 3 + len(large)

    def test_a_kernel_split_by_features_is_gathered_once(self, kind, reduction):
        loss, arrays = self.call(kind, reduction, feature_axis="data")
        text = text_of(jax.value_and_grad(loss, (0, 1)), *arrays)
        others = [c for c in collectives(text) if c.kind != "all-reduce"]
        outside_of_loops = collectives(text[text.index("ENTRY") :])
        assert others == [c for c in outside_of_loops if c.kind != "all-reduce"]
        gathered, own = (heads.D, OWN_CLASSES), (heads.D // MESH[0], OWN_CLASSES)
        assert sorted((c.kind, c.shapes) for c in others) == [
            ("all-gather", (gathered,)),
            ("reduce-scatter", (own,)),
        ]


@pytest.mark.parametrize(
    ("sent", "many"),
    [
        ({}, False),
        ({"all-reduce": (4, 100), "all-gather": (1, 100)}, False),
        ({"all-reduce": (5, 100)}, True),
        ({"all-reduce": (4, 100), "all-to-all": (1, 100)}, True),
    ],
)
def test_what_the_bench_takes_for_too_many(sent, many):
    assert too_many(sent) == many
