"""Laws that every loss of the table is held to, without being named.

They are of what users write around a loss: masks, options from configuration files, arrays made in
the same program, exports with open sizes, checks for NaN.
"""

import functools
import inspect
import math
import pydoc
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.experimental import checkify
from jax.sharding import PartitionSpec

import jaxent
from tests import makers
from tests.cases import CASES
from tests.totals import TOTALS

# Python numbers at which an option does nothing.
IDLE = {"label_smoothing": 0.0, "z_loss": 0, "temperature": 1.0, "pos_weight": 1}


def takes(case, name):
    return name in inspect.signature(case.loss).parameters


def of_every(cases, condition=lambda case: True):
    chosen = [case for case in cases if condition(case)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


quick = pytest.mark.usefixtures("unoptimized")
every_total = of_every(CASES + TOTALS)
every_reduced = of_every(CASES, lambda case: takes(case, "reduction"))
every_masked = of_every(CASES + TOTALS, lambda case: takes(case, "where"))
every_masked_by_class = of_every(CASES, lambda case: takes(case, "where") and takes(case, "axis"))
every_biased = of_every(CASES + TOTALS, lambda case: makers.bias in case.makers)
# Plain calls of losses that have such options.
every_idle = of_every(
    CASES + TOTALS,
    lambda case: (
        any(takes(case, name) for name in IDLE)
        and not {makers.fraction, makers.positive} & set(case.makers)
    ),
)
PUBLIC = {name: getattr(jaxent, name) for name in jaxent.__all__ if name != "SoftmaxStats"}
STATISTICS = {"softmax_stats", "linear_softmax_stats"}
# What a program is compiled for, and the loss that needs a mesh.
STATIC = {"axis", "axis_name", "reduction", "max_logits_bytes", "symmetric"}
ON_A_MESH = {"sharded_linear_softmax_cross_entropy"}


def value_and_gradients(case):
    """The sum of the losses, its gradients, and the losses."""

    def both(*arrays, **keywords):
        def total(*floats):
            full = list(arrays)
            for i, x in zip(case.differentiable, floats, strict=True):
                full[i] = x
            losses = case.function(*full, **keywords)
            return jnp.sum(losses), losses

        floats = tuple(jnp.asarray(arrays[i]) for i in case.differentiable)
        return jax.value_and_grad(total, tuple(range(len(floats))), has_aux=True)(*floats)

    return both


def with_mask(case, arrays, where):
    """The arrays and keywords of a call that drops what the mask leaves out."""
    if "where" not in case.keywords:
        return arrays, {"where": where}
    i = len(arrays) - len(case.keywords) + case.keywords.index("where")
    return (*arrays[:i], where, *arrays[i + 1 :]), {}


# The table


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - ON_A_MESH))
def test_the_table_has_every_loss_with_every_option(name):
    cases = [case for case in CASES + TOTALS if case.loss is PUBLIC[name]]
    parameters = inspect.signature(PUBLIC[name]).parameters
    made = {
        argument
        for case in cases
        for argument in (*list(parameters)[: len(case.makers)], *case.keywords)
    }
    assert set(parameters) - STATIC <= made


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - STATISTICS))
def test_every_loss_ends_in_the_same_keywords(name):
    parameters = inspect.signature(PUBLIC[name]).parameters
    assert "where" in parameters
    assert list(parameters)[-2:] == ["weights", "reduction"]
    want = "mean" if name == "reduce_losses" else "none"
    assert parameters["reduction"].default == want


def test_the_module_shows_functions_and_begins_with_an_index():
    assert set(dir(jaxent)) == {*jaxent.__all__, "__version__"}
    index = jaxent.__doc__.split("Every function works")[0]
    assert set(index.split()) >= set(jaxent.__all__)
    text = pydoc.plain(pydoc.render_doc(jaxent))
    assert text.count("_replace") == 0


# Masks and reductions


@quick
@every_reduced
def test_reducing_is_reducing_the_unreduced(case):
    """Every reduction, over where and weights of the table and over none."""
    arrays = case.make((6,), np.float32)
    given = dict(zip(case.keywords, arrays[len(arrays) - len(case.keywords) :], strict=True))
    reductions = "sum", "mean", "weighted_mean", "total_and_count", "total_and_weight"
    losses = jax.eval_shape(case.function, *arrays)

    @jax.jit
    def every(*arrays):
        return [case.function(*arrays, reduction=r) for r in ("none", *reductions)]

    unreduced, total, mean, weighted_mean, with_count, with_weight = every(*arrays)
    where, w = given.get("where", np.ones(losses.shape, bool)), given.get("weights")
    where = where.any(-1) if where.ndim > losses.ndim else where
    w = np.ones(losses.shape, np.float32) if w is None else w
    want, count, weight = (
        np.sum(np.asarray(unreduced), dtype=float),
        where.sum(),
        np.sum(w, where=where),
    )
    close = functools.partial(np.testing.assert_allclose, rtol=2e-6, atol=1e-6)
    close(total, want)
    close(mean, want / count)
    close(weighted_mean, want / weight)
    close(with_count, (want, count))
    close(with_weight, (want, weight))
    assert jnp.issubdtype(with_count[1].dtype, jnp.integer)


