"""Wrong calls of losses from features, kernels and keys, for `test_errors`."""

import jax.numpy as jnp
import numpy as np

import jaxent

linear = jaxent.linear_softmax_cross_entropy
linear_kl = jaxent.linear_softmax_kl_divergence
X, W = np.zeros((4, 2), np.float32), np.zeros((2, 3), np.float32)
N = np.zeros(4, np.int32)

# Each call, its error, and the words that the message must contain.
WRONG = {
    "kernel transposed": (
        lambda: linear(X, W.T, N),
        ValueError,
        "kernel",
        "(2, V)",
        "axis=-1",
        "(3, 2)",
        "pass axis=0",
    ),
    "an axis of no kernel": (lambda: linear(X, W, N, axis=2), ValueError, "axis", "-2 to 1", "2"),
    "kernel of another layout": (
        lambda: linear(X, W, N, axis=0),
        ValueError,
        "kernel",
        "(V, 2)",
        "axis=0",
        "(2, 3)",
    ),
    "operands of integers": (
        lambda: linear(X, W, N, operand_dtype=int),
        TypeError,
        "operand_dtype",
        "floating",
        "int",
    ),
    "operands of 64 bits": (
        lambda: linear(X, W, N, operand_dtype="float64"),
        TypeError,
        "operand_dtype",
        "float64",
        "x64",
    ),
    "dtypes that JAX does not promote": (
        lambda: linear(jnp.asarray(X, jnp.float8_e5m2), W.astype(np.float16), N),
        TypeError,
        "kernel",
        "features",
        "float8_e5m2",
        "float16",
        "operand_dtype",
    ),
    "labels in a column": (
        lambda: linear(X, W, N[:, None]),
        ValueError,
        "labels",
        "(4,)",
        "(4, 1)",
        "labels[..., 0]",
    ),
    "distributions for a focal loss": (
        lambda: jaxent.linear_softmax_focal_loss(X, W, np.ones((4, 3), np.float32)),
        TypeError,
        "labels",
        "float32",
        "linear_softmax_cross_entropy",
    ),
    "integer features": (lambda: linear(N, W, N), TypeError, "features", "floating", "int32"),
    "integer kernel": (lambda: linear(X, W.astype(int), N), TypeError, "kernel", "floating"),
    "features without an axis": (
        lambda: linear(np.float32(1), W, N),
        ValueError,
        "features",
        "axis",
        "()",
    ),
    "kernel of no classes": (
        lambda: linear(X, W[:, :0], N),
        ValueError,
        "kernel",
        "(2, 0)",
        "at least one class",
    ),
    "bias per feature": (lambda: linear(X, W, N, bias=W[:, 0]), ValueError, "bias", "(3,)", "(2,)"),
    "labels of another shape": (lambda: linear(X, W, N[:3]), ValueError, "labels", "(4,)", "(3,)"),
    "labels floating": (lambda: linear(X, W, X[:, 0]), TypeError, "labels", "integer", "float32"),
    "class_weights per row": (
        lambda: linear(X, W, N, class_weights=np.ones(4)),
        ValueError,
        "class_weights",
        "(3,)",
        "(4,)",
    ),
    "a weight of labels that are not given": (
        lambda: linear_kl(X, W, X, W, label_weight=0.5),
        ValueError,
        "label_weight",
        "without labels",
    ),
    "labels of a student that are distributions": (
        lambda: linear_kl(X, W, X, W, labels=np.ones((4, 3), np.float32)),
        TypeError,
        "labels",
        "integer",
        "float32",
    ),
    "softcap of 0": (lambda: linear(X, W, N, softcap=0.0), ValueError, "softcap", "0.0"),
    "a budget of nothing": (
        lambda: linear(X, W, N, max_logits_bytes=0),
        ValueError,
        "max_logits_bytes",
        "positive",
        "0",
    ),
    "a budget that is no number of bytes": (
        lambda: linear(X, W, N, max_logits_bytes=1e9),
        TypeError,
        "max_logits_bytes",
        "int",
        "1000000000.0",
    ),
    "where of the logits' shape": (
        lambda: linear(X, W, N, where=np.ones((4, 3), bool)),
        ValueError,
        "where",
        "(4,)",
        "(4, 3)",
    ),
    "a teacher of other classes": (
        lambda: linear_kl(X, W, X, W[:, :2]),
        ValueError,
        "target_kernel",
        "(4, 3)",
        "(4, 2)",
    ),
    "a teacher of other rows": (
        lambda: linear_kl(X, W, X[:3], W),
        ValueError,
        "target_features",
        "(4, 3)",
        "(3, 3)",
    ),
    "a teacher's kernel transposed": (
        lambda: linear_kl(X, W, X, W.T),
        ValueError,
        "target_kernel",
        "(2, V)",
        "(3, 2)",
    ),
    "fewer keys than queries": (
        lambda: jaxent.info_nce(X, X[:3], temperature=1.0),
        ValueError,
        "keys",
        "M ≥ 4",
        "(3, 2)",
    ),
    "symmetric with more keys": (
        lambda: jaxent.info_nce(X[:3], X, temperature=1.0, symmetric=True),
        ValueError,
        "keys",
        "(4, 2)",
    ),
    "keys of another width": (
        lambda: jaxent.info_nce(X, X[:, :1], temperature=1.0),
        ValueError,
        "keys",
        "(4, 1)",
    ),
    "symmetric is no number": (
        lambda: jaxent.info_nce(X, X, temperature=1.0, symmetric=1),
        TypeError,
        "symmetric",
        "True or False",
        "1",
    ),
    "no temperature": (lambda: jaxent.info_nce(X, X), TypeError, "temperature"),
    "temperature of 0": (
        lambda: jaxent.info_nce(X, X, temperature=0),
        ValueError,
        "temperature",
        "0",
    ),
}
