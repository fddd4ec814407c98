"""Runs a loss on arrays that are sharded over Explicit axes of a mesh.

Explicit axes are part of an array's type, and JAX needs a sharding for the result of every
operation. Here a loss declares the sharding of its final results only. Inside, the axes are Auto:
the compiler chooses. The losses are sharded as the rows of the first argument, and a scalar is
replicated.
"""

import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
from jax import Array
from jax.sharding import AxisType, NamedSharding, PartitionSpec

# Programs that each loss caches: one for each mesh, sharding, shape and static argument.
_PROGRAMS = 256


def with_explicit_axes(function: Callable[..., Any], static: Collection[str]) -> Callable[..., Any]:
    """The same function of named arguments, for arrays on Explicit axes, too.

    The rows of the first argument give the sharding of the result. `static` arguments are hashable,
    and constants of the program.
    """

    def call(**arguments):
        meshes = (jax.typeof(x).sharding.mesh for x in arguments.values() if isinstance(x, Array))
        mesh = next(filter(_explicit_axes, (*meshes, jax.sharding.get_abstract_mesh())), None)
        if mesh is None:
            return function(**arguments)
        fixed = {n: x for n, x in arguments.items() if n in static or not jax.tree.leaves(x)}
        arrays = {name: x for name, x in arguments.items() if name not in fixed}
        types = {name: jax.typeof(x) for name, x in arrays.items()}
        first = next(iter(arguments))
        # `axis` is the class axis of logits, or of a kernel. The last axis of features has no row.
        axis = -1 if first == "features" else fixed.get("axis", -1)
        known = tuple(types.items()), tuple(fixed.items())
        return program(mesh, types[first], axis, *known)(arrays)

    @functools.lru_cache(maxsize=_PROGRAMS)
    def program(mesh, rows, axis, types, fixed):
        """The jitted function. Cached, since JAX would trace a new function at each call."""
        of_arrays = functools.partial(_call_with_fixed, function, dict(fixed))
        spec = tuple(rows.sharding.spec)
        spec += (None,) * (rows.ndim - len(spec))

        def sharding_of(result):
            if result.ndim == 0:
                return NamedSharding(mesh, PartitionSpec())
            row_spec = spec if result.ndim == rows.ndim else _without_axis(spec, axis)
            return NamedSharding(mesh, PartitionSpec(*row_spec))

        axes = _explicit_axes(mesh)
        inside = mesh.abstract_mesh.update_axis_types(dict.fromkeys(axes, AxisType.Auto))
        with jax.sharding.use_abstract_mesh(inside):
            unsharded = {name: jax.ShapeDtypeStruct(t.shape, t.dtype) for name, t in types}
            results = jax.eval_shape(of_arrays, unsharded)
        shardings = jax.tree.map(sharding_of, results)
        return jax.jit(jax.sharding.auto_axes(of_arrays, axes=axes, out_sharding=shardings))

    return call


def _call_with_fixed(
    function: Callable[..., Any], fixed: dict[str, Any], arrays: dict[str, Any]
) -> Any:
    return function(**arrays, **fixed)


def _explicit_axes(mesh: Any) -> tuple[str, ...]:
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return tuple(name for name, kind in kinds if kind == AxisType.Explicit)


def _without_axis(spec: tuple, axis: Any) -> tuple:
    """A partition spec without the entries of the class axes."""
    dropped = {a % len(spec) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(part for i, part in enumerate(spec) if i not in dropped)
