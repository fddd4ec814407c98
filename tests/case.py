"""A row of the table of losses."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tests.makers import (
    V,
    bias,
    class_mask,
    class_weights,
    classes,
    few_classes,
    fraction,
    kernel,
    key_mask,
    mask,
    positive,
    tied_kernel,
)

TAIL = ("where", "weights")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    function: Callable  # of the arrays, and keywords of the loss
    makers: tuple[Callable, ...]  # of each array, for a batch of a shape
    keywords: tuple[str, ...]  # of the arrays that are passed by name, which come last
    elementwise: bool  # a loss per element, rather than per row of classes
    loss: Callable  # the public function

    @property
    def differentiable(self) -> tuple[int, ...]:
        """Which arrays are floating and differentiated."""
        integral = {classes, few_classes, mask, class_mask, key_mask}
        return tuple(i for i, make in enumerate(self.makers) if make not in integral)

    @property
    def batched(self) -> tuple[int, ...]:
        """Which arrays have the batch in front."""
        unbatched = {kernel, tied_kernel, bias, class_weights, fraction, positive, key_mask}
        return tuple(i for i, make in enumerate(self.makers) if make not in unbatched)

    def make(self, batch: tuple[int, ...], dtype, seed: int = 0, instead=None) -> tuple:
        """Random arrays; `instead` has other makers in place of some."""
        rng = np.random.default_rng(seed)
        makers = (instead.get(make, make) if instead else make for make in self.makers)
        arrays = (np.asarray(make(rng, batch)) for make in makers)
        return tuple(x.astype(dtype) if x.dtype == np.float64 else x for x in arrays)


def case(name, function, makers, keywords=(), *, elementwise=False, loss=None):
    """A case whose arrays come from `makers`, those behind the positional ones by `keywords`.

    The function calls the public `loss`, and is it where that is not said.
    """
    loss = loss or getattr(function, "func", function)
    positional = len(makers) - len(keywords)

    def call(*arrays, **further):
        named = dict(zip(keywords, arrays[positional:], strict=True))
        return function(*arrays[:positional], **named, **further)

    return Case(name, call, tuple(makers), tuple(keywords), elementwise, loss)


def sum_of(stats):
    """Every statistic. `sum_nll` is of the size of the others, lest its rounding be theirs."""
    return stats.lse + stats.nll + stats.miss + stats.sum_nll / V + stats.entropy
