"""The types of the public functions. `python -m tests.stub` writes this file."""

from typing import Literal, overload

from jax import Array
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxent._declare import Axis, Reduction
from jaxent.core.mesh import AxisName
from jaxent.core.stats import SoftmaxStats as SoftmaxStats

__version__: str
__all__: list[str]
_Array = Literal["none", "sum", "mean", "weighted_mean"]
_Pair = Literal["total_and_count", "total_and_weight"]

@overload
def binary_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-07,
    pos_weight: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def binary_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-07,
    pos_weight: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def binary_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-07,
    pos_weight: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def binary_focal_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-07,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def binary_focal_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-07,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def binary_focal_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 1e-07,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def categorical_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-07,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def categorical_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-07,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def categorical_cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-07,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def categorical_cross_entropy_with_integer_labels(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-07,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def categorical_cross_entropy_with_integer_labels(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-07,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def categorical_cross_entropy_with_integer_labels(
    probs: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    epsilon: ArrayLike = 1e-07,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def entropy(
    probs: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def entropy(
    probs: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def entropy(
    probs: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def generalized_kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def generalized_kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def generalized_kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def info_nce(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    temperature: ArrayLike,
    symmetric: bool = False,
    max_logits_bytes: int | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def info_nce(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    temperature: ArrayLike,
    symmetric: bool = False,
    max_logits_bytes: int | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def info_nce(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    temperature: ArrayLike,
    symmetric: bool = False,
    max_logits_bytes: int | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def jensen_shannon_divergence(
    probs: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def jensen_shannon_divergence(
    probs: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def jensen_shannon_divergence(
    probs: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def linear_softmax_cross_entropy(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def linear_softmax_cross_entropy(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def linear_softmax_cross_entropy(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def linear_softmax_focal_loss(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    gamma: ArrayLike = 2.0,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def linear_softmax_focal_loss(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    gamma: ArrayLike = 2.0,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def linear_softmax_focal_loss(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    gamma: ArrayLike = 2.0,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def linear_softmax_kl_divergence(
    features: ArrayLike,
    kernel: ArrayLike,
    target_features: ArrayLike,
    target_kernel: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    target_bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    target_softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def linear_softmax_kl_divergence(
    features: ArrayLike,
    kernel: ArrayLike,
    target_features: ArrayLike,
    target_kernel: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    target_bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    target_softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def linear_softmax_kl_divergence(
    features: ArrayLike,
    kernel: ArrayLike,
    target_features: ArrayLike,
    target_kernel: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    target_bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    target_softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
def linear_softmax_stats(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
) -> tuple[SoftmaxStats, Array]: ...
@overload
def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def reduce_losses(
    losses: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "mean",
) -> Array: ...
@overload
def reduce_losses(
    losses: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def reduce_losses(
    losses: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def self_information(
    probs: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def self_information(
    probs: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def self_information(
    probs: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
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
    reduction: _Array = "none",
) -> Array: ...
@overload
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
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
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
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def sigmoid_binary_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    pos_weight: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def sigmoid_binary_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    pos_weight: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def sigmoid_binary_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    pos_weight: ArrayLike | None = None,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def sigmoid_entropy(
    logits: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def sigmoid_entropy(
    logits: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def sigmoid_entropy(
    logits: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def sigmoid_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def sigmoid_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def sigmoid_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: ArrayLike | None = None,
    z_loss: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def softmax_entropy(
    logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def softmax_entropy(
    logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def softmax_entropy(
    logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def softmax_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def softmax_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def softmax_focal_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    gamma: ArrayLike = 2.0,
    label_smoothing: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
@overload
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def softmax_kl_divergence(
    logits: ArrayLike,
    target_logits: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    axis_name: AxisName = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
def softmax_stats(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
) -> SoftmaxStats: ...
@overload
def squared_error(
    predictions: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Array = "none",
) -> Array: ...
@overload
def squared_error(
    predictions: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: _Pair,
) -> tuple[Array, Array]: ...
@overload
def squared_error(
    predictions: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction,
) -> Array | tuple[Array, Array]: ...
