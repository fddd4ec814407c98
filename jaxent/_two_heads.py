"""What the losses of a student's linear head and a teacher's have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxent import _heads
from jaxent._declare import Reduction
from jaxent._heads import Options, RowInputs
from jaxent._inputs import expect_split, option
from jaxent._labelled import with_class_numbers
from jaxent._reduction import Reduced
from jaxent.core import formulas
from jaxent.core.dtypes import compute_dtype, widen_both
from jaxent.core.head import Head
from jaxent.core.mesh import AxisName
from jaxent.core.rows import Rows
from jaxent.core.xlogy import weigh

# A divergence of the student's rows and the teacher's.
Divergence = Callable[[Rows, Rows, Options], Array]
# Features, kernel, bias and axis.
Given = tuple[ArrayLike, ArrayLike, ArrayLike | None, int]


def prepare_heads(
    student: Given, teacher: Given, operand_dtype: Any, axis_name: AxisName
) -> tuple[Head, Head]:
    """Validates features, kernel, bias and axis of both heads, whose logits have one shape."""
    heads = (
        _heads.prepare_head(*student, operand_dtype),
        _heads.prepare_head(*teacher, operand_dtype, "target_"),
    )
    shape, target_shape = (
        (*jnp.shape(given[0])[:-1], head.classes)
        for given, head in zip((student, teacher), heads, strict=True)
    )
    if target_shape != shape:
        raise ValueError(
            "target_features and target_kernel must have logits of the shape"
            f" {shape} of those of features and kernel, got {target_shape}"
        )
    for name, head in zip(("kernel", "target_kernel"), heads, strict=True):
        expect_split(name, head.kernel, axis_name)
    return heads


class RowArguments(NamedTuple):
    """Shape, mask, weights and labels of the rows."""

    shape: tuple[int, ...]
    where: ArrayLike | None
    weights: ArrayLike | None
    labels: ArrayLike | None
    label_weight: ArrayLike | None


def reduced(
    divergence: Divergence,
    axis_name: AxisName,
    heads: tuple[Head, Head],
    rows: RowArguments,
    named: dict[str, ArrayLike | None],
    max_logits_bytes: int | None,
    reduction: Reduction,
) -> Reduced:
    """The divergences of rows, with the cross-entropy of their labels where they have some."""
    if rows.labels is None and rows.label_weight is not None:
        raise ValueError("label_weight must be None without labels")
    dtype = compute_dtype(*heads[0].arrays, *heads[1].arrays)
    named = named | {"label_weight": rows.label_weight}
    options = {name: option(name, value, dtype) for name, value in named.items()}
    inputs = _heads.prepare_row_inputs(rows.shape, rows.where, rows.weights)
    if rows.labels is not None:
        labels = rows.shape, jnp.asarray(rows.labels), None, axis_name
        inputs = with_class_numbers(inputs, heads[0], *labels)
    formula = partial(_losses, divergence, axis_name)
    arguments = heads, rows.shape, inputs, options
    return _heads.reduced_losses(formula, *arguments, max_logits_bytes, reduction)[0]


def _losses(
    divergence: Divergence,
    axis_name: AxisName,
    z: tuple[Array, ...],
    inputs: RowInputs,
    options: Options,
) -> tuple[Array, None]:
    """The divergences at the temperature, plus the weighted cross-entropies at temperature 1."""
    student, teacher = (
        _heads.capped_rows(logits, options[name], axis_name)
        for logits, name in zip(widen_both(*z), ("softcap", "target_softcap"), strict=True)
    )
    temperature = options["temperature"]
    tempered = student.at_temperature(temperature), teacher.at_temperature(temperature)
    losses = divergence(*tempered, options)
    if inputs.labels is None:
        return losses, None
    ce = formulas.cross_entropy(student, inputs.labels, None, None, None)
    weight = options["label_weight"]
    return losses + (ce if weight is None else weigh(weight, ce)), None
