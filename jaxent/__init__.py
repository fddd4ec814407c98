"""The cross-entropy family of losses as pure JAX functions.

    Binary logits          sigmoid_binary_cross_entropy  sigmoid_focal_loss
                           sigmoid_asymmetric_loss
    Class logits           softmax_cross_entropy  softmax_cross_entropy_with_integer_labels
                           softmax_focal_loss  poly_loss_cross_entropy  softmax_log_probs
    Probabilities          binary_cross_entropy  binary_focal_cross_entropy
                           categorical_cross_entropy  categorical_cross_entropy_with_integer_labels
    Two distributions      softmax_kl_divergence  softmax_jensen_shannon_divergence
                           kl_divergence  kl_divergence_with_log_targets
                           generalized_kl_divergence  jensen_shannon_divergence
    Entropy                softmax_entropy  sigmoid_entropy  entropy  self_information
    Regression             squared_error
    Large vocabularies     linear_softmax_cross_entropy  linear_softmax_focal_loss
                           linear_softmax_log_probs  linear_softmax_kl_divergence
                           linear_softmax_jensen_shannon_divergence
    On a mesh              sharded
    Contrastive            info_nce  siglip_loss
    Your own loss          softmax_stats  linear_softmax_stats  SoftmaxStats
                           linear_softmax_loss  reduce_losses

Every function works under jit, vmap, grad, jvp and their compositions. It computes in float32, or
in float64 if an input is float64, and returns nats. A gradient has the dtype of its input. JAX
checks shapes and dtypes when it traces a call. Nothing broadcasts. An argument whose default is
None is absent where it is None. "Real" arrays are booleans, integers or floating. docs/numerics.md
defines the results for every kind of input, and bounds the errors. pip installs it as
share/doc/jaxent/numerics.md, under `sys.prefix`.

Every loss, divergence and entropy takes these keywords:

- `where`:
  A boolean mask. One element for each loss drops losses: they are 0, and not counted. For logits
  (B, T, V) that mask is (B, T). A mask of the logits' shape drops classes. It may have size 1
  along an axis of rows: (1, V) for logits (N, V), (1, 1, V) for logits (B, T, V).
  Dropping is removing: values and gradients are those of arrays without the dropped rows or
  classes. Dropped entries may be NaN or inf. A dropped class loses its label mass. An integer
  label on a dropped class has loss +inf. A row without kept classes is a dropped row.
  PyTorch's `ignore_index=-100` is `where=labels != -100`. To drop rows and classes at once,
  pass the mask of classes, and `weights` of 0 for the rows.
- `weights`:
  Real factors of the losses, of their shape. A weight of 0 drops a loss, which is then not
  counted.
- `reduction`: one of

        "none"              the losses
        "sum"               Σ w ℓ
        "mean"              Σ w ℓ over the number of kept losses
        "weighted_mean"     Σ w ℓ over Σ w
        "total_and_count"   the pair of Σ w ℓ and the number of kept losses, an integer
        "total_and_weight"  the pair of Σ w ℓ and Σ w

  For a mean over steps or devices, add up the pairs and divide once. If no loss is kept, every
  reduction is 0. Sums are in float32 or wider.

Several functions share these arguments:

- `axis`:
  The class axis. Several axes form one distribution together. None means all axes.
- `axis_name`:
  Inside `jax.shard_map`, the mesh axis, or axes, that shard the classes. Each device passes its
  own shard of the logits, and of the kernel, bias, class weights, class masks and soft labels.
  Integer labels number the classes of all devices. The result covers all classes, and is the same
  on all devices along the axis.
- `label_smoothing`, `z_loss`, `gamma`, `temperature`, `pos_weight` and other numeric options:
  A Python number, whose range is checked, or an array, which is differentiable. A new value does
  not compile again. A Python number at which an option does nothing, such as
  `label_smoothing=0.0`, is the same as None, and costs nothing.

Under `jax.jit`, bind arguments that are not arrays first:
`jax.jit(functools.partial(jaxent.softmax_cross_entropy, reduction="mean"))`.
Arrays may be sharded over a mesh of Auto or Explicit axes.
`sharded` shards the work of a linear or contrastive loss over a mesh in one call.
"""

from jaxent._contrastive import info_nce, siglip_loss
from jaxent._distillation import (
    linear_softmax_jensen_shannon_divergence,
    linear_softmax_kl_divergence,
)
from jaxent._divergence import (
    generalized_kl_divergence,
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
)
from jaxent._information import entropy, self_information, sigmoid_entropy, softmax_entropy
from jaxent._linear import (
    linear_softmax_cross_entropy,
    linear_softmax_focal_loss,
)
from jaxent._linear_loss import linear_softmax_loss
from jaxent._log_probs import linear_softmax_log_probs, softmax_log_probs
from jaxent._probability import (
    binary_cross_entropy,
    binary_focal_cross_entropy,
    categorical_cross_entropy,
    categorical_cross_entropy_with_integer_labels,
)
from jaxent._reduction import reduce_losses
from jaxent._regression import squared_error
from jaxent._sharded import sharded
from jaxent._sigmoid import (
    sigmoid_asymmetric_loss,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
)
from jaxent._softmax import (
    poly_loss_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    softmax_focal_loss,
)
from jaxent._softmax_divergence import (
    softmax_jensen_shannon_divergence,
    softmax_kl_divergence,
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
    "linear_softmax_jensen_shannon_divergence",
    "linear_softmax_kl_divergence",
    "linear_softmax_log_probs",
    "linear_softmax_loss",
    "linear_softmax_stats",
    "poly_loss_cross_entropy",
    "reduce_losses",
    "self_information",
    "sharded",
    "siglip_loss",
    "sigmoid_asymmetric_loss",
    "sigmoid_binary_cross_entropy",
    "sigmoid_entropy",
    "sigmoid_focal_loss",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "softmax_entropy",
    "softmax_focal_loss",
    "softmax_jensen_shannon_divergence",
    "softmax_kl_divergence",
    "softmax_log_probs",
    "softmax_stats",
    "squared_error",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
