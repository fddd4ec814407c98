"""How every loss of the table is compiled and computed, in the programs that people write."""

import functools
import gc
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.experimental import checkify

import jaxent
from jaxent._declare import numbers_of
from tests import makers
from tests.cases import CASES, PLAIN
from tests.laws import (
    MAIN,
    by_floats,
    every_total,
    of_every,
    takes,
    unoptimized,
    value_and_gradients,
)
from tests.totals import TOTALS

# Python numbers at which an option does nothing.
IDLE = {"label_smoothing": 0.0, "z_loss": 0, "temperature": 1.0, "pos_weight": 1}
IDLE_OPTIONS = [
    pytest.param(case, name, number.idle, id=f"{case.name}, {name}")
    for case in MAIN
    for name, number in numbers_of(case.loss).items()
    if name in case.keywords and number.idle is not None
]
# Plain calls of losses that have such options.
WITHOUT_THEM = [
    case
    for case in CASES + TOTALS
    if any(takes(case, name) for name in IDLE)
    and not {makers.fraction, makers.positive} & set(case.makers)
]


@pytest.mark.parametrize("case", WITHOUT_THEM, ids=lambda case: case.name)
def test_an_option_at_the_number_where_it_does_nothing_is_absent(case):
    idle = {name: number for name, number in IDLE.items() if takes(case, name)}
    arrays = case.make((3,), np.float32)
    lower = jax.jit(case.function).lower(*arrays).as_text()
    assert jax.jit(functools.partial(case.function, **idle)).lower(*arrays).as_text() == lower


@pytest.mark.parametrize(("case", "name", "idle"), IDLE_OPTIONS)
def test_an_option_is_the_same_as_a_number_and_as_an_array(case, name, idle):
    arrays = list(case.make((3,), np.float32))
    i = len(arrays) - len(case.keywords) + case.keywords.index(name)

    def losses(option):
        return case.function(*arrays[:i], option, *arrays[i + 1 :])

    np.testing.assert_allclose(losses(float(idle)), losses(np.float32(idle)), rtol=2e-6, atol=1e-7)