@quick
@every_masked
def test_dropping_rows_is_removing_them(case):
    """In value and gradient, whatever is there."""
    arrays = case.make((4,), np.float32)
    keep = np.array([True, False, True, True])
    held = [x.copy() for x in arrays]
    for i in case.batched:
        if case.makers[i] not in (makers.mask, makers.class_mask):
            held[i][~keep] = np.nan if held[i].dtype == np.float32 else -100
    where = keep
    if makers.mask in case.makers:
        where = keep & arrays[case.makers.index(makers.mask)]
    if makers.class_mask in case.makers:
        where = keep[:, None] & arrays[case.makers.index(makers.class_mask)]
    masked, keywords = with_mask(case, held, where)
    left, left_keywords = with_mask(
        case,
        tuple(x[keep] if i in case.batched else x for i, x in enumerate(arrays)),
        where[keep],
    )
    both = jax.jit(value_and_gradients(case))
    (got, losses), gradients = both(*masked, **keywords)
    (want, left_losses), wanted = both(*left, **left_keywords)
    close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6)
    close(got, want)
    if np.ndim(losses):
        assert losses[1] == 0
        close(losses[keep], left_losses)
    for i, gradient, w in zip(case.differentiable, gradients, wanted, strict=True):
        close(gradient[keep] if i in case.batched else gradient, w)
        if i in case.batched:
            np.testing.assert_array_equal(gradient[1], 0)


BY_CLASS = {makers.logits, makers.distributions, makers.log_distributions, makers.class_weights}


@quick
@every_masked_by_class
@pytest.mark.parametrize("rows", [1, 3], ids=["for all rows", "for each row"])
def test_dropping_a_class_is_removing_it(case, rows):
    """In value and gradient, whatever is there; label mass on the class goes with it."""
    arrays, dropped = case.make((3,), np.float32), 1
    keep = np.arange(makers.V) != dropped
    labels = [i for i, make in enumerate(case.makers) if make is makers.classes]
    for i in labels:
        arrays[i][arrays[i] == dropped] = 0
    held, left = list(arrays), list(arrays)
    for i, make in enumerate(case.makers):
        if make in BY_CLASS:
            left[i] = arrays[i][..., keep]
            held[i] = np.where(keep, arrays[i], np.float32(np.nan))
    for i in labels:
        left[i] = arrays[i] - (arrays[i] > dropped)
    masked, keywords = with_mask(case, tuple(held), np.broadcast_to(keep, (rows, makers.V)))
    left, left_keywords = with_mask(case, tuple(left), np.ones(3, bool))
    both = jax.jit(value_and_gradients(case))
    (_, losses), gradients = both(*masked, **keywords)
    (_, left_losses), wanted = both(*left, **left_keywords)
    close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6)
    close(losses, left_losses)
    for i, gradient, want in zip(case.differentiable, gradients, wanted, strict=True):
        by_class = case.makers[i] in BY_CLASS
        close(gradient[..., keep] if by_class else gradient, want)
        if by_class:
            np.testing.assert_array_equal(gradient[..., dropped], 0)


@quick
@every_biased
def test_a_class_of_bias_minus_infinity_is_removed_whatever_its_kernel_holds(case):
    arrays = case.make((3,), np.float32)
    held, left = [x.copy() for x in arrays], list(arrays)
    last = slice(-1, None)
    for i, make in enumerate(case.makers):
        if make in (makers.bias, makers.kernel, makers.class_weights):
            left[i] = arrays[i][..., :-1]
        if make is makers.kernel:
            held[i][..., last] = [[np.nan], [np.inf], [-np.inf]]
        elif make is makers.bias:
            held[i][last] = -np.inf
        elif make is makers.classes:
            arrays[i][arrays[i] == makers.V - 1] = 0
            held[i] = left[i] = arrays[i]
    both = jax.jit(value_and_gradients(case))
    (_, losses), gradients = both(*held)
    (_, left_losses), wanted = both(*left)
    close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6)
    close(losses, left_losses)
    for i, gradient, want in zip(case.differentiable, gradients, wanted, strict=True):
        assert np.all(np.isfinite(gradient))
        if np.shape(gradient) == np.shape(want):
            close(gradient, want)
        else:
            close(gradient[..., :-1], want)
            np.testing.assert_array_equal(gradient[..., last], 0, err_msg=str(i))


# Nothing there


