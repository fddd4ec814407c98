"""Every function that optax has under the same name gives optax's value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax.losses
import pytest

import jaxent
from tests.laws import mainly

rng = np.random.default_rng(0)
SHAPE = (4, 3, 5)
Z = (rng.normal(size=SHAPE) * 3).astype(np.float32)
T = np.asarray(jax.nn.softmax(rng.normal(size=SHAPE).astype(np.float32)))
LOG_P = np.asarray(jax.nn.log_softmax(Z))
BINARY = rng.integers(0, 2, SHAPE).astype(np.float32)

AXES = {-1: (4, 3), 0: (3, 5), 1: (4, 5), (1, 2): (4,), (2, 0): (3,), (0, 1, 2): ()}
KEEP_ROWS = {axis: np.asarray(rng.uniform(size=shape) < 0.7) for axis, shape in AXES.items()}
KEEP_CLASSES = rng.uniform(size=SHAPE) < 0.8


def agree(name, *args, **kwargs):
    ours, theirs = (getattr(library, name) for library in (jaxent, optax.losses))

    def value_and_grad(function):
        def total(x):
            losses = function(x, *args[1:], **kwargs)
            return jnp.sum(losses), losses

        (_, losses), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(args[0])
        return losses, gradient

    for got, want in zip(value_and_grad(ours), value_and_grad(theirs), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def labels_inside(axis, where):
    """Integer labels of classes that are kept, where a row keeps any."""
    shape = AXES[axis]
    axes = axis if isinstance(axis, tuple) else (axis,)
    kept = np.ones(SHAPE, bool) if where is None or where.ndim < 3 else where
    flat = np.moveaxis(kept, axes, range(3 - len(axes), 3)).reshape(*shape, -1)
    return np.argmax(flat * rng.uniform(size=flat.shape), -1)


def where_of(kind, axis):
    return {"none": None, "rows": KEEP_ROWS[axis], "classes": KEEP_CLASSES}[kind]


every_axis = pytest.mark.parametrize("axis", mainly([-1, (2, 0)], *AXES))
every_where = pytest.mark.parametrize("kind", ["none", "rows", "classes"])


@every_axis
@every_where
def test_softmax_cross_entropy(axis, kind):
    agree("softmax_cross_entropy", Z, T, axis, where_of(kind, axis))


@every_axis
@every_where
def test_softmax_cross_entropy_with_integer_labels(axis, kind):
    where = where_of(kind, axis)
    labels = labels_inside(axis, where)
    agree("softmax_cross_entropy_with_integer_labels", Z, labels, axis, where)


@every_axis
@every_where
def test_poly_loss_cross_entropy(axis, kind):
    where = where_of(kind, axis)
    if kind == "rows":
        # optax takes a `where` of rows here only with its class axes kept as ones.
        broadcast = np.expand_dims(where, axis)
        want = optax.losses.poly_loss_cross_entropy(Z, T, axis=axis, where=broadcast)
        got = jaxent.poly_loss_cross_entropy(Z, T, axis=axis, where=where)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
        return
    agree("poly_loss_cross_entropy", Z, T, axis=axis, where=where, epsilon=1.5)


@every_axis
@pytest.mark.parametrize("kind", ["none", "classes"])
@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("kl_divergence", T),
        ("kl_divergence_with_log_targets", np.log(T)),
        ("generalized_kl_divergence", T),
    ],
)
def test_divergences(name, targets, axis, kind):
    agree(name, LOG_P, targets, axis, where_of(kind, axis))


@pytest.mark.parametrize("labels", [BINARY, T, BINARY.astype(np.int32)], ids=["0/1", "soft", "int"])
def test_sigmoid_binary_cross_entropy(labels):
    agree("sigmoid_binary_cross_entropy", Z, labels)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.25}, {"gamma": 0.5}, {"gamma": 3.0}], ids=str)
@pytest.mark.parametrize("labels", [BINARY, T], ids=["0/1", "soft"])
def test_sigmoid_focal_loss(labels, options):
    agree("sigmoid_focal_loss", Z, labels, **options)


@pytest.mark.parametrize("targets", [(), (T,)], ids=["alone", "targets"])
def test_squared_error(targets):
    agree("squared_error", Z, *targets)


def test_every_shared_name_is_compared():
    public = set(jaxent.__all__)
    shared = {name for name in public if hasattr(optax.losses, name)}
    assert shared == {
        "generalized_kl_divergence",
        "kl_divergence",
        "kl_divergence_with_log_targets",
        "poly_loss_cross_entropy",
        "sigmoid_binary_cross_entropy",
        "sigmoid_focal_loss",
        "softmax_cross_entropy",
        "softmax_cross_entropy_with_integer_labels",
        "squared_error",
    }
