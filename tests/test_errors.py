"""Wrong calls: each is an error that names the argument, what was expected and what came."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from tests import wrong_heads

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


class Tensor:
    """PyTorch's, of which the suite need not install 200 MB to know its name."""

    dtype = "torch.float32"


Tensor.__module__ = "torch"

# What is called, the error, and what its message has to say.
WRONG = {
    "BCE would broadcast (4,1) with (4,)": (
        lambda: binary(Z[:, :1], N),
        ValueError,
        "labels",
        "(4, 1)",
        "(4,)",
    ),
    "BCE labels transposed": (lambda: binary(Z, T.T), ValueError, "labels", "(4, 3)", "(3, 4)"),
    "BCE scalar label for an array": (lambda: binary(Z, 1.0), ValueError, "labels", "(4, 3)", "()"),
    "BCE integer logits": (lambda: binary(N, N), TypeError, "logits", "floating", "int32"),
    "BCE complex labels": (lambda: binary(Z, Z * 1j), TypeError, "labels", "complex64"),
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
    "BCE where of rows": (lambda: binary(Z, Z, where=K), ValueError, "where", "(4, 3)", "(4,)"),
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
    "focal no gamma": (lambda: focal(Z, Z, gamma=None), TypeError, "gamma", "None"),
    "list of logits": (lambda: integer([[0.0, 1.0]], N), TypeError, "logits", "list"),
    "no labels": (lambda: dense(Z, None), TypeError, "labels", "None"),
    "string labels": (lambda: dense(Z, "cat"), TypeError, "labels", "str", "cat"),
    "dense labels that are class numbers": (
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
    "dense, integer logits": (
        lambda: dense(Z.astype(int), T),
        TypeError,
        "logits",
        "floating",
        "int",
    ),
    "dense, axis out of range": (lambda: dense(Z, T, 2), ValueError, "axis 2", "(4, 3)"),
    "dense, the same axis twice": (lambda: dense(Z, T, (0, -2)), ValueError, "axis", "(0, -2)"),
    "dense, no axis": (lambda: dense(Z, T, ()), ValueError, "axis", "()"),
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
    "integer, boolean labels": (lambda: integer(Z, K), TypeError, "labels", "integer", "bool"),
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
    "y_true and y_pred": (
        lambda: binary(y_true=N, y_pred=Z),
        TypeError,
        "y_true",
        "predictions first",
    ),
    "PyTorch's class axis where it is as long as the batch": (
        lambda: integer(np.zeros((6, 6, 7), np.float32), np.zeros((6, 7), int)),
        ValueError,
        "axis=0 or axis=1",
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
    "alpha of Keras": (lambda: softmax_focal(Z, N, alpha=0.25), TypeError, "class_weights="),
    "a mask by position": (lambda: softmax_focal(Z, N, K), TypeError, "go by name"),
    "one-hot labels into the focal loss": (
        lambda: softmax_focal(Z, T),
        TypeError,
        "jnp.argmax",
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
    "floating class numbers into statistics": (
        lambda: jaxent.softmax_stats(Z, N.astype(np.float32)),
        ValueError,
        "labels.astype(int)",
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
    "integer probabilities": (lambda: classes(N, N), TypeError, "probs", "floating", "int32"),
    "KL of different classes": (lambda: kl(Z, T[:, :2]), ValueError, "targets", "(4, 3)", "(4, 2)"),
    "KL with integers": (lambda: kl(N, N), TypeError, "log_predictions", "floating", "int32"),
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
    "reducing integers": (lambda: reduce(N), TypeError, "losses", "floating", "int32"),
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
    "reduction a list": (
        lambda: integer(Z, N, reduction=["mean"]),
        TypeError,
        "reduction",
        "['mean']",
    ),
    "axis a boolean": (lambda: integer(Z, N, True), TypeError, "axis", "True"),
    "axis an array": (lambda: integer(Z, N, N > 0), TypeError, "axis", "a tuple of ints"),
}


CALLS = WRONG | wrong_heads.WRONG


@pytest.mark.parametrize("call", CALLS)
def test_wrong_call(call):
    function, error, *words = CALLS[call]
    with pytest.raises(error) as raised:
        function()
    for word in words:
        assert word in str(raised.value)
    assert len(str(raised.value)) < 400


def test_errors_come_at_trace_time():
    with pytest.raises(ValueError, match="labels must have the shape"):
        jax.eval_shape(lambda z: binary(z, N), jax.ShapeDtypeStruct((4, 1), np.float32))


def test_a_traced_option_is_not_judged_and_compiles_once():
    traces = []

    @jax.jit
    def loss(z, amount):
        traces.append(1)
        return integer(z, N, label_smoothing=amount)

    for amount in (0.1, 0.2, 7.0):
        assert loss(Z, amount).shape == (4,)
    assert len(traces) == 1


def test_another_option_value_compiles_nothing(caplog):
    def compiled(amount):
        caplog.clear()
        with jax.log_compiles():
            integer(Z, N, label_smoothing=amount, z_loss=amount)
        return any("ompil" in message for message in caplog.messages)

    assert compiled(0.1)
    assert not compiled(0.2)
    assert not compiled(1)
