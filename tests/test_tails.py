"""Derivatives where a prediction is all but certain: small, and neither lost nor NaN."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxent
from jaxent.core.softplus import softplus
from tests import makers
from tests.cases import CASES
from tests.edges import INF, NAN, binary, dense, focal, integer
from tests.laws import by_floats, takes

FOCAL = [0.0, 0.5, 1.0, 2.0, 5.0]


@pytest.mark.parametrize("gamma", FOCAL)
@pytest.mark.parametrize("z", [1.0, 20.0, 44.0, 60.0, 80.0, 110.0, -30.0])
def test_second_derivative_of_binary_focal(gamma, z):
    """For y = 1 and miss q = σ(−z), small: q^γ softplus(−z) is about q^(γ+1), bending as much."""
    bend = jax.grad(jax.grad(functools.partial(jaxent.sigmoid_focal_loss, gamma=gamma)))(z, 1.0)
    assert np.isfinite(bend)
    q = np.exp(-z)
    if 20 <= z <= 80 and q ** (gamma + 1) > 1e-37:
        np.testing.assert_allclose(bend, (gamma + 1) ** 2 * q ** (gamma + 1), rtol=1e-4)


@pytest.mark.parametrize("gamma", FOCAL)
@pytest.mark.parametrize("margin", [1.0, 45.0, 50.0, 80.0, 200.0])
def test_hessian_of_softmax_focal_is_finite(gamma, margin):
    z = jnp.array([margin, 0.0, 0.0])
    for label in (0, 1):
        loss = functools.partial(jaxent.softmax_focal_loss, labels=label, gamma=gamma)
        assert np.all(np.isfinite(jax.hessian(loss)(z)))


def test_entropy_bends_by_the_inverse_of_a_probability():
    hessian = jax.hessian(jaxent.entropy)(jnp.array([1e-25, 1.0]))
    np.testing.assert_allclose(hessian, [[-1e25, 0], [0, -1]], rtol=1e-6)


# The square of this number is 0 in float32.
TINY = 1e-25
ALMOST_ABSENT = {
    makers.distributions: lambda rng, n: np.array([1, TINY, 0]) * rng.uniform(0.5, 1, (*n, 3)),
    makers.probabilities: lambda rng, n: np.resize([TINY, 1, 0.5], n) * rng.uniform(0.5, 1, n),
}
BEYOND = {
    makers.distributions: lambda rng, n: np.broadcast_to([1 + 1e-6, -1e-6], (*n, 2)),
    makers.probabilities: lambda rng, n: np.resize([1 + 1e-6, 1.5, -1e-6, -0.5], n),
    makers.classes: lambda rng, n: np.resize([0, 1], n),
}


def of_probabilities(made_by, *options):
    """The plain cases whose arrays these makers make, of losses that take some options."""
    return [
        case
        for case in CASES
        if {*case.makers} <= {*made_by} and all(takes(case, name) for name in options)
    ]


@pytest.mark.parametrize("case", of_probabilities(ALMOST_ABSENT), ids=lambda case: case.name)
def test_second_derivatives_at_probabilities_whose_square_is_0(case):
    further = {"epsilon": 0.0} if takes(case, "epsilon") else {}
    losses, floats = by_floats(case, case.make((3,), np.float32, instead=ALMOST_ABSENT), **further)
    for i in range(len(floats)):

        def slope(x, i=i):
            return jax.grad(lambda x: jnp.sum(losses(*floats[:i], x, *floats[i + 1 :])))(x)

        assert np.all(np.isfinite(jax.jvp(slope, (floats[i],), (jnp.ones_like(floats[i]),))[1]))


@pytest.mark.parametrize("p", [0.0, TINY, 1e-19])
def test_second_derivatives_by_a_probability_without_label_mass_are_0(p):
    p, t = jnp.array([1 - p, p]), jnp.array([1.0, 0.0])
    hessian = jax.hessian(lambda p: jaxent.categorical_cross_entropy(p, t, epsilon=0.0))(p)
    np.testing.assert_array_equal(hessian, [[1, 0], [0, 0]])
    hessian = jax.hessian(lambda p: jaxent.binary_cross_entropy(p, 0.0, epsilon=0.0))(p[1])
    np.testing.assert_allclose(hessian, 1)


@pytest.mark.parametrize("case", of_probabilities(BEYOND, "epsilon"), ids=lambda case: case.name)
def test_probabilities_beyond_0_and_1_are_clipped(case):
    """In the value, and no derivative is left there."""
    p, *labels = case.make((8,), np.float32, instead=BEYOND)
    if makers.classes not in case.makers:
        labels = [np.resize(np.float32([0, 1, 0.3]), p.shape)]
    losses, pullback = jax.vjp(lambda p: case.function(p, *labels), p)
    np.testing.assert_array_equal(losses, case.function(np.clip(p, 0, 1), *labels))
    np.testing.assert_array_equal(pullback(jnp.ones_like(losses))[0], 0)


@pytest.mark.parametrize("z", [INF, -INF])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_gradient_by_pos_weight_at_infinite_logits(z, y):
    """Infinite where a positive is called impossible, and 0 where the weight has no part."""
    slope = jax.grad(lambda w: jaxent.sigmoid_binary_cross_entropy(z, y, pos_weight=w))(2.0)
    assert slope == (INF if y == 1 and z < 0 else 0)


def test_a_target_of_zero_excuses_an_infinity_and_no_nan():
    t = np.array([0.0, 1.0])
    with np.errstate(divide="ignore"):
        pairs = (jaxent.kl_divergence, t), (jaxent.kl_divergence_with_log_targets, np.log(t))
    for divergence, target in pairs:
        assert divergence(np.array([-INF, 0.0]), target) == 0
        assert np.isnan(divergence(np.array([NAN, 0.0]), target))


def test_an_infinite_divergence_has_a_finite_gradient_by_either_logits():
    z, target = jnp.array([-INF, 0.0]), jnp.array([0.0, 0.0])
    value, gradients = jax.value_and_grad(jaxent.softmax_kl_divergence, (0, 1))(z, target)
    assert value == INF
    assert np.all(np.isfinite(gradients))


def test_statistics_that_need_no_label_are_there_without_one():
    stats = jaxent.softmax_stats(np.array([[10.0, 20, 30]]), np.array([-1]))
    np.testing.assert_allclose(stats.lse, 30.00005, rtol=1e-6)
    assert np.isnan(stats.nll)


@pytest.mark.parametrize("z", [INF, -INF])
def test_a_focal_loss_of_a_label_half_way_does_not_move_with_alpha(z):
    """Its weight is 1/2 for every alpha."""
    assert jax.grad(lambda alpha: focal(z, 0.5, alpha=alpha))(0.25) == 0


@pytest.mark.parametrize(("z", "y"), [(INF, 0.0), (-INF, 1.0)])
@pytest.mark.parametrize("loss", [binary, focal], ids=["BCE", "focal"])
def test_an_infinite_binary_loss_has_a_gradient_by_smoothing(loss, z, y):
    assert not np.isnan(jax.grad(lambda amount: loss(z, y, label_smoothing=amount))(0.0))


@pytest.mark.parametrize("loss", [integer, dense], ids=["integer", "dense"])
def test_a_z_loss_of_zero_adds_nothing(loss):
    z = np.array([1e30, -1e30, 0], np.float32)
    labels = 0 if loss is integer else np.float32([1, 0, 0])
    assert loss(z, labels, z_loss=0.0) == 0


def test_softplus_keeps_its_tail():
    x = np.concatenate([np.linspace(0, 1, 10001), np.linspace(0, 87, 10001)]).astype(np.float32)
    want = np.log1p(np.exp(-x.astype(np.float64)))
    # The exponential's own error grows with what it is of.
    allowed = (2.5 + x / 2) * np.spacing(want.astype(np.float32))
    assert np.all(np.abs(softplus(jnp.asarray(x)) - want) <= allowed)
