"""Losses of arrays on a mesh of Explicit axes, which are part of an array's type.

There JAX asks of every operation how its result is to lie. A loss answers once: inside, the axes
are Auto and the compiler places what is made; its losses lie as the rows of its first argument do,
and a number is the same everywhere.
"""

import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
from jax import Array
from jax.sharding import AxisType, NamedSharding, PartitionSpec

# A loss keeps this many programs: one for each mesh, placement, shape and static argument.
_PROGRAMS = 256


def with_explicit_axes(function: Callable[..., Any], static: Collection[str]) -> Callable[..., Any]:
    """The same function of named arguments, of which the first one has the rows.

    Arguments that are `static` are hashable, and part of the program.
    """

    def call(**arguments):
        placed = (jax.typeof(x).sharding.mesh for x in arguments.values() if isinstance(x, Array))
        mesh = next(filter(_explicit, (*placed, jax.sharding.get_abstract_mesh())), None)
        if mesh is None:
            return function(**arguments)
        fixed = {name: x for name, x in arguments.items() if x is None or name in static}
        arrays = {name: x for name, x in arguments.items() if name not in fixed}
        types = {name: jax.typeof(x) for name, x in arrays.items()}
        rows = types[next(iter(arguments))]
        return program(mesh, rows, tuple(types.items()), tuple(fixed.items()))(arrays)

    @functools.lru_cache(maxsize=_PROGRAMS)
    def program(mesh, rows, types, fixed):
        """The jitted function: a new one at each call would be traced at each call."""
        of_arrays = functools.partial(_of_arrays, function, dict(fixed))
        spec = tuple(rows.sharding.spec)
        spec += (None,) * (rows.ndim - len(spec))

        def lying(made):
            if made.ndim == 0:
                return NamedSharding(mesh, PartitionSpec())
            kept = spec if made.ndim == rows.ndim else _without(spec, dict(fixed).get("axis", -1))
            return NamedSharding(mesh, PartitionSpec(*kept))

        axes = _explicit(mesh)
        inside = mesh.abstract_mesh.update_axis_types(dict.fromkeys(axes, AxisType.Auto))
        with jax.sharding.use_abstract_mesh(inside):
            anywhere = {name: jax.ShapeDtypeStruct(t.shape, t.dtype) for name, t in types}
            made = jax.eval_shape(of_arrays, anywhere)
        lie = jax.tree.map(lying, made)
        return jax.jit(jax.sharding.auto_axes(of_arrays, axes=axes, out_sharding=lie))

    return call


def _of_arrays(function: Callable[..., Any], fixed: dict[str, Any], arrays: dict[str, Any]) -> Any:
    return function(**arrays, **fixed)


def _explicit(mesh: Any) -> tuple[str, ...]:
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return tuple(name for name, kind in kinds if kind == AxisType.Explicit)


def _without(spec: tuple, axis: Any) -> tuple:
    dropped = {a % len(spec) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(part for i, part in enumerate(spec) if i not in dropped)
