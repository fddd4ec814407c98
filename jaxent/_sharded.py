"""Losses of arrays that are sharded over a mesh, in one call."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import AbstractMesh, Mesh, PartitionSpec
from jax.typing import ArrayLike, DTypeLike

from jaxent._declare import NON_NEGATIVE, SMOOTHING, SOFTCAP, Reduction, loss
from jaxent._heads import kernel_axis
from jaxent._inputs import kept_mask
from jaxent._linear import linear_softmax_cross_entropy
from jaxent._reduction import Reduced, count, reduce_total
from jaxent.core.chunked import KEPT_GRADIENTS
from jaxent.core.mesh import AxisName


@loss(KEPT_GRADIENTS, softcap=SOFTCAP, label_smoothing=SMOOTHING, z_loss=NON_NEGATIVE)
def sharded_linear_softmax_cross_entropy(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    mesh: Mesh,
    data_axis: AxisName,
    vocab_axis: AxisName = None,
    feature_axis: AxisName = None,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""`linear_softmax_cross_entropy` of a batch and a vocabulary that are sharded over a mesh.

    Use it to train a large vocabulary on many devices: no logits cross the mesh. Each device
    computes the logits of its own rows and classes, one chunk of rows at a time.

    The devices along `vocab_axis` reduce a few numbers per row, and once the gradient by the
    features. The devices along `data_axis` reduce the gradient by the kernel once.

    Args:
      features: `(N, ..., D)` floating. `data_axis` shards their first axis.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`. `vocab_axis` shards its classes, and
        `feature_axis` its features.
      labels: `(N, ...)` integers in [0, V), numbered over the classes of all devices.
      mesh: the mesh, of Auto or Explicit axes. If `jax.set_mesh` is in use, it must be that mesh.
        One device is enough.
      data_axis: the mesh axis, or axes, that shard the batch. Their size must divide N.
      vocab_axis: the mesh axis, or axes, that shard the vocabulary. Their size must divide V. None
        replicates the classes.
      feature_axis: the mesh axis, or axes, that shard the kernel's features, as fully sharded data
        parallelism does. They must be among `data_axis`. A step gathers the kernel once and
        scatters its gradient once. None replicates the features.
      bias: `(V,)`, sharded as the classes. If the axis does not divide the vocabulary, pad it with
        classes of bias −inf.
      softcap: as in `linear_softmax_cross_entropy`, like the options below.
      label_smoothing: in [0, 1].
      z_loss: at least 0.
      class_weights: `(V,)`, one per class.
      max_logits_bytes: the budget of one chunk on one device.
      operand_dtype: the dtype of the operands of products on accelerators.
      axis: the axis of the kernel's classes.
      where: `(N, ...)` boolean, False for rows to drop.
      weights: `(N, ...)`, one per row.
      reduction: see `jaxent`. It counts the kept rows of all devices together.

    Returns:
      `(N, ...)` in nats, sharded as the batch, or the result of `reduction`, replicated.

    Raises:
      TypeError, ValueError: as `linear_softmax_cross_entropy`.
      ValueError: the mesh lacks an axis, or its size does not divide the sharded one.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> mesh = jax.make_mesh((1, 1), ("data", "model"))
      >>> features = jnp.array([[1.0, 0.0], [0.0, 1.0]])
      >>> kernel = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
      >>> labels = jnp.array([0, 2])
      >>> print(jaxent.sharded_linear_softmax_cross_entropy(
      ...     features, kernel, labels, mesh=mesh, data_axis="data", vocab_axis="model"
      ... ))
      [0.2761 0.6518]

    Numerics, Differentiable: as `linear_softmax_cross_entropy`.

    References: Shoeybi et al., "Megatron-LM", 2019 (vocabulary parallelism); Rajbhandari et al.,
    "ZeRO", 2020 (sharded parameters).
    """
    _validate_mesh_axes(mesh, data_axis, vocab_axis, feature_axis)
    axis = kernel_axis("axis", axis)
    by_axis = (vocab_axis, feature_axis) if axis == 0 else (feature_axis, vocab_axis)
    arrays = {
        "features": (features, (data_axis, None)),
        "kernel": (kernel, by_axis),
        "labels": (labels, (data_axis,)),
        "bias": (bias, (vocab_axis,)),
        "class_weights": (class_weights, (vocab_axis,)),
        "where": (where, (data_axis,)),
        "weights": (weights, (data_axis,)),
        "softcap": (softcap, ()),
        "label_smoothing": (label_smoothing, ()),
        "z_loss": (z_loss, ()),
    }
    given = {name: jnp.asarray(x) for name, (x, _) in arrays.items() if x is not None}
    specs = {name: _partition_spec(name, x, mesh, arrays[name][1]) for name, x in given.items()}
    by_row = reduction == "none"

    def of_device(given):
        kernel = given["kernel"]
        if feature_axis is not None:
            kernel = lax.all_gather(kernel, feature_axis, axis=1 - axis, tiled=True)
        losses = linear_softmax_cross_entropy(
            **(given | {"kernel": kernel}),
            axis_name=vocab_axis,
            axis=axis,
            operand_dtype=operand_dtype,
            max_logits_bytes=max_logits_bytes,
            reduction="none" if by_row else "sum",
        )
        return losses if by_row else lax.psum(losses, data_axis)

    out = PartitionSpec(data_axis) if by_row else PartitionSpec()
    of_mesh = jax.shard_map(of_device, mesh=_with_auto_axes(mesh), in_specs=(specs,), out_specs=out)
    result: Any = of_mesh(given)
    if by_row:
        return result
    where, weights = given.get("where"), given.get("weights")
    kept = kept_mask(given["features"].shape[:-1], where, weights)
    return reduce_total(result, count(kept, given["labels"].size), kept, weights, reduction)


def _validate_mesh_axes(
    mesh: Mesh, data_axis: AxisName, vocab_axis: AxisName, feature_axis: AxisName
) -> None:
    """Checks that no axis shards both rows and classes, and that rows share the features' axes."""
    axes = {"data_axis": data_axis, "vocab_axis": vocab_axis, "feature_axis": feature_axis}
    for argument, axis in axes.items():
        if not _axis_names(axis) <= set(mesh.axis_names):
            raise ValueError(f"{argument} must be among {mesh.axis_names}, got {axis!r}")
    by_row, by_class, by_feature = map(_axis_names, axes.values())
    if not by_row:
        raise ValueError(f"data_axis must name an axis of the mesh, got {data_axis!r}")
    if by_row & by_class:
        raise ValueError(f"vocab_axis must name no axis of data_axis, got {vocab_axis!r}")
    if not by_feature <= by_row:
        raise ValueError(f"feature_axis must name axes of data_axis, got {feature_axis!r}")


def _axis_names(axis: AxisName) -> set[str]:
    return {axis} if isinstance(axis, str) else set(axis or ())


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
        devices = math.prod(mesh.shape[name] for name in _axis_names(axis))
        if x.shape[i] % devices:
            raise ValueError(
                f"axis {i} of {name} must be a multiple of {devices}, the size of the mesh axis"
                f" {axis!r}, got shape {x.shape}"
            )
    return PartitionSpec(*axes)
