"""Losses of arrays that are sharded over a mesh, in one call."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from jaxent import _linear_loss, _pairs
from jaxent._declare import loss as declare
from jaxent._declare import numbers_of
from jaxent._heads import kernel_axis
from jaxent._inputs import kept_mask
from jaxent._reduction import count, reduce_total
from jaxent._static import validate_mesh, validate_mesh_axis
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.mesh import AxisName, names_of

P = ParamSpec("P")
R = TypeVar("R")
_KERNELS = {"kernel": "axis", "target_kernel": "target_axis"}
_VECTORS = ("features", "target_features", "queries", "keys")
_BY_CLASS = ("bias", "target_bias", "class_weights")
# How many sharded losses are cached, one for each loss, mesh and axes.
_LOSSES = 256


def sharded(
    loss: Callable[P, R],
    *,
    mesh: Mesh,
    data_axis: AxisName = None,
    vocab_axis: AxisName = None,
    feature_axis: AxisName = None,
) -> Callable[P, R]:
    r"""Wraps a loss of a linear head, or a contrastive loss, so that it takes sharded arrays.

    Use it to train a large vocabulary, or a large contrastive batch, on many devices. No logits
    cross the mesh. Each device computes the logits of its own rows and classes, one chunk of rows
    at a time. The devices along `vocab_axis` all-reduce a few numbers per row for each chunk. They
    all-reduce the gradient of the features once. The devices along `data_axis` all-reduce the
    gradient of the kernel once. A contrastive loss all-gathers the keys. Pass it
    `positives` where it has more keys than queries.

    Args:
      loss: any of jaxent whose name begins with `linear_`, or `info_nce`, or `siglip_loss`.
      mesh: the mesh, of Auto or Explicit axes. If `jax.set_mesh` is in use, it must be that mesh.
        One device is enough.
      data_axis: the mesh axis, or axes, that shard the first axis of every array with rows:
        features, labels, masks, weights, queries, keys, and those of the teacher. The number of
        rows must be a multiple of their size. None replicates the rows.
      vocab_axis: the mesh axis, or axes, that shard the classes of `kernel`, `bias`,
        `class_weights`, labels `(..., V)` and the teacher's kernel and bias. V must be a multiple
        of their size. If it is not, pad the vocabulary with classes whose bias is −inf in every
        head. None replicates the classes.
      feature_axis: the mesh axis, or axes, that shard the features of each kernel, as fully sharded
        data parallelism does. They must be among `data_axis`. A step all-gathers the kernel once
        and reduce-scatters its gradient once. None replicates the features.

    Returns:
      A function of global arrays with the arguments of `loss` but `axis_name`. Losses per row are
      sharded as the batch. A reduction is over the rows of all devices, and replicated.

    Raises:
      TypeError: the loss is another one.
      ValueError: the mesh lacks an axis, or its size does not divide the sharded one, or a
        contrastive loss is given an axis of classes or of features.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> mesh = jax.make_mesh((1, 1), ("data", "vocab"))
      >>> loss = jaxent.sharded(
      ...     jaxent.linear_softmax_cross_entropy, mesh=mesh, data_axis="data", vocab_axis="vocab"
      ... )
      >>> features = jnp.array([[1.0, 0.0], [0.0, 1.0]])
      >>> kernel = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
      >>> print(loss(features, kernel, jnp.array([0, 2])))
      [0.2761 0.6518]

    Numerics, Differentiable: as the loss.

    References: Shoeybi et al., "Megatron-LM", 2019 (vocabulary parallelism); Rajbhandari et al.,
    "ZeRO", 2020 (sharded parameters).
    """
    axes = {"data_axis": data_axis, "vocab_axis": vocab_axis, "feature_axis": feature_axis}
    mesh = validate_mesh(mesh)
    for name, axis in axes.items():
        validate_mesh_axis(name, axis)
    _validate_mesh_axes(mesh, **axes)
    if not callable(loss):
        raise TypeError(f"loss must be a loss of jaxent, got {loss!r}")
    if loss is not _linear_loss.linear_softmax_loss:
        return _sharded(loss, mesh, data_axis, vocab_axis, feature_axis)

    @functools.wraps(loss)
    def of_formula(formula, *arrays, has_aux=False, **options):
        bound = _linear_loss.of_formula(formula, has_aux, len(arrays) - 3)
        return _sharded(bound, mesh, data_axis, vocab_axis, feature_axis)(*arrays, **options)

    vars(of_formula)["__signature__"] = _without_axis_name(inspect.signature(loss))
    return of_formula


@functools.lru_cache(maxsize=_LOSSES)
def _sharded(
    loss: Any, mesh: Mesh, data_axis: AxisName, vocab_axis: AxisName, feature_axis: AxisName
) -> Any:
    signature = inspect.signature(loss)
    parameters = signature.parameters
    first = next(iter(parameters), None)
    of_jaxent = hasattr(loss, "numbers")
    if not (of_jaxent and "axis_name" in parameters and first in ("features", "queries")):
        raise TypeError(
            "loss must be a loss of a linear head or a contrastive loss of jaxent, got"
            f" {getattr(loss, '__name__', loss)!r}. Other losses take sharded arrays as they are,"
            " and options go to the function that sharded returns"
        )
    if first == "queries" and (vocab_axis or feature_axis):
        raise ValueError(
            "vocab_axis and feature_axis must be None for a contrastive loss, which has no classes"
            f" and no kernel, got {vocab_axis!r} and {feature_axis!r}"
        )
    axis_name = vocab_axis if first == "features" else data_axis

    def of_mesh(**arguments):
        arrays = {n: x for n, x in arguments.items() if isinstance(x, Array)}
        fixed = {n: x for n, x in arguments.items() if n not in arrays and n != "reduction"}
        reduction = arguments.get("reduction", "none")
        # The loss itself says what is wrong with vectors of another rank.
        if first == "queries" and arrays["queries"].ndim == arrays["keys"].ndim == 2:
            _expect_pairs(arrays, fixed)
            arrays |= _queries_with_a_key(arrays, fixed)
        axes = _axes_of_arrays(arrays, fixed, data_axis, vocab_axis, feature_axis)
        specs = {n: _partition_spec(n, x, mesh, axes[n]) for n, x in arrays.items()}
        options = fixed | {"axis_name": axis_name}
        if reduction != "none":
            options["reduction"] = "sum"

        def of_device(arrays):
            for name in _KERNELS.keys() & arrays.keys() if feature_axis else ():
                along = 1 - kernel_axis(_KERNELS[name], fixed[_KERNELS[name]])
                whole = lax.all_gather(arrays[name], feature_axis, axis=along, tiled=True)
                arrays = arrays | {name: whole}
            results = loss(**arrays, **options)
            if reduction == "none":
                return results
            total, aux = _and_aux(results)
            return lax.psum(total, data_axis) if data_axis else total, aux

        by_row = PartitionSpec(data_axis)
        out = by_row if reduction == "none" else (PartitionSpec(), by_row)
        auto = _with_auto_axes(mesh)
        try:
            results = jax.shard_map(of_device, mesh=auto, in_specs=(specs,), out_specs=out)(arrays)
        except (TypeError, ValueError) as error:
            raise _of_whole_arrays(error, functools.partial(loss, **fixed), arrays) from None
        if reduction == "none":
            return results
        total, aux = results
        shape = arrays[first].shape[:-1]
        where, weights = arrays.get("where"), arrays.get("weights")
        kept = kept_mask(shape, where, weights)
        reduced = reduce_total(total, count(kept, math.prod(shape)), kept, weights, reduction)
        return reduced if aux is None else (reduced, aux)

    of_mesh.__name__ = f"sharded({loss.__name__})"
    of_mesh.__doc__ = loss.__doc__
    vars(of_mesh)["__signature__"] = _without_axis_name(signature)
    return declare(KEPT_GRADIENTS, **numbers_of(loss))(of_mesh)


def _of_whole_arrays(
    error: Exception, loss: Callable[..., Any], arrays: dict[str, Array]
) -> Exception:
    """The error of a device, as the whole arrays raise it: its message then names their shapes."""
    try:
        jax.eval_shape(loss, **arrays)
    # A formula may name an axis of the mesh, and then fails here in a way of its own.
    except Exception as of_whole_arrays:
        return of_whole_arrays if type(of_whole_arrays) is type(error) else error
    return error


def _without_axis_name(signature: inspect.Signature) -> inspect.Signature:
    known = [p for name, p in signature.parameters.items() if name != "axis_name"]
    return signature.replace(parameters=known)


def _and_aux(results: Any) -> tuple[Array, Any]:
    """The sum of a loss, and its auxiliary arrays where it has some."""
    return results if isinstance(results, tuple) else (results, None)


def _axes_of_arrays(
    arrays: Mapping[str, Array],
    fixed: Mapping[str, Any],
    data_axis: AxisName,
    vocab_axis: AxisName,
    feature_axis: AxisName,
) -> dict[str, tuple[AxisName, ...]]:
    """The mesh axes of the first axes of each array. A number has none."""
    axes: dict[str, tuple[AxisName, ...]] = {}
    for name, x in arrays.items():
        if x.ndim == 0:
            axes[name] = ()
        elif name in _KERNELS:
            by_feature_and_class = (feature_axis, vocab_axis)
            first = kernel_axis(_KERNELS[name], fixed[_KERNELS[name]]) == 0
            axes[name] = by_feature_and_class[::-1] if first else by_feature_and_class
        elif name in _BY_CLASS:
            axes[name] = (vocab_axis,)
        elif name in _VECTORS:
            axes[name] = (data_axis, None)
        else:
            axes[name] = (data_axis,)
    labels = arrays.get("labels")
    if (
        labels is not None
        and jnp.issubdtype(labels.dtype, jnp.floating)
        and labels.ndim == arrays["features"].ndim
    ):
        axes["labels"] = (data_axis, *[None] * (labels.ndim - 2), vocab_axis)
    return axes


def _expect_pairs(arrays: Mapping[str, Array], fixed: Mapping[str, Any]) -> None:
    """Checks that a device which has a query has the key of the same index."""
    n, m = (arrays[name].shape[0] for name in ("queries", "keys"))
    if n != m and ("positives" not in arrays or fixed.get("exclude_self")):
        raise ValueError(
            f"keys must have the {n} rows of queries on a mesh, where key i belongs to query i,"
            f" got {m}. info_nce takes more keys with positives, without exclude_self"
        )


def _queries_with_a_key(arrays: Mapping[str, Array], fixed: Mapping[str, Any]) -> dict[str, Array]:
    """The argument `where`, if `keys_where` may leave queries without a key.

    A device alone does not know how many queries count for the mean.
    """
    n, m = (arrays[name].shape[0] for name in ("queries", "keys"))
    kept = kept_mask((n,), arrays.get("where"), arrays.get("weights"))
    keys = _pairs.keys_kept(m, arrays.get("keys_where"), None if "positives" in arrays else kept)
    if keys is None or "keys_where" not in arrays:
        return {}
    counts = _pairs.has_key(keys, jnp.arange(n), fixed["exclude_self"])
    return {"where": counts if kept is None else counts & kept}


def _validate_mesh_axes(
    mesh: Mesh, data_axis: AxisName, vocab_axis: AxisName, feature_axis: AxisName
) -> None:
    """Checks that no axis shards both rows and classes, and that features share axes of rows."""
    axes = {"data_axis": data_axis, "vocab_axis": vocab_axis, "feature_axis": feature_axis}
    for argument, axis in axes.items():
        if not names_of(axis) <= set(mesh.axis_names):
            raise ValueError(f"{argument} must be among {mesh.axis_names}, got {axis!r}")
    by_row, by_class, by_feature = map(names_of, axes.values())
    if by_row & by_class:
        raise ValueError(f"vocab_axis must name no axis of data_axis, got {vocab_axis!r}")
    if not by_feature <= by_row:
        raise ValueError(f"feature_axis must name axes of data_axis, got {feature_axis!r}")


def _with_auto_axes(mesh: Mesh) -> Mesh | AbstractMesh:
    """The mesh with Auto axes, as it is inside a loss."""
    context = jax.sharding.get_abstract_mesh()
    if context.empty:
        return Mesh(mesh.devices, mesh.axis_names)
    if dict(context.shape) != dict(mesh.shape):
        raise ValueError(
            "mesh must be the one of the arguments or of jax.set_mesh,"
            f" {dict(context.shape)}, got {dict(mesh.shape)}"
        )
    return context


def _partition_spec(name: str, x: Array, mesh: Mesh, axes: tuple[AxisName, ...]) -> PartitionSpec:
    """Shards the first axes of an array over mesh axes, whose sizes must divide them."""
    if x.ndim < len(axes):
        raise ValueError(f"{name} must have {len(axes)} or more axes, got shape {x.shape}")
    for i, axis in enumerate(axes):
        devices = math.prod(mesh.shape[name] for name in names_of(axis))
        if x.shape[i] % devices:
            raise ValueError(
                f"axis {i} of {name} must be a multiple of {devices}, the size of the mesh axis"
                f" {axis!r}, got shape {x.shape}"
            )
    return PartitionSpec(*axes)
