"""What tests of laws over the table of losses share: which cases a law is of, and derivatives."""

import inspect

import jax
import jax.numpy as jnp
import pytest

from tests.cases import CASES, WITH_ALL_OPTIONS
from tests.totals import TOTALS

# Every loss once, with all its options; those of a head reduced as well.
MAIN = WITH_ALL_OPTIONS + TOTALS
# These laws do not depend on XLA's optimisations. The Makefile turns them off to save time.
unoptimized = pytest.mark.unoptimized


def takes(case, name):
    """Whether the loss has such an argument."""
    return name in inspect.signature(case.loss).parameters


def of_every(cases, condition=lambda case: True):
    """A test for each of the cases for which a condition holds."""
    return pytest.mark.parametrize("case", [as_parameter(c) for c in cases if condition(c)])


def as_parameter(case, *others, main=MAIN):
    """The parameters of a test, which `make test-all` alone runs unless the case is a main one."""
    name = "-".join((case.name, *map(str, others)))
    marks = () if case in main else pytest.mark.exhaustive
    return pytest.param(case, *others, id=name, marks=marks)


def mainly(main, *others):
    """Values of a parameter, of which `make test` tries the main ones."""
    marked = (pytest.param(x, marks=pytest.mark.exhaustive) for x in others if x not in main)
    return [*main, *marked]


every_loss, every_total = of_every(CASES), of_every(CASES + TOTALS)


def by_floats(case, arrays, function=None, **keywords):
    """The losses as a function of their differentiable arrays, and those arrays."""

    def losses(*floats):
        full = list(arrays)
        for i, x in zip(case.differentiable, floats, strict=True):
            full[i] = x
        return (function or case.function)(*full, **keywords)

    return losses, tuple(jnp.asarray(arrays[i]) for i in case.differentiable)


def value_and_gradients(case):
    """The sum of the losses and the losses, and the gradients of the sum."""

    def both(*arrays, **keywords):
        losses, floats = by_floats(case, arrays, **keywords)

        def total(*floats):
            made = losses(*floats)
            return jnp.sum(made), made

        return jax.value_and_grad(total, tuple(range(len(floats))), has_aux=True)(*floats)

    return both
