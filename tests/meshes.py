"""Losses of the table on a mesh: where their arrays lie, and who agrees with a single device.

A mesh has an axis "data", over which batches are split, and may have an axis "vocab", over which
classes are. `check` takes a loss in one of the three ways in which JAX splits a computation.
"""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tests import makers
from tests.cases import WITH_ALL_OPTIONS

# Divided by every mesh of eight devices.
ROWS, CLASSES = 8, 16
STYLES = ("auto", "explicit", "shard_map")
SHAPES = (2, 4), (4, 2), (1, 8), (8,)
# Every loss on every shape of a mesh. The styles take turns, so that every loss has every style
# with its classes split, and every shape has every style.
PAIRWISE = [
    (case, STYLES[(i + j) % 3], shape)
    for j, shape in enumerate(SHAPES)
    for i, case in enumerate(WITH_ALL_OPTIONS)
]
# Every loss once, and every fourth of these.
MAIN = [(case, style) for case, style, shape in PAIRWISE if shape == SHAPES[0]]
FEW = MAIN[::4]
OVER_CLASSES = ("softmax_", "poly_", "linear_")


def mesh_of(shape, kind=AxisType.Auto):
    devices = np.array(jax.devices())
    names = ("data", "vocab")[: len(shape)]
    return Mesh(devices[: np.prod(shape)].reshape(shape), names, axis_types=(kind,) * len(shape))


@functools.cache
def arrays_of(case):
    """In float32, for as many classes as a mesh divides."""
    with mock.patch.object(makers, "V", CLASSES):
        return case.make((ROWS,), np.float32)


@functools.cache
def on_one_device(case):
    return jax.jit(value_and_gradients(case, case.function))(*arrays_of(case))


def splits_classes(case, mesh):
    return "vocab" in mesh.shape and case.name.startswith(OVER_CLASSES)


def specs_of(case, mesh, arrays):
    """Batches in front are split over "data", classes over "vocab"."""
    over_classes = splits_classes(case, mesh)

    def spec(i, x):
        axes = [None] * x.ndim
        if i in case.batched:
            axes[0] = "data"
        if over_classes and case.makers[i] is makers.tied_kernel:
            axes[0] = "vocab"
        elif over_classes and x.ndim and x.shape[-1] == CLASSES:
            axes[-1] = "vocab"
        return PartitionSpec(*axes)

    return tuple(spec(i, x) for i, x in enumerate(arrays))


def placed(mesh, specs, arrays):
    """Arrays of which each process holds the parts that lie on its devices."""
    return tuple(
        jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), x.__getitem__)
        for x, spec in zip(arrays, specs, strict=True)
    )


def value_and_gradients(case, function):
    """Of a sum with factors, so that every loss has a cotangent of its own."""

    def summed(*arrays):
        losses = function(*arrays)
        factors = 2 + jnp.cos(jnp.arange(losses.size, dtype=losses.dtype)).reshape(losses.shape)
        if isinstance(jax.typeof(losses).sharding, NamedSharding):
            factors = _lying_like(factors, losses)
        return jnp.sum(losses * factors), losses

    return jax.value_and_grad(summed, case.differentiable, has_aux=True)


def _lying_like(x, like):
    sharding = jax.typeof(like).sharding
    explicit = AxisType.Explicit in sharding.mesh.axis_types
    return jax.sharding.reshard(x, sharding) if explicit else x


def on_mesh(case, style, mesh, specs):
    """The loss in a style, of arrays that lie on the mesh."""
    if style != "shard_map":
        return case.function
    by_class = {"axis_name": "vocab"} if splits_classes(case, mesh) else {}
    return jax.shard_map(
        functools.partial(case.function, **by_class),
        mesh=mesh,
        in_specs=specs,
        out_specs=PartitionSpec("data"),
    )


def check(case, style, mesh):
    """Value, losses and gradients are those of a single device; gradients lie where arrays do."""
    arrays = arrays_of(case)
    specs = specs_of(case, mesh, arrays)
    function = value_and_gradients(case, on_mesh(case, style, mesh, specs))
    got = jax.jit(function)(*placed(mesh, specs, arrays))
    want = on_one_device(case)
    same(got, want, value=want[0][0])
    (_, losses), gradients = got
    for i, gradient in zip(case.differentiable, gradients, strict=True):
        if style == "explicit":
            assert jax.typeof(gradient).sharding.spec == specs[i], case.name
    if style == "explicit":
        assert jax.typeof(losses).sharding.spec[0] == "data"


def same(got, want, value):
    """To a millionth of the norm, on the parts that this process has.

    The slope by a number is a sum over rows of both signs, each term as large as a loss.
    """

    def compare(got, want):
        want = np.asarray(want)
        size = max(np.linalg.norm(want), abs(value) if want.ndim == 0 else 1e-6)
        for part in got.addressable_shards:
            error = np.linalg.norm(np.asarray(part.data, np.float64) - want[part.index])
            assert error <= 1e-6 * size, (error, size)

    jax.tree.map(compare, got, want)
