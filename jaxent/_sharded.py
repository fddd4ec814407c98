"""Losses of arrays that are split over the devices of a mesh, in one call."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import AbstractMesh, Mesh, PartitionSpec
from jax.typing import ArrayLike

from jaxent._declare import NON_NEGATIVE, SMOOTHING, SOFTCAP, Reduction, loss
from jaxent._inputs import kept_elements
from jaxent._linear import linear_softmax_cross_entropy
from jaxent._reduction import Reduced, of_total
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
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Reduced:
    r"""`linear_softmax_cross_entropy` of a batch and a vocabulary that are split over a mesh.

    Each device makes the logits of its rows and classes, some rows at a time, and no device gets
    another's. Along `vocab_axis` devices tell each other a few numbers a row, and add up the
    gradient by the features once; along `data_axis` they add up the gradient by the kernel once.

    Args:
      features: `(N, ..., D)` floating, split by its first axis over `data_axis`.
      kernel: `(D, V)` floating, its classes split over `vocab_axis`, its features over
        `feature_axis`.
      labels: `(N, ...)` integers in [0, V), of all classes.
      mesh: the mesh, of Auto or of Explicit axes, and that of `jax.set_mesh` where one is set. It
        may be of one device.
      data_axis: the mesh axis, or axes, that split the batch, whose size divides N.
      vocab_axis: the mesh axis, or axes, that split the vocabulary, whose size divides V; None
        where every device has all classes.
      feature_axis: the mesh axis, or axes, that the kernel's features are split over, as by fully
        sharded data parallelism; some of `data_axis`. The kernel is gathered once, its gradient
        scattered. None where it is whole.
      bias: `(V,)`, split as the classes are. Pad a vocabulary that the axis does not divide with
        classes of bias −inf.
      softcap: as in `linear_softmax_cross_entropy`, as are the options below.
      label_smoothing: in [0, 1].
      z_loss: at least 0.
      class_weights: `(V,)`, one per class.
      max_logits_bytes: of a device.
      where: `(N, ...)` boolean, False for rows to drop.
      weights: `(N, ...)`, one per row.
      reduction: see `jaxent`; over all devices, whatever number of rows each of them keeps.

    Returns:
      `(N, ...)` in nats, split as the batch is, or what `reduction` makes of it, the same on all
      devices.

    Raises:
      TypeError, ValueError: as `linear_softmax_cross_entropy`.
      ValueError: an axis that the mesh does not have, or that does not divide what it splits.

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

    Numerics, what is differentiable and kept: as `linear_softmax_cross_entropy`.

    References: Shoeybi et al., "Megatron-LM", 2019 (vocabulary parallelism); Rajbhandari et al.,
    "ZeRO", 2020 (sharded parameters).
    """
    _judge(data_axis, vocab_axis, feature_axis)
    arrays = {
        "features": (features, (data_axis, None)),
        "kernel": (kernel, (feature_axis, vocab_axis)),
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
    specs = {name: _split(name, x, mesh, arrays[name][1]) for name, x in given.items()}
    by_row = reduction == "none"

    def of_device(given):
        kernel = given["kernel"]
        if feature_axis is not None:
            kernel = lax.all_gather(kernel, feature_axis, axis=0, tiled=True)
        losses = linear_softmax_cross_entropy(
            **(given | {"kernel": kernel}),
            axis_name=vocab_axis,
            max_logits_bytes=max_logits_bytes,
            reduction="none" if by_row else "sum",
        )
        return losses if by_row else lax.psum(losses, data_axis)

    out = PartitionSpec(data_axis) if by_row else PartitionSpec()
    of_mesh = jax.shard_map(of_device, mesh=_with_auto_axes(mesh), in_specs=(specs,), out_specs=out)
    made: Any = of_mesh(given)
    if by_row:
        return made
    where, weights = given.get("where"), given.get("weights")
    kept = kept_elements(given["features"].shape[:-1], where, weights)
    return of_total(made, given["labels"].size, kept, weights, reduction)


def _judge(data_axis: AxisName, vocab_axis: AxisName, feature_axis: AxisName) -> None:
    """No axis splits both rows and classes; features are split by axes of the rows."""
    by_row, by_class, by_feature = map(_names, (data_axis, vocab_axis, feature_axis))
    if not by_row:
        raise ValueError(f"data_axis must name an axis of the mesh, got {data_axis!r}")
    if by_row & by_class:
        raise ValueError(f"vocab_axis must name no axis of data_axis, got {vocab_axis!r}")
    if not by_feature <= by_row:
        raise ValueError(f"feature_axis must name axes of data_axis, got {feature_axis!r}")


def _names(axis: AxisName) -> set[str]:
    return {axis} if isinstance(axis, str) else set(axis or ())


def _with_auto_axes(mesh: Mesh) -> Mesh | AbstractMesh:
    """The mesh as it is inside a loss, which has no Explicit axes."""
    context = jax.sharding.get_abstract_mesh()
    if context.empty:
        return Mesh(mesh.devices, mesh.axis_names)
    if dict(context.shape) != dict(mesh.shape):
        raise ValueError(
            "mesh must be the one of the arguments or of jax.set_mesh,"
            f" {dict(context.shape)}, got {dict(mesh.shape)}"
        )
    return context


def _split(name: str, x: Array, mesh: Mesh, axes: tuple[AxisName, ...]) -> PartitionSpec:
    """The first axes of an array over axes of the mesh, whose sizes divide its own."""
    if x.ndim < len(axes):
        raise ValueError(f"{name} must have {len(axes)} or more axes, got shape {x.shape}")
    for i, axis in enumerate(axes):
        parts = _parts(mesh, axis)
        if x.shape[i] % parts:
            raise ValueError(
                f"axis {i} of {name} must be a multiple of {parts}, the size of the mesh axis"
                f" {axis!r}, got shape {x.shape}"
            )
    return PartitionSpec(*axes)


def _parts(mesh: Mesh, axis: AxisName) -> int:
    """How many devices there are along an axis, or along several."""
    parts = 1
    for name in _names(axis):
        if name not in mesh.shape:
            raise ValueError(f"the mesh must have the axis {name!r}, got {dict(mesh.shape)}")
        parts *= mesh.shape[name]
    return parts
