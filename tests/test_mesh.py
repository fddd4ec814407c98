"""Losses of arrays that are split over a mesh are those of a single device."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

import jaxent
from bench.mesh import collectives
from tests import meshes
from tests.laws import unoptimized

PAIRWISE = [
    pytest.param(
        *cell,
        id=f"{cell[0].name}-{cell[1]}-{cell[2]}",
        marks=() if cell[2] == meshes.SHAPES[0] else pytest.mark.exhaustive,
    )
    for cell in meshes.PAIRWISE
]


@unoptimized
@pytest.mark.parametrize(("case", "style", "shape"), PAIRWISE)
def test_value_and_gradients(case, style, shape):
    kind = AxisType.Explicit if style == "explicit" else AxisType.Auto
    meshes.check(case, style, meshes.mesh_of(shape, kind))


@pytest.mark.parametrize("rows", [8, 16, 24, 32, 72, 96])
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_mean_of_any_number_of_rows_a_device(kind, rows):
    """Though means of binary losses are made of the sums of four rows each."""
    mesh = meshes.mesh_of((8,), kind)
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, rows, 5)).astype(np.float32)
    mean = jax.jit(functools.partial(jaxent.sigmoid_binary_cross_entropy, reduction="mean"))
    arrays = meshes.placed(mesh, [jax.P("data")] * 2, [logits, labels])
    np.testing.assert_allclose(mean(*arrays), mean(logits, labels), rtol=1e-6)
    # Devices tell each other a number, and nothing that has an axis.
    assert not collectives(mean.lower(*arrays).compile().as_text())


def test_an_explicit_number_after_arrays_of_numpy():
    """Losses lie as the first argument does, be it on no mesh, and not as what is."""
    mesh = meshes.mesh_of((8,), AxisType.Explicit)
    logits, labels = np.eye(8, 16, dtype=np.float32), np.arange(8)
    (on_mesh,) = meshes.placed(mesh, [jax.P()], [np.array(0.1, np.float32)])
    loss = jaxent.softmax_cross_entropy_with_integer_labels
    got, want = (loss(logits, labels, label_smoothing=option) for option in (on_mesh, 0.1))
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_an_explicit_array_after_a_number():
    mesh = meshes.mesh_of((8,), AxisType.Explicit)
    (on_mesh,) = meshes.placed(mesh, [jax.P()], [np.array(1, np.float32)])
    assert jaxent.squared_error(3.0, on_mesh) == 4
