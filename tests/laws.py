"""What tests of laws over the table of losses share: which cases a law is of, and derivatives."""

import inspect

import jax
import jax.numpy as jnp
import pytest

from tests.cases import CASES
from tests.totals import TOTALS

# For programs whose speed does not matter: they compile in half the time.
quick = pytest.mark.usefixtures("unoptimized")


def takes(case, name):
    """Whether the loss has such an argument."""
    return name in inspect.signature(case.loss).parameters


def of_every(cases, condition=lambda case: True):
    """A test for each of the cases for which a condition holds."""
    chosen = [case for case in cases if condition(case)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


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
