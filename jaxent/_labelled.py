"""What the losses of one linear head with labels have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _classes, _heads
from jaxent._declare import Reduction
from jaxent._heads import Options, RowInputs
from jaxent._inputs import expect_shape, expect_split, fill_dropped, option
from jaxent._reduction import Reduced
from jaxent.core import formulas
from jaxent.core.head import Head
from jaxent.core.labels import spread
from jaxent.core.mesh import AxisName, count_over
from jaxent.core.rows import Rows

# A formula: rows of logits, the other inputs of the rows, and options, to arrays of the rows.
OfRows = Callable[[Rows, RowInputs, Options], Any]


class LabelledHead(NamedTuple):
    """A linear head with a label for each of its rows."""

    head: Head
    shape: tuple[int, ...]  # of the rows
    inputs: RowInputs
    options: Options  # `softcap` and `temperature`
    axis_name: AxisName

    def reduced(
        self,
        losses: OfRows,
        options: Options,
        max_logits_bytes: int | None,
        reduction: Reduction,
        sums_over_classes: bool = False,
    ) -> tuple[Reduced, Any]:
        """The losses, reduced, and auxiliary arrays; the formula `losses` gives both.

        `sums_over_classes` says that the loss needs a sum over all classes with their weights.
        """
        heads, options = (self.head,), self.options | options
        formula = self._of_logits(losses, sums_over_classes)
        rest = self.shape, self.inputs, options, max_logits_bytes, reduction
        return _heads.reduced_losses(formula, heads, *rest)

    def per_row(self, arrays: OfRows, max_logits_bytes: int | None) -> Any:
        """The arrays of a formula that needs sums over all classes."""
        formula = self._of_logits(arrays, sums_over_classes=True)
        rest = (self.head,), self.shape, self.inputs, self.options
        return _heads.per_row_in_chunks(formula, self.chunk(max_logits_bytes), *rest)

    def chunk(self, max_logits_bytes: int | None) -> int:
        """The most rows whose logits exist at a time."""
        return _heads.rows_per_chunk((self.head,), self.options, max_logits_bytes)

    def _of_logits(self, formula: OfRows, sums_over_classes: bool) -> Any:
        # A bias of −inf excludes a class. Only a sum over all classes notices.
        excludes = sums_over_classes and self.head.bias is not None
        return partial(_of_logits, formula, excludes, self.axis_name)


def prepare(
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *,
    label_probs: ArrayLike | None = None,
    distributions: bool = True,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    axis: int = -1,
    operand_dtype: DTypeLike | None = None,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> LabelledHead:
    """Validates the arguments that the losses of a labelled head share.

    `distributions` says that floating labels (..., V) may be distributions.
    """
    head = _heads.prepare_head(features, kernel, bias, axis, operand_dtype)
    expect_split("kernel", head.kernel, axis_name)
    shape = jnp.shape(features)[:-1]
    inputs = _heads.prepare_row_inputs(shape, where, weights)
    options = {"softcap": softcap, "temperature": temperature}
    options = {name: option(name, value, head.dtype) for name, value in options.items()}
    labels = jnp.asarray(labels)
    floating = labels.ndim == len(shape) + 1 and jnp.issubdtype(labels.dtype, jnp.floating)
    if distributions and floating and label_probs is None:
        expect_shape("labels", labels, (*shape, head.classes), "the logits")
        inputs = inputs._replace(labels=fill_dropped(_heads.flat(labels, shape), inputs.kept, 0))
    else:
        inputs = with_class_numbers(inputs, head, shape, labels, label_probs, axis_name)
    return LabelledHead(head, shape, inputs, options, axis_name)


def with_class_numbers(
    inputs: RowInputs,
    head: Head,
    shape: tuple[int, ...],
    labels: Array,
    label_probs: ArrayLike | None,
    axis_name: AxisName,
) -> RowInputs:
    """The inputs with class indices, or with few of them and their probabilities, validated."""
    classes = count_over(axis_name, head.classes)
    if label_probs is not None:
        kept = None if inputs.kept is None else inputs.kept.reshape(shape)
        y, probs, valid = _classes.prepare_label_probs(
            "features", labels, label_probs, (*shape, classes), kept
        )
        y, probs, valid = (_heads.flat(x, shape) for x in (y, probs.astype(head.dtype), valid))
        return inputs._replace(labels=y, valid=valid, label_probs=probs)
    y, valid = _classes.prepare_integer_labels("features", labels, (*shape, classes), axis=None)
    return inputs._replace(labels=_heads.flat(y, shape), valid=_heads.flat(valid, shape))


def target(rows: Rows, inputs: RowInputs) -> Array:
    """The labels of rows: class indices (N,), or distributions (N, V)."""
    if inputs.label_probs is None:
        return inputs.labels
    return rows.removed(spread(rows, inputs.labels, inputs.label_probs))


def cross_entropy(
    rows: Rows,
    inputs: RowInputs,
    class_weights: Array | None,
    label_smoothing: Array | None,
    z_loss: Array | None,
) -> Array:
    """The cross-entropy with labels of any kind."""
    labels, options = target(rows, inputs), (class_weights, label_smoothing, z_loss)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return formulas.cross_entropy(rows, labels, *options)
    return formulas.distribution_cross_entropy(rows, labels, *options)


def class_vector(head: LabelledHead, class_weights: ArrayLike | None) -> Array | None:
    """The option `class_weights` of a head."""
    size = head.head.classes, head.head.dtype
    return _classes.class_vector("class_weights", class_weights, *size)


def _of_logits(
    formula: OfRows,
    excludes: bool,
    axis_name: AxisName,
    z: tuple[Array, ...],
    inputs: RowInputs,
    options: Options,
) -> Any:
    rows = _heads.capped_rows(z[0], options["softcap"], axis_name)
    rows = rows.at_temperature(options["temperature"])
    return formula(_heads.without_excluded_classes(rows) if excludes else rows, inputs, options)
