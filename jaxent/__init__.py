"""The cross-entropy family of losses as pure JAX functions.

Every function works under jit, vmap, grad, jvp and their compositions, computes in float32 (or in
float64 when an input is float64), returns nats, and hands gradients back in their input's dtype.
Shapes and dtypes are judged when traced; nothing broadcasts. An argument that is left at `None` is
absent. What the functions do at the edges, and how exact they are, stands in `docs/numerics.md`.

The losses end in the same keywords, described here once:

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

Options that are numbers (label_smoothing, z_loss, gamma, alpha, epsilon, temperature, pos_weight)
are Python numbers, whose range is checked, or traced arrays, which are differentiable. A new value
compiles nothing.
"""

from jaxent.core.stats import SoftmaxStats as SoftmaxStats
from jaxent.divergence import generalized_kl_divergence as generalized_kl_divergence
from jaxent.divergence import jensen_shannon_divergence as jensen_shannon_divergence
from jaxent.divergence import kl_divergence as kl_divergence
from jaxent.divergence import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from jaxent.divergence import softmax_kl_divergence as softmax_kl_divergence
from jaxent.information import entropy as entropy
from jaxent.information import self_information as self_information
from jaxent.information import sigmoid_entropy as sigmoid_entropy
from jaxent.information import softmax_entropy as softmax_entropy
from jaxent.probability import binary_cross_entropy as binary_cross_entropy
from jaxent.probability import binary_focal_cross_entropy as binary_focal_cross_entropy
from jaxent.probability import categorical_cross_entropy as categorical_cross_entropy
from jaxent.probability import (
    categorical_cross_entropy_with_integer_labels as categorical_cross_entropy_with_integer_labels,
)
from jaxent.reduction import reduce_losses as reduce_losses
from jaxent.regression import squared_error as squared_error
from jaxent.sigmoid import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from jaxent.sigmoid import sigmoid_focal_loss as sigmoid_focal_loss
from jaxent.softmax import poly_loss_cross_entropy as poly_loss_cross_entropy
from jaxent.softmax import softmax_cross_entropy as softmax_cross_entropy
from jaxent.softmax import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from jaxent.softmax import softmax_focal_loss as softmax_focal_loss
from jaxent.softmax import softmax_stats as softmax_stats
