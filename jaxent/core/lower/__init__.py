"""Work of the size of the logits: sums over the classes of rows, and exponentials.

`plain` defines the functions that platforms compute in different ways. `one_pass` has the sums that
accelerators compute by one reduction, and `cpu` has what XLA's CPU compiler runs faster in
another form. This file dispatches by platform. The derivatives are those of the definitions.
`passes` and `matmul` decide what a program stores.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxent.core.lower import cpu, one_pass, plain
from jaxent.core.lower.matmul import Operand as Operand
from jaxent.core.lower.matmul import add_outer as add_outer
from jaxent.core.lower.matmul import matmul as matmul
from jaxent.core.lower.passes import absolute_again as absolute_again
from jaxent.core.lower.passes import as_rounded as as_rounded
from jaxent.core.lower.passes import finite_again as finite_again
from jaxent.core.lower.passes import in_one_loop as in_one_loop
from jaxent.core.lower.passes import narrow_gradient_in_one_loop as narrow_gradient_in_one_loop
from jaxent.core.lower.passes import power as power
from jaxent.core.lower.passes import probability_again as probability_again
from jaxent.core.lower.passes import reread as reread
from jaxent.core.lower.passes import reread_rows as reread_rows
from jaxent.core.lower.passes import second_pass as second_pass
from jaxent.core.lower.passes import settled as settled
from jaxent.core.lower.plain import is_label as is_label
from jaxent.core.lower.plain import total as plain_total
from jaxent.core.mesh import select
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxSums


def label_sums(rows: Rows, y: Array, w: Array | None, *, moment: bool, reused: bool) -> SoftmaxSums:
    """The sums of rows with a label y, over the local classes.

    `reused` says that a gradient in the same program needs the exponentials again. A CPU stores
    them, an accelerator recomputes them.
    """
    return lax.platform_dependent(
        rows,
        y,
        w,
        cpu=partial(cpu.label_sums, moment=moment, reused=reused),
        default=partial(one_pass.label_sums, moment=moment),
    )


def target_sums(
    rows: Rows, t: Array | None, w: Array | None, *, slack: bool, moment: bool
) -> SoftmaxSums:
    """The sums of rows with a target t (..., V) or without one, over the local classes."""
    return lax.platform_dependent(
        rows,
        t,
        w,
        cpu=partial(cpu.target_sums, slack=slack, moment=moment),
        default=partial(one_pass.target_sums, slack=slack, moment=moment),
    )


@jax.custom_jvp
def other_exps(rows: Rows, y: Array, m: Array) -> Array:
    """exp(z_j − m) of the classes j ≠ y, 0 for y; m is held constant.

    The exponentials of a dropped row are any finite numbers.
    """
    return _on_cpu(cpu.other_exps, plain.other_exps, rows, y, m)


@other_exps.defjvp
def _other_exps_jvp(primals, tangents):
    e, (rows, _, m) = other_exps(*primals), primals
    return e, e * rows.tangent(tangents[0], m)


def label_only(x: Array, y: Array) -> Array:
    """x_y of each row, as a sum over the row."""
    return jnp.sum(select(plain.is_label(x, y), x, 0), axis=-1)


def spread(z: Array, y: Array, probs: Array) -> Array:
    """t_j = Σ_k probs_k [j = y_k] for each class j of z. No class is outside of [0, V)."""
    return _on_cpu(cpu.spread, plain.spread, z, y, probs)


def any_class(classes: Array) -> Array:
    """Whether each row (..., V) of a mask has a True, for V > 0."""
    return _on_cpu(plain.any_class, one_pass.any_class, classes)


@jax.custom_jvp
def row_sum(x: Array) -> Array:
    """Σ_j x_j."""
    return _on_cpu(cpu.row_sum, plain.row_sum, x)


@row_sum.defjvp
def _row_sum_jvp(primals, tangents):
    return row_sum(*primals), plain.row_sum(*tangents)


@jax.custom_jvp
def total(x: Array, kept: Array | None = None) -> tuple[Array, Array | None]:
    """Σ x over all axes, and how many of the mask `kept` are True."""
    return _on_cpu(cpu.total, plain_total, x, kept)


@total.defjvp
def _total_jvp(primals, tangents):
    total_of_x, count = total(*primals)
    count_dot: Any = None if count is None else np.zeros(count.shape, jax.dtypes.float0)
    return (total_of_x, count), (jnp.sum(tangents[0]), count_dot)


def weigh(w: Array, x: Array) -> Array:
    """w · x for x > −inf, with 0 · inf = 0, to be summed. Not to be differentiated."""
    return _on_cpu(cpu.weigh, plain.weigh, w, x)


def cost(t: Array, p: Array, epsilon: Array) -> Array:
    """−t log p for p clipped to [epsilon, 1]. Not to be differentiated."""
    return _on_cpu(cpu.cost, plain.cost, t, p, epsilon)


def entropy_term(p: Array) -> Array:
    """−p log p, to be summed. Not to be differentiated."""
    return _on_cpu(cpu.entropy_term, plain.entropy_term, p)


def _on_cpu(function: Callable[..., Any], otherwise: Callable[..., Any], *arguments: Any) -> Any:
    return lax.platform_dependent(*arguments, cpu=function, default=otherwise)
