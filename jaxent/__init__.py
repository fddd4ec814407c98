"""The cross-entropy family of losses as pure JAX functions."""

from jaxent.core.stats import SoftmaxStats as SoftmaxStats
from jaxent.divergence import entropy as entropy
from jaxent.divergence import generalized_kl_divergence as generalized_kl_divergence
from jaxent.divergence import jensen_shannon_divergence as jensen_shannon_divergence
from jaxent.divergence import kl_divergence as kl_divergence
from jaxent.divergence import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from jaxent.divergence import self_information as self_information
from jaxent.divergence import sigmoid_entropy as sigmoid_entropy
from jaxent.divergence import softmax_entropy as softmax_entropy
from jaxent.divergence import softmax_kl_divergence as softmax_kl_divergence
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
