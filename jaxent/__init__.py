"""The cross-entropy family of losses as pure JAX functions.

Every function works under jit, vmap, grad, jvp and their compositions, computes in float32 (or in
float64 when an input is float64), returns nats, and hands gradients back in their input's dtype.
Shapes and dtypes are judged when traced; nothing broadcasts. An argument that is left at `None` is
absent. What the functions do at the edges, and how exact they are, stands in `docs/numerics.md`.

The losses end in the same keywords, described here once. Divergences of logits and probabilities
have `where` alone, entropies take none of them: `reduce_losses` reduces what those return.

`where`
    Boolean, of the losses' shape: what is False is dropped. For losses with a class axis it may
    also have the logits' shape, and then drops classes from the softmax; a row that keeps no class
    is dropped. What is dropped contributes exactly zero to the value, the count and every
    gradient, whatever it holds. PyTorch's `ignore_index=-100` is `where=labels != -100`.
`weights`
    Real, of the losses' shape, multiplied on. What has weight 0 is dropped.
`reduction`
    "none"; "sum"; "mean", the sum over the number of losses kept; "weighted_mean", the sum over
    the sum of the weights; "total_and_count", the pair whose quotient is the mean, to be added up
    over steps and devices first. Where nothing is kept, all are 0. Sums are taken in float32 or
    wider.

`axis_name`
    Inside `jax.shard_map`, the axis of the mesh, or the axes, over which the classes of softmax
    losses are split. Each device passes its own classes of logits or kernel, and of labels that are
    distributions, `class_weights`, `bias` and a `where` of classes. Labels that are class numbers
    count all classes. What comes back is of all classes, and the same along the axis.

Under `jax.jit` arrays may lie on a mesh of Auto or Explicit axes as they will, and need no name.
The chunks of linear losses are not split by the compiler itself:
`sharded_linear_softmax_cross_entropy` is the linear loss over a mesh in one call.

Options that are numbers (label_smoothing, z_loss, gamma, alpha, epsilon, temperature, softcap,
pos_weight) are Python numbers, whose range is checked, or traced arrays, which are differentiable.
A new value compiles nothing.
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
