"""Calls with an argument of a wrong type, for `test_errors`."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxent

Z = np.zeros((4, 3), np.float32)
N = np.zeros(4, np.int32)
T = np.full((4, 3), 1 / 3, np.float32)
K = np.ones(4, bool)

binary = jaxent.sigmoid_binary_cross_entropy
focal = jaxent.sigmoid_focal_loss
dense = jaxent.softmax_cross_entropy
integer = jaxent.softmax_cross_entropy_with_integer_labels
softmax_focal = jaxent.softmax_focal_loss
probs = jaxent.binary_cross_entropy
classes = jaxent.categorical_cross_entropy
kl = jaxent.kl_divergence
reduce = jaxent.reduce_losses


class Tensor:
    """PyTorch's, of which the suite need not install 200 MB to know its name."""

    dtype = "torch.float32"


Tensor.__module__ = "torch"

# Each call, its error, and the words that the message must contain.
WRONG = {
    "distributions for a focal loss of a head": (
        lambda: jaxent.linear_softmax_focal_loss(Z, Z.T, np.full((4, 4), 0.25, np.float32)),
        TypeError,
        "labels",
        "integer",
        "float32",
    ),
    "no loss for a mesh": (
        lambda: jaxent.sharded(3, mesh=jax.make_mesh((1,), ("data",))),
        TypeError,
        "loss",
        "3",
    ),
    "BCE integer logits": (lambda: binary(N, N), TypeError, "logits", "floating", "int32"),
    "BCE complex labels": (lambda: binary(Z, Z * 1j), TypeError, "labels", "complex64"),
    "focal no gamma": (lambda: focal(Z, Z, gamma=None), TypeError, "gamma", "None"),
    "list of logits": (lambda: integer([[0.0, 1.0]], N), TypeError, "logits", "list"),
    "no labels": (lambda: dense(Z, None), TypeError, "labels", "None"),
    "string labels": (lambda: dense(Z, "cat"), TypeError, "labels", "str", "cat"),
    "dense, integer logits": (
        lambda: dense(Z.astype(int), T),
        TypeError,
        "logits",
        "floating",
        "int",
    ),
    "dense, axis a float": (lambda: dense(Z, T, 1.0), TypeError, "axis", "1.0"),
    "dense, axis a list": (lambda: dense(Z, T, [0, 1]), TypeError, "axis", "[0, 1]"),
    "dense, where of integers": (
        lambda: dense(Z, T, where=np.ones(4, int)),
        TypeError,
        "where",
        "boolean",
        "int",
        "mask != 0",
        "weights",
    ),
    "binary, a floating where": (
        lambda: binary(Z, Z, where=T),
        TypeError,
        "where",
        "float32",
        "mask != 0",
        "weights",
    ),
    "integer, floating labels": (
        lambda: integer(Z, N.astype(np.float32)),
        TypeError,
        "labels",
        "integer",
        "float32",
        "labels.astype(int)",
    ),
    "integer, one-hot floating labels": (
        lambda: integer(Z, T),
        TypeError,
        "labels",
        "float32",
        "softmax_cross_entropy",
    ),
    "integer, boolean labels": (
        lambda: integer(Z, K),
        TypeError,
        "labels",
        "integer",
        "bool",
        "labels.astype(int)",
    ),
    "a keyword misspelt": (
        lambda: integer(Z, N, label_smothing=0.1),
        TypeError,
        "label_smothing",
        "pass label_smoothing=",
    ),
    "PyTorch's reduction of divergences": (
        lambda: integer(Z, N, reduction="batchmean"),
        ValueError,
        "batchmean",
        'It is "mean" here',
    ),
    "no reduction": (
        lambda: integer(Z, N, reduction=None),
        TypeError,
        "reduction",
        "None",
        '"none"',
    ),
    "integer, labels first": (
        lambda: integer(N, Z),
        TypeError,
        "logits",
        "int32",
        "(logits, labels)",
    ),
    "BCE, labels first": (
        lambda: binary(Z > 0, Z),
        TypeError,
        "logits",
        "bool",
        "(logits, labels)",
    ),
    "ignore_index": (
        lambda: integer(Z, N, ignore_index=-100),
        TypeError,
        "softmax_cross_entropy_with_integer_labels",
        "ignore_index",
        "where=labels != ignore_index",
    ),
    "weight": (
        lambda: integer(Z, N, weight=np.ones(3)),
        TypeError,
        "weight",
        "class_weights=",
        "weights=",
    ),
    "from_logits": (lambda: classes(T, T, from_logits=True), TypeError, "from_logits", "softmax_"),
    "from_logits of a loss that has logits": (
        lambda: integer(Z, N, from_logits=True),
        TypeError,
        "pass logits to sigmoid_ and softmax_ functions",
    ),
    "y_true and y_pred": (
        lambda: binary(y_true=N, y_pred=Z),
        TypeError,
        "y_true",
        "predictions first",
    ),
    "targets by name": (
        lambda: classes(T, targets=T),
        TypeError,
        "targets",
        "predictions first",
    ),
    "one-hot labels along another axis": (
        lambda: integer(np.zeros((4, 3, 2), np.float32), np.zeros((4, 3, 2)), axis=1),
        TypeError,
        "labels",
        "softmax_cross_entropy",
    ),
    "weight where there are no class weights": (
        lambda: binary(Z, Z, weight=np.ones(3)),
        TypeError,
        "weight, pass pos_weight= or weights=",
    ),
    "alpha of Keras": (lambda: softmax_focal(Z, N, alpha=0.25), TypeError, "class_weights="),
    "a mask by position": (lambda: softmax_focal(Z, N, K), TypeError, "go by name"),
    "one-hot labels into the focal loss": (
        lambda: softmax_focal(Z, T),
        TypeError,
        "jnp.argmax",
    ),
    "a random key": (
        lambda: integer(jax.random.split(jax.random.key(0), 4), N),
        TypeError,
        "logits",
        "key",
    ),
    "a long double": (
        lambda: integer(Z.astype(np.longdouble), N),
        TypeError,
        "logits",
    ),
    "an unknown keyword": (lambda: binary(Z, Z, temper=1), TypeError, "'temper'"),
    "a PyTorch tensor": (lambda: integer(Tensor(), N), TypeError, "logits", "torch", "np.asarray"),
    "a tuple of losses": (
        lambda: reduce((jnp.ones(10_000), jnp.ones(10_000))),
        TypeError,
        "losses",
        "tuple of 2",
    ),
    "bytes of another machine": (
        lambda: dense(Z.astype(">f4"), T),
        TypeError,
        "logits",
        "'>f4'",
        "newbyteorder",
    ),
    "labels of bytes of another machine": (
        lambda: integer(Z, N.astype(">i4")),
        TypeError,
        "labels",
        "byte order",
    ),
    "a traced axis": (
        lambda: jax.jit(dense)(Z, T, 0),
        TypeError,
        "axis",
        "jax.jit(functools.partial(jaxent.softmax_cross_entropy, axis=...))",
    ),
    "integer probabilities": (lambda: classes(N, N), TypeError, "probs", "floating", "int32"),
    "KL with integers": (lambda: kl(N, N), TypeError, "log_predictions", "floating", "int32"),
    "reducing integers": (lambda: reduce(N), TypeError, "losses", "floating", "int32"),
    "reduction a list": (
        lambda: integer(Z, N, reduction=["mean"]),
        TypeError,
        "reduction",
        "['mean']",
    ),
    "axis a boolean": (lambda: integer(Z, N, True), TypeError, "axis", "True"),
    "axis an array": (lambda: integer(Z, N, N > 0), TypeError, "axis", "a tuple of ints"),
}
