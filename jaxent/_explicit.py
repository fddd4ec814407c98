"""Losses of arrays on a mesh of Explicit axes, which are part of an array's type.

There JAX asks of every operation how its result is to lie. A loss answers once: inside, the axes
are Auto and the compiler places what is made; its losses lie as the rows of its first argument do,
and a number is the same everywhere.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def with_explicit_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of named arguments, of which the first one has the rows."""

    def call(**arguments):
        arrays = {name: x for name, x in arguments.items() if isinstance(x, Array)}
        meshes = *map(_mesh, arrays.values()), jax.sharding.get_abstract_mesh()
        mesh = next(filter(_explicit, meshes), None)
        if mesh is None:
            return function(**arguments)
        rows = jnp.asarray(next(iter(arguments.values())))
        fixed = {name: x for name, x in arguments.items() if name not in arrays}
        spec = _spec(rows)

        def of_arrays(arrays):
            return function(**arrays, **fixed)

        def lying(made):
            if made.ndim == 0:
                return NamedSharding(mesh, PartitionSpec())
            kept = spec if made.ndim == rows.ndim else _without(spec, arguments.get("axis", -1))
            return NamedSharding(mesh, PartitionSpec(*kept))

        axes = _explicit(mesh)
        inside = mesh.abstract_mesh.update_axis_types(dict.fromkeys(axes, AxisType.Auto))
        with jax.sharding.use_abstract_mesh(inside):
            made = jax.eval_shape(of_arrays, jax.tree.map(_anywhere, arrays))
        lie = jax.tree.map(lying, made)
        return jax.sharding.auto_axes(of_arrays, axes=axes, out_sharding=lie)(arrays)

    return call


def _mesh(x: Array) -> Any:
    return jax.typeof(x).sharding.mesh


def _explicit(mesh: Any) -> tuple[str, ...]:
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return tuple(name for name, kind in kinds if kind == AxisType.Explicit)


def _spec(x: Array) -> tuple:
    spec = tuple(jax.typeof(x).sharding.spec)
    return spec + (None,) * (x.ndim - len(spec))


def _without(spec: tuple, axis: Any) -> tuple:
    dropped = {a % len(spec) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(part for i, part in enumerate(spec) if i not in dropped)


def _anywhere(x: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype)
