"""What the tests of the contract (docs/numerics.md) share: losses by their kind, and three rows."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent

INF, NAN = np.inf, np.nan
binary = jaxent.sigmoid_binary_cross_entropy
focal = jaxent.sigmoid_focal_loss
dense = jaxent.softmax_cross_entropy
integer = jaxent.softmax_cross_entropy_with_integer_labels

INTEGER_LOSSES = {
    "softmax CE": integer,
    "smoothed": lambda *a, **k: integer(*a, label_smoothing=0.1, z_loss=1e-3, **k),
    "class-weighted": lambda *a, **k: integer(*a, class_weights=np.arange(1.0, 4), **k),
    "focal": jaxent.softmax_focal_loss,
}
DENSE_LOSSES = {
    "softmax CE": dense,
    "smoothed": lambda *a, **k: dense(*a, label_smoothing=0.1, z_loss=1e-3, **k),
    "poly": jaxent.poly_loss_cross_entropy,
}
BINARY_LOSSES = {
    "BCE": binary,
    "BCE with pos_weight": functools.partial(binary, pos_weight=3.0),
    **{f"focal {g}": functools.partial(focal, gamma=g) for g in (0.0, 0.5, 1.0, 2.0)},
    "asymmetric": functools.partial(jaxent.sigmoid_asymmetric_loss, margin=0.0),
}
integer_losses = pytest.mark.parametrize("loss", INTEGER_LOSSES.values(), ids=INTEGER_LOSSES)
dense_losses = pytest.mark.parametrize("loss", DENSE_LOSSES.values(), ids=DENSE_LOSSES)
binary_losses = pytest.mark.parametrize("loss", BINARY_LOSSES.values(), ids=BINARY_LOSSES)


def value_and_grad(loss, z, *args, **kwargs):
    """Losses, and the derivative of their sum: each row's own, since rows do not mix."""
    value, pullback = jax.vjp(lambda z: loss(z, *args, **kwargs), jnp.asarray(z))
    return value, pullback(jnp.ones_like(value))[0]


def floating(stats):
    """The statistics but the predicted class."""
    return [x for x in jax.tree.leaves(stats) if jnp.issubdtype(x.dtype, jnp.floating)]


@contextlib.contextmanager
def naming(what):
    """Says of a failed assertion on which of several inputs to one program it failed."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"with {what}")
        raise


def jvp(loss, z, *args, **kwargs):
    z = jnp.asarray(z)
    return jax.jvp(lambda z: loss(z, *args, **kwargs), (z,), (jnp.ones_like(z),))[1]


Z = np.array([[1.0, 2, 3], [0, -1, 4], [2, 2, 2]], np.float32)
T = np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0.5, 0.5]], np.float32)
WHATEVER = [NAN, INF, -INF, -100.0, 3e38]
