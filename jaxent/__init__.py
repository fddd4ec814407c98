"""The cross-entropy family of losses as pure JAX functions.

Binary logits          sigmoid_binary_cross_entropy  sigmoid_focal_loss
Logits of classes      softmax_cross_entropy  softmax_cross_entropy_with_integer_labels
                       softmax_focal_loss  poly_loss_cross_entropy
Probabilities          binary_cross_entropy  binary_focal_cross_entropy
                       categorical_cross_entropy  categorical_cross_entropy_with_integer_labels
Two distributions      softmax_kl_divergence  kl_divergence  kl_divergence_with_log_targets
                       generalized_kl_divergence  jensen_shannon_divergence
Entropy                softmax_entropy  sigmoid_entropy  entropy  self_information
Regression             squared_error
Large vocabularies     linear_softmax_cross_entropy  linear_softmax_focal_loss
                       linear_softmax_kl_divergence  sharded_linear_softmax_cross_entropy
Contrast               info_nce
A loss of your own     softmax_stats  linear_softmax_stats  SoftmaxStats  reduce_losses

Every function works under jit, vmap, grad, jvp and their compositions. It computes in float32, or
in float64 when an input is float64, and returns nats. Gradients have their input's dtype. Shapes
and dtypes are checked when JAX traces the call, and nothing broadcasts. An argument that is None
is absent. docs/numerics.md says what the functions do at the edges, and how exact they are.

Every loss, divergence and entropy takes the same keywords:

`where`
    Boolean. A mask of the losses' shape drops losses: they are 0, and not counted.
    A mask of the logits' shape drops classes. Along an axis of rows it may have size 1: (1, V) for
    logits (N, V), (1, 1, V) for (B, T, V).
    Dropping is removing. Values and gradients are those of arrays without the dropped rows or
    classes, whatever these hold. Label mass on a dropped class is dropped, too. An integer label
    on a dropped class costs +inf. A row without classes is a dropped row.
    PyTorch's `ignore_index=-100` is `where=labels != -100`.
`weights`
    Real, of the losses' shape, multiplied on. A loss of weight 0 is dropped, and not counted.
`reduction`
    "none"              the losses
    "sum"               Σ w ℓ
    "mean"              Σ w ℓ over the number of losses kept
    "weighted_mean"     Σ w ℓ over Σ w
    "total_and_count"   the pair (Σ w ℓ, number kept), its count an integer
    "total_and_weight"  the pair (Σ w ℓ, Σ w)
    Add pairs up over steps and devices, and divide once. Where nothing is kept, a reduction is 0.
    Sums are taken in float32 or wider.

Other arguments that several functions share:

`axis`
    The class axis, or several, which are then one, or None for all.
`axis_name`
    Inside `jax.shard_map`, the mesh axis, or axes, that split the classes. Each device passes its
    own classes of logits, kernel, bias, class weights, class masks and labels that are
    distributions. Integer labels count the classes of all devices. The result is of all classes,
    and the same along the axis.
Numbers, such as `label_smoothing`, `z_loss`, `gamma`, `temperature`, `pos_weight`
    Python numbers, whose range is checked, or arrays, which are differentiable. Another value does
    not compile again. A Python number at which an option does nothing, such as
    `label_smoothing=0.0`, is the same as None, and costs nothing.

Under `jax.jit`, bind what is not an array:
`jax.jit(functools.partial(jaxent.softmax_cross_entropy, reduction="mean"))`.
Arrays may lie on a mesh of Auto or Explicit axes.
`sharded_linear_softmax_cross_entropy` splits the work of a linear loss over a mesh in one call.
"""

from jaxent._contrastive import info_nce
from jaxent._distillation import linear_softmax_kl_divergence
from jaxent._divergence import (
    generalized_kl_divergence,
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
    softmax_kl_divergence,
)
from jaxent._information import entropy, self_information, sigmoid_entropy, softmax_entropy
from jaxent._linear import (
    linear_softmax_cross_entropy,
    linear_softmax_focal_loss,
)
from jaxent._probability import (
    binary_cross_entropy,
    binary_focal_cross_entropy,
    categorical_cross_entropy,
    categorical_cross_entropy_with_integer_labels,
)
from jaxent._reduction import reduce_losses
from jaxent._regression import squared_error
from jaxent._sharded import sharded_linear_softmax_cross_entropy
from jaxent._sigmoid import sigmoid_binary_cross_entropy, sigmoid_focal_loss
from jaxent._softmax import (
    poly_loss_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    softmax_focal_loss,
)
from jaxent._statistics import linear_softmax_stats, softmax_stats
from jaxent.core.stats import SoftmaxStats

__version__ = "0.1.0"

__all__ = [
    "SoftmaxStats",
    "binary_cross_entropy",
    "binary_focal_cross_entropy",
    "categorical_cross_entropy",
    "categorical_cross_entropy_with_integer_labels",
    "entropy",
    "generalized_kl_divergence",
    "info_nce",
    "jensen_shannon_divergence",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "linear_softmax_cross_entropy",
    "linear_softmax_focal_loss",
    "linear_softmax_kl_divergence",
    "linear_softmax_stats",
    "poly_loss_cross_entropy",
    "reduce_losses",
    "self_information",
    "sharded_linear_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_entropy",
    "sigmoid_focal_loss",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "softmax_entropy",
    "softmax_focal_loss",
    "softmax_kl_divergence",
    "softmax_stats",
    "squared_error",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