@quick
@every_total
def test_nothing_there_on_one_device_or_on_all(case):
    arrays = case.make((0,), np.float32)
    (total, losses), gradients = jax.jit(value_and_gradients(case))(*arrays)
    assert total == 0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)
    if losses.ndim == 0 or case in TOTALS:
        return
    batch, everywhere = PartitionSpec("batch"), PartitionSpec()
    sharded = jax.shard_map(
        lambda *arrays: value_and_gradients(case)(*arrays)[0][1],
        mesh=jax.sharding.Mesh(jax.devices()[:2], "batch"),
        in_specs=tuple(batch if i in case.batched else everywhere for i in range(len(arrays))),
        out_specs=batch,
    )
    assert jax.eval_shape(sharded, *arrays).shape == (0,)


# What is compiled


@every_idle
def test_an_option_at_the_number_where_it_does_nothing_is_absent(case):
    idle = {name: number for name, number in IDLE.items() if takes(case, name)}
    arrays = case.make((3,), np.float32)
    lower = jax.jit(case.function).lower(*arrays).as_text()
    assert jax.jit(functools.partial(case.function, **idle)).lower(*arrays).as_text() == lower


@every_total
def test_nothing_is_leaked(case):
    gradients = jax.jit(lambda *arrays: value_and_gradients(case)(*arrays)[1])
    with jax.checking_leaks():
        gradients.trace(*case.make((2,), np.float32))


@quick
@every_total
@pytest.mark.parametrize("open_sizes", ["rows", "rows and classes"])
def test_exports_with_open_sizes(case, open_sizes):
    classes = 10
    with mock.patch.object(makers, "V", classes):
        arrays = case.make((7,), np.float32)
    rows, number = export.symbolic_shape("N, V")
    sizes = {7: rows} | ({classes: number} if open_sizes != "rows" else {})
    like = [jax.ShapeDtypeStruct(tuple(sizes.get(n, n) for n in x.shape), x.dtype) for x in arrays]
    function = jax.jit(value_and_gradients(case))
    got, want = export.export(function)(*like).call(*arrays), function(*arrays)
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-6)


# Numbers


@quick
@every_total
def test_checks_for_nan_are_silent_at_the_edges(case):
    """And no result is NaN: in value, gradient and forward mode."""

    def everything(*arrays):
        def total(*floats):
            full = list(arrays)
            for i, x in zip(case.differentiable, floats, strict=True):
                full[i] = x
            return jnp.sum(case.function(*full))

        floats = tuple(jnp.asarray(arrays[i]) for i in case.differentiable)
        ones = jax.tree.map(jnp.ones_like, floats)
        gradient = jax.value_and_grad(total, tuple(range(len(floats))))
        return gradient(*floats), jax.jvp(total, floats, ones)[1]

    checked = jax.jit(checkify.checkify(everything, errors=checkify.float_checks))
    arrays = case.make((6,), np.float32, instead=makers.EDGES)
    if makers.mask in case.makers or makers.class_mask in case.makers:
        mask = next(i for i, make in enumerate(case.makers) if arrays[i].dtype == bool)
        arrays[mask][1] = False
        arrays[0][1] = -np.inf
    error, results = checked(*arrays)
    error.throw()
    for x in jax.tree.leaves(results):
        assert not np.any(np.isnan(x))


@every_total
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_arrays_made_in_the_program_are_rounded_as_their_dtype_says(case, dtype):
    """Not in one use of an array and left wide in another, as XLA may do: jit changes nothing."""
    wide = case.make((4,), np.float32)
    floating = [i for i, x in enumerate(wide) if x.dtype == np.float32]
    both = value_and_gradients(case)

    def scaled(arrays):
        arrays = list(arrays)
        for i in floating:
            arrays[i] = (arrays[i] * np.float32(0.9)).astype(dtype)
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
    with jax.enable_x64(True):
        wide = case.make((3,), np.float64)
        floating = [i for i, x in enumerate(wide) if x.dtype == np.float64]
        narrow = tuple(x.astype(np.float32) if i in floating else x for i, x in enumerate(wide))
        exact = tuple(x.astype(np.float64) if i in floating else x for i, x in enumerate(narrow))
        want = jax.jit(case.function)(*exact)
        for i in floating:
            if case.makers[i] in (makers.fraction, makers.positive, makers.class_weights):
                continue
            mixed = (*narrow[:i], exact[i], *narrow[i + 1 :])
            got = jax.jit(case.function)(*mixed)
            assert got.dtype == np.float64
            np.testing.assert_allclose(got, want, rtol=1e-12)


@quick
@every_total
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float4_e2m1fn"])
def test_the_narrowest_floats_are_numbers_like_others(case, dtype):
    narrow = case.make((4,), jnp.dtype(dtype))
    wide = tuple(x.astype(np.float32) if x.dtype == dtype else x for x in narrow)
    np.testing.assert_allclose(case.function(*narrow), case.function(*wide), rtol=1e-6, atol=1e-7)
