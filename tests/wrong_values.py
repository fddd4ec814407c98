"""Calls with an argument of a wrong shape or value, for `test_errors`."""

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
poly = jaxent.poly_loss_cross_entropy
probs = jaxent.binary_cross_entropy
classes = jaxent.categorical_cross_entropy
kl = jaxent.kl_divergence
reduce = jaxent.reduce_losses


# Each call, its error, and the words that the message must contain.
WRONG = {
    "few classes without their axis": (
        lambda: integer(Z, N, label_probs=T),
        ValueError,
        "labels",
        "(4, K)",
        "label_probs",
    ),
    "label_probs of another shape": (
        lambda: integer(Z, np.stack([N, N], 1), label_probs=T),
        ValueError,
        "label_probs",
        "(4, 2)",
        "(4, 3)",
    ),
    "distributions of another number of classes": (
        lambda: jaxent.linear_softmax_cross_entropy(Z, Z.T, T),
        ValueError,
        "labels",
        "(4, 4)",
        "(4, 3)",
    ),
    "BCE would broadcast (4,1) with (4,)": (
        lambda: binary(Z[:, :1], N),
        ValueError,
        "labels",
        "(4, 1)",
        "(4,)",
    ),
    "BCE labels transposed": (lambda: binary(Z, T.T), ValueError, "labels", "(4, 3)", "(3, 4)"),
    "BCE scalar label for an array": (lambda: binary(Z, 1.0), ValueError, "labels", "(4, 3)", "()"),
    "BCE pos_weight per row": (
        lambda: binary(Z, Z, pos_weight=np.ones(4)),
        ValueError,
        "pos_weight",
        "(3,)",
        "(4,)",
    ),
    "BCE negative pos_weight": (
        lambda: binary(Z, Z, pos_weight=-1.0),
        ValueError,
        "pos_weight",
        "at least 0",
        "-1.0",
    ),
    "BCE smoothing above 1": (
        lambda: binary(Z, Z, label_smoothing=1.5),
        ValueError,
        "label_smoothing",
        "[0, 1]",
        "1.5",
    ),
    "BCE where of rows": (
        lambda: binary(Z, Z, where=K),
        ValueError,
        "where",
        "(4, 3)",
        "(4,)",
        "jnp.broadcast_to(where[:, None], (4, 3))",
    ),
    "BCE weights of rows": (
        lambda: binary(Z, Z, weights=np.ones(4)),
        ValueError,
        "weights",
        "(4, 3)",
        "(4,)",
    ),
    "focal alpha above 1": (lambda: focal(Z, Z, alpha=25), ValueError, "alpha", "[0, 1]", "25"),
    "focal negative gamma": (
        lambda: focal(Z, Z, gamma=-2.0),
        ValueError,
        "gamma",
        "at least 0",
        "-2.0",
    ),
    "focal gamma NaN": (lambda: focal(Z, Z, gamma=np.nan), ValueError, "gamma", "nan"),
    "focal gamma per element": (
        lambda: focal(Z, Z, gamma=jnp.ones((4, 3))),
        ValueError,
        "gamma",
        "()",
        "(4, 3)",
    ),
    "dense labels that are class indices": (
        lambda: dense(Z, N),
        ValueError,
        "labels",
        "(4, 3)",
        "(4,)",
    ),
    "dense labels that would broadcast": (
        lambda: dense(Z, T[:1]),
        ValueError,
        "labels",
        "(4, 3)",
        "(1, 3)",
    ),
    "dense, axis out of range": (lambda: dense(Z, T, 2), ValueError, "axis 2", "(4, 3)"),
    "dense, the same axis twice": (lambda: dense(Z, T, (0, -2)), ValueError, "axis", "(0, -2)"),
    "dense, no axis": (lambda: dense(Z, T, ()), ValueError, "axis", "()"),
    "dense, where of columns": (
        lambda: dense(Z, T, where=K[:3]),
        ValueError,
        "where",
        "(4,)",
        "(3,)",
        "where[None]",
    ),
    "dense, where of columns of images": (
        lambda: dense(np.zeros((2, 4, 3), np.float32), np.zeros((2, 4, 3)), where=K[:3]),
        ValueError,
        "where[None, None]",
    ),
    "dense, where broadcasting over classes": (
        lambda: dense(Z, T, where=K[:, None]),
        ValueError,
        "where",
        "(4, 3)",
        "(4, 1)",
    ),
    "dense, class_weights of rows": (
        lambda: dense(Z, T, class_weights=np.ones(4)),
        ValueError,
        "class_weights",
        "(3,)",
        "(4,)",
    ),
    "dense, unknown reduction": (
        lambda: dense(Z, T, reduction="average"),
        ValueError,
        "reduction",
        "mean",
        "average",
    ),
    "integer, one-hot labels": (
        lambda: integer(Z, T.astype(int)),
        ValueError,
        "labels",
        "(4,)",
        "(4, 3)",
        "softmax_cross_entropy",
    ),
    "integer, PyTorch's class axis": (
        lambda: integer(np.zeros((2, 5, 6, 7), np.float32), np.zeros((2, 6, 7), int)),
        ValueError,
        "labels",
        "(2, 5, 6, 7)",
        "(2, 6, 7)",
        "axis=1",
    ),
    "PyTorch's class axis where it is as long as the batch": (
        lambda: integer(np.zeros((6, 6, 7), np.float32), np.zeros((6, 7), int)),
        ValueError,
        "axis=0 or axis=1",
    ),
    "a mask of classes in front": (
        lambda: integer(np.zeros((5, 4), np.float32), N, axis=0, where=np.ones(5, bool)),
        ValueError,
        "where[:, None]",
    ),
    "a mask (1, V) for rows of two axes": (
        lambda: dense(np.zeros((2, 4, 3), np.float32), np.zeros((2, 4, 3)), where=K[None, :3]),
        ValueError,
        "where.reshape(-1)[None, None]",
    ),
    "a mask of rows with an axis too many": (
        lambda: dense(Z, T, where=K[:, None]),
        ValueError,
        "(4,) to drop rows",
    ),
    "a mask of classes between": (
        lambda: integer(
            np.zeros((2, 5, 6, 7), np.float32),
            np.zeros((2, 6, 7), int),
            axis=1,
            where=np.ones(5, bool),
        ),
        ValueError,
        "where[None, :, None, None]",
    ),
    "floating class indices into statistics": (
        lambda: jaxent.softmax_stats(Z, N.astype(np.float32)),
        ValueError,
        "labels.astype(int)",
    ),
    "a temperature of 0": (
        lambda: jaxent.softmax_kl_divergence(Z, Z, temperature=0.0),
        ValueError,
        "temperature",
        "above 0",
        "got 0.0",
    ),
    "focal, alpha per row": (
        lambda: focal(Z, Z, alpha=np.ones(4)),
        ValueError,
        "alpha",
        "(3,)",
        "(4,)",
    ),
    "integer, labels with an axis too many": (
        lambda: integer(Z, N[:, None]),
        ValueError,
        "labels",
        "(4,)",
        "(4, 1)",
    ),
    "integer, no classes": (
        lambda: integer(np.zeros((4, 0), np.float32), N),
        ValueError,
        "logits",
        "(4, 0)",
    ),
    "integer, negative z_loss": (
        lambda: integer(Z, N, z_loss=-1e-4),
        ValueError,
        "z_loss",
        "-0.0001",
    ),
    "integer, weights of classes": (
        lambda: integer(Z, N, weights=np.ones(3)),
        ValueError,
        "weights",
        "(4,)",
        "(3,)",
    ),
    "integer, scalar logits": (lambda: integer(1.0, 0), ValueError, "axis -1", "()"),
    "softmax focal, class_weights of rows": (
        lambda: softmax_focal(Z, N, class_weights=np.ones(4)),
        ValueError,
        "class_weights",
        "(3,)",
        "(4,)",
    ),
    "poly, labels of rows": (
        lambda: poly(Z, N),
        ValueError,
        "labels",
        "(4, 3)",
        "(4,)",
        "one_hot",
    ),
    "epsilon of one half and more": (
        lambda: probs(T, T, epsilon=0.6),
        ValueError,
        "epsilon",
        "[0, 0.5]",
        "0.6",
    ),
    "KL of different classes": (lambda: kl(Z, T[:, :2]), ValueError, "targets", "(4, 3)", "(4, 2)"),
    "negative temperature": (
        lambda: jaxent.softmax_kl_divergence(Z, Z, temperature=-1.0),
        ValueError,
        "temperature",
        "-1.0",
    ),
    "squared error would broadcast": (
        lambda: jaxent.squared_error(Z, Z[0]),
        ValueError,
        "targets",
        "(4, 3)",
        "(3,)",
    ),
    "reducing with weights that would broadcast": (
        lambda: reduce(Z, weights=np.ones((4, 1))),
        ValueError,
        "weights",
        "(4, 3)",
        "(4, 1)",
    ),
    "stats with labels of the wrong shape": (
        lambda: jaxent.softmax_stats(Z, N[:2]),
        ValueError,
        "labels",
        "(4,)",
        "(2,)",
    ),
    "entropy along no axis of it": (lambda: jaxent.entropy(T, 5), ValueError, "axis 5", "(4, 3)"),
    "weights beyond int32": (
        lambda: integer(Z, N, weights=np.full(4, 2**40)),
        ValueError,
        "weights",
        "int32",
    ),
}
