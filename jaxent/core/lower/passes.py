"""What a program recomputes instead of storing it, and what it computes first.

XLA computes an expression once. If two passes over large arrays share one, it stores the result, a
temporary of the arrays' size. To read the arrays again costs less. The functions here make the
expressions of the second pass different to XLA. Each returns the numbers of its argument.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxent.core.rows import Rows
from jaxent.core.tangents import along_moving, moves

T = TypeVar("T")


def reread(arrays: T) -> T:
    """Arguments behind barriers on a CPU: an elementwise rule recomputes, and loads no results."""
    return lax.platform_dependent(arrays, cpu=_behind_barriers, default=_unchanged)


def reread_rows(rows: Rows) -> Rows:
    """Rows with their values behind a barrier on a GPU: each pass of a rule recomputes its terms.

    The mask of classes has no barrier. Behind one, XLA would store a mask (1, V) for every row.
    """
    values = lax.platform_dependent(rows.values, cuda=_behind_barriers, default=_unchanged)
    return replace(rows, values=values)


def settled(by_row: T) -> T:
    """Numbers per row, computed before the formula that follows.

    CPU: XLA would fuse a sum over classes, its formula and the mean over rows into one loop that
    takes up to ten times as long.
    """
    return lax.platform_dependent(by_row, cpu=_behind_barriers, default=_unchanged)


def second_pass(formula: Callable[..., Array]) -> Callable[..., Array]:
    """An elementwise formula whose derivatives are computed in a pass of their own."""
    value = jax.custom_jvp(formula)

    def rule(primals, tangents):
        point = reread(_with_an_axis(primals))
        result = value(*primals)
        directions = tuple(_with_an_axis(x) if moves(x) else x for x in tangents)
        return result, along_moving(formula, point, directions).reshape(result.shape)

    value.defjvp(rule, symbolic_zeros=True)
    return value


def as_rounded(x: Array) -> Array:
    """x as its dtype holds it.

    XLA may leave out the rounding to 16 bits of an array that the same program computes. It may do
    so in one use of the array and not in another. Then a row's label exceeds the row's maximum, and
    equal logits have a divergence.
    """
    return lax.optimization_barrier(x) if _is_narrow(x) else x


def narrow_gradient_in_one_loop(x: Array) -> Array:
    """x. If it has 16 bits or fewer, the gradient by x is computed as `in_one_loop` says."""
    return _gradient_in_one_loop(x) if _is_narrow(x) else x


@jax.custom_jvp
def _gradient_in_one_loop(x: Array) -> Array:
    return x


@_gradient_in_one_loop.defjvp
def _gradient_in_one_loop_jvp(primals, tangents):
    return *primals, in_one_loop(*tangents)


def in_one_loop(x: Array) -> Array:
    """x. A CPU computes short rows in one loop, and stores x once more.

    CPU: XLA compiles a loop over rows of 5 to 15 numbers without vector instructions, if it is a
    long one or its results have 16 bits. So rows are joined along the axis before.
    """
    short = x.ndim > 1 and isinstance(x.shape[-1], int) and 4 < x.shape[-1] < 16
    return lax.platform_dependent(x, cpu=_joined_rows, default=_unchanged) if short else x


def absolute_again(x: Array) -> Array:
    """|x| in a rule whose value has |x|. GPU: XLA then fuses both into one pass without a store."""
    return lax.platform_dependent(x, cpu=jnp.abs, default=lambda x: jnp.maximum(x, -x))


def probability_again(t: Array) -> Array:
    """t ≥ 0 in a rule whose value has t. GPU: as `absolute_again`."""
    return jnp.abs(t)


def finite_again(x: Array) -> Array:
    """x < ∞ in a rule whose value has x. GPU: as `absolute_again`."""
    return jnp.minimum(x, jnp.finfo(x.dtype).max)


def power(base: Array, n: Array) -> Array:
    """base^n, as the square of base^(n/2).

    XLA multiplies for a known exponent of 1, 2 or 3, and takes a root for 1/2. Any other power
    takes ten times as long. The square adds 4 to the fast exponents.
    """
    root = base ** (n / 2)
    return root * root


def _unchanged(arrays: Any) -> Any:
    return arrays


def _behind_barriers(arrays: Any) -> Any:
    # One by one: arrays behind one barrier would have to be sharded alike. A number has
    # none, so that XLA still multiplies by the reciprocal of a constant power of 2.
    return jax.tree.map(lambda x: lax.optimization_barrier(x) if x.ndim else x, arrays)


def _is_narrow(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4


def _joined_rows(x: Array) -> Array:
    # XLA would fuse a reshape alone, and compute x in the shape of its last use. It fuses nothing
    # across a conditional, and removes a conditional unless its condition is behind a barrier.
    true = lax.optimization_barrier(np.True_)
    # Only two axes are joined: devices may shard the others.
    rows = x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
    return lax.cond(true, _unchanged, jnp.negative, rows).reshape(x.shape)


def _with_an_axis(arrays: T) -> T:
    # XLA would share, and store, a constant of both passes if it had one shape in them.
    return jax.tree.map(lambda x: x[None] if x.ndim else x, arrays)
