"""Losses of arrays that are split over a mesh are those of a single device."""

import pytest
from jax.sharding import AxisType

from tests import meshes


@pytest.mark.parametrize("shape", meshes.SHAPES, ids=str)
@pytest.mark.parametrize("style", meshes.STYLES)
@pytest.mark.parametrize("case", meshes.CHOSEN, ids=lambda case: case.name)
def test_value_and_gradients(case, style, shape):
    kind = AxisType.Explicit if style == "explicit" else AxisType.Auto
    meshes.check(case, style, meshes.mesh_of(shape, kind))