@pytest.fixture
def frozen():
    """JAX looks for leaks among all objects, and those of other tests are many."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
@every_total
def test_nothing_is_leaked(case):
    with jax.checking_leaks():
        jax.jit(case.function).trace(*case.make((2,), np.float32))


@unoptimized
@of_every(PLAIN)
def test_exports_with_an_open_number_of_rows(case):
    """Few classes, for which the CPU has a program of its own."""
    check_export(case, {7: "N"})


@unoptimized
@every_total
def test_exports_with_open_numbers_of_rows_and_classes(case):
    check_export(case, {7: "N", 10: "V"})


def check_export(case, names):
    """The exported program is right for rows of 10 classes whose sizes have these names."""
    with mock.patch.object(makers, "V", 10):
        arrays = [jnp.asarray(x) for x in case.make((7,), np.float32)]
    sizes = dict(zip(names, export.symbolic_shape(", ".join(names.values())), strict=True))
    like = [jax.ShapeDtypeStruct(tuple(sizes.get(n, n) for n in x.shape), x.dtype) for x in arrays]
    function = jax.jit(value_and_gradients(case))
    got, want = export.export(function)(*like).call(*arrays), function(*arrays)
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-6)


@unoptimized
@every_total
def test_checks_for_nan_are_silent_at_the_edges(case):
    """And no result is NaN: in value, gradient and forward mode."""

    def everything(*arrays):
        losses, floats = by_floats(case, arrays)
        ones = jax.tree.map(jnp.ones_like, floats)
        return value_and_gradients(case)(*arrays), jax.jvp(losses, floats, ones)[1]

    checked = jax.jit(checkify.checkify(everything, errors=checkify.float_checks))
    arrays = case.make((6,), np.float32, instead=makers.EDGES)
    for i, make in enumerate(case.makers):
        if make in (makers.mask, makers.class_mask):
            arrays[i][1] = False
            arrays[0][1] = -np.inf
    error, results = checked(*arrays)
    error.throw()
    for x in jax.tree.leaves(results):
        assert not np.any(np.isnan(x))


@unoptimized
@pytest.mark.parametrize("loss", [jaxent.binary_cross_entropy, jaxent.binary_focal_cross_entropy])
def test_checks_are_silent_where_a_wrong_probability_has_no_floor(loss):
    """The loss is +inf, and no division by 0 has made it so."""
    probs, labels = np.float32([0, 1, 1, 0]), np.float32([1, 0, 0.5, 0.5])
    of_probs = functools.partial(loss, epsilon=0.0)
    checked = jax.jit(checkify.checkify(of_probs, errors=checkify.float_checks))
    error, losses = checked(probs, labels)
    error.throw()
    np.testing.assert_array_equal(losses, np.inf)


@every_total
def test_arrays_made_in_the_program_are_rounded_as_their_dtype_says(case):
    """Not in one use of an array and left wide in another, as XLA may do: jit changes nothing."""
    wide = case.make((4,), np.float32)
    floating = [i for i, x in enumerate(wide) if x.dtype == np.float32]
    both = value_and_gradients(case)

    def scaled(arrays):
        arrays = list(arrays)
        for i in floating:
            arrays[i] = (arrays[i] * np.float32(0.9)).astype(jnp.bfloat16)
        return arrays

    got = jax.jit(lambda *arrays: both(*scaled(arrays)))(*wide)
    want = jax.jit(both)(*scaled(map(jnp.asarray, wide)))
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g.astype(np.float32), w.astype(np.float32), rtol=1e-5, atol=1e-6)


TWO_SIDES = [
    case
    for case in CASES + TOTALS
    if case.makers[:2] in ((makers.logits,) * 2, (makers.log_distributions,) * 2)
    or case.makers[:2] in ((makers.distributions,) * 2, (makers.values,) * 2)
    if "cross_entropy" not in case.name
]


@pytest.mark.parametrize("case", TWO_SIDES, ids=lambda case: case.name)
@pytest.mark.parametrize("producer", ["product", "scale", "cap"])
def test_equal_arrays_made_in_the_program_do_not_differ(case, producer):
    """Exactly: a divergence and a difference of equal arrays of 16 bits are 0, with jit around."""
    with mock.patch.object(makers, "V", 1000):
        arrays = case.make((3,), jnp.bfloat16)
    rng = np.random.default_rng(1)
    h, W = (jnp.asarray(rng.normal(size=n), jnp.bfloat16) for n in ((3, 64), (64, 1000)))

    @jax.jit
    def loss(*arrays):
        z = arrays[0]
        made = {
            "product": lambda: (h @ W + z.reshape(1, -1)[:, :1]) * jnp.bfloat16(0.1),
            "scale": lambda: z * jnp.bfloat16(1.1),
            "cap": lambda: 30 * jnp.tanh(z / 30),
        }[producer]()
        if makers.distributions in case.makers[:2]:
            made = jax.nn.softmax(made)
        elif makers.log_distributions in case.makers[:2]:
            made = jax.nn.log_softmax(made)
        made = made.reshape(-1)[: math.prod(z.shape)].reshape(z.shape)
        return case.function(made, jax.lax.stop_gradient(made), *arrays[2:])

    np.testing.assert_array_equal(loss(*arrays), 0)


@every_total
def test_mixed_precision_is_that_of_the_wider(case):
    """Each floating array alone in float64: a float64 result, right to float64's digits."""
    narrow = case.make((3,), np.float32)
    options = makers.fraction, makers.positive, makers.class_weights
    floating = [i for i, x in enumerate(narrow) if x.dtype == np.float32]
    with jax.enable_x64(True):
        exact = [x.astype(np.float64) if i in floating else x for i, x in enumerate(narrow)]
        mixed = [
            (*narrow[:i], exact[i], *narrow[i + 1 :])
            for i in floating
            if case.makers[i] not in options
        ]
        want, *others = jax.jit(lambda calls: [case.function(*call) for call in calls])(
            [exact, *mixed]
        )
        for got in others:
            assert got.dtype == np.float64
            np.testing.assert_allclose(got, want, rtol=1e-12)


@unoptimized
@every_total
def test_the_narrowest_floats_are_numbers_like_others(case):
    dtype = jnp.dtype("float4_e2m1fn")
    narrow = case.make((4,), dtype)
    wide = tuple(x.astype(np.float32) if x.dtype == dtype else x for x in narrow)
    np.testing.assert_allclose(case.function(*narrow), case.function(*wide), rtol=1e-6, atol=1e-7)
