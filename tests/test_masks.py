"""Dropping is removing, reducing is reducing the unreduced: laws of every loss of the table."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jaxent.core import head
from tests import makers
from tests.cases import CASES
from tests.laws import (
    as_parameter,
    every_total,
    of_every,
    takes,
    unoptimized,
    value_and_gradients,
)
from tests.totals import TOTALS

every_reduced = of_every(CASES, lambda case: takes(case, "reduction"))
MASKED = [case for case in CASES + TOTALS if takes(case, "where")]
WEIGHTED = [case for case in MASKED if makers.weights in case.makers]
every_masked_by_class = of_every(
    CASES,
    lambda case: (
        takes(case, "where") and takes(case, "axis") and makers.features not in case.makers
    ),
)
every_biased = of_every(CASES + TOTALS, lambda case: makers.bias in case.makers)


def with_mask(case, arrays, where):
    """The arrays and keywords of a call that drops what the mask leaves out."""
    if "where" not in case.keywords:
        return arrays, {"where": where}
    i = len(arrays) - len(case.keywords) + case.keywords.index("where")
    return (*arrays[:i], where, *arrays[i + 1 :]), {}


@unoptimized
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


MASKS = makers.mask, makers.class_mask


@unoptimized
@pytest.mark.parametrize(
    ("case", "by"),
    [as_parameter(case, "where") for case in MASKED]
    + [as_parameter(case, "weights") for case in WEIGHTED],
)
def test_dropping_rows_is_removing_them(case, by):
    """In value and gradient, whatever is there. A weight of 0 drops as a mask does."""
    arrays, keep = case.make((4,), np.float32), np.array([True, False, True, True])
    where = next((x for x, make in zip(arrays, case.makers, strict=True) if make in MASKS), keep)
    where = where.copy()
    where[1] = by == "weights"
    held = [x.copy() for x in arrays]
    for i in case.batched:
        if case.makers[i] is makers.weights and by == "weights":
            held[i][1] = 0
        elif case.makers[i] not in MASKS:
            held[i][1] = np.nan if held[i].dtype == np.float32 else -100
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


@unoptimized
@every_masked_by_class
@pytest.mark.parametrize("rows", [1, 3], ids=["for all rows", "for each row"])
def test_dropping_a_class_is_removing_it(case, rows):
    """In value and gradient, whatever is there; label mass on the class goes with it."""
    arrays, dropped = case.make((3,), np.float32), 1
    keep = np.arange(makers.V) != dropped
    numbers = makers.classes, makers.few_classes
    labels = [i for i, make in enumerate(case.makers) if make in numbers]
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


@unoptimized
@every_biased
@pytest.mark.parametrize("small", [2**22, 0], ids=["at once", "in blocks"])
def test_a_class_of_bias_minus_infinity_is_removed_whatever_its_kernel_holds(
    case, small, monkeypatch
):
    monkeypatch.setattr(head, "_SMALL_KERNEL", small)
    jax.clear_caches()
    arrays = case.make((3,), np.float32)
    held, left = [x.copy() for x in arrays], list(arrays)
    last = slice(-1, None)
    for i, make in enumerate(case.makers):
        if make in (makers.bias, makers.kernel, makers.class_weights):
            left[i] = arrays[i][..., :-1]
        if make is makers.kernel:
            held[i][..., last] = [[np.nan], [np.inf], [-np.inf]]
        elif make is makers.tied_kernel:
            left[i] = arrays[i][:-1]
            held[i][last] = [[np.nan, np.inf, -np.inf]]
        elif make is makers.bias:
            held[i][last] = -np.inf
        elif make in (makers.classes, makers.few_classes):
            arrays[i][arrays[i] == makers.V - 1] = 0
            held[i] = left[i] = arrays[i]
        elif make is makers.distributions:
            held[i][..., last] = 0
            left[i] = arrays[i][..., :-1]
    both = jax.jit(value_and_gradients(case))
    (_, losses), gradients = both(*held)
    (_, left_losses), wanted = both(*left)
    close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6)
    close(losses, left_losses)
    for i, gradient, want in zip(case.differentiable, gradients, wanted, strict=True):
        assert np.all(np.isfinite(gradient))
        if case.makers[i] is makers.tied_kernel:
            gradient, want = gradient.T, want.T
        if np.shape(gradient) == np.shape(want):
            close(gradient, want)
        else:
            close(gradient[..., :-1], want)
            np.testing.assert_array_equal(gradient[..., last], 0, err_msg=str(i))


@unoptimized
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
