"""A loss of the user's own on a linear head, as a formula of the statistics of its rows.

The formula is traced for one chunk of rows, to a jaxpr. Arrays that it refers to from outside
become arguments of that jaxpr, so they may be traced and have gradients. The jaxpr also tells which
statistics the formula uses. The others are not computed.
"""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxent import _heads, _labelled
from jaxent._declare import SOFTCAP, TEMPERATURE, Reduction, loss
from jaxent._heads import Options, RowInputs
from jaxent._inputs import fill_dropped
from jaxent.core.chunked import KEPT_GRADIENTS, rows_of_a_chunk
from jaxent.core.dtypes import widen
from jaxent.core.mesh import AxisName, names_of, select, varying, varying_over
from jaxent.core.rows import Rows
from jaxent.core.statistics import STATISTICS, statistics
from jaxent.core.stats import SoftmaxStats

Formula = Callable[..., Any]


def linear_softmax_loss(
    formula: Formula,
    features: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    *rows: ArrayLike,
    has_aux: bool = False,
    label_probs: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    softcap: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    max_logits_bytes: int | None = None,
    operand_dtype: DTypeLike | None = None,
    axis: int = -1,
    axis_name: AxisName = None,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduction: Reduction = "none",
) -> Any:
    r"""A loss of your own on a linear head, as a formula of the statistics of each row.

    Use it for PPO, GRPO, an entropy bonus, or cross-entropy with numbers to log. Your formula needs
    no derivative rule. Reduced to a number it takes the three matrix products and the memory of
    `linear_softmax_cross_entropy`. Statistics that the formula does not use are not computed,
    unless it is a jitted function.

    Args:
      formula: `formula(stats, *rows) -> losses`, called for one chunk of n flattened rows. `stats`
        is a `SoftmaxStats` whose fields have the shape `(n,)`. Each of `rows` has `(n,)` or
        `(n, M)`, and the losses have `(n,)`. A loss must depend on its own row alone. Pass every
        array with a value per row in `rows`, labels too. The formula may close over other arrays,
        traced ones too. Values that are not traced are constants of the compiled program. Under
        `sharded`, and inside `jax.shard_map`, the formula must not close over a traced array:
        broadcast it to the rows and pass it in `rows`. If the formula is the same function object
        in every call, and closes over no traced array, eager calls compile once.
      features: `(..., D)` floating.
      kernel: `(D, V)` floating, or `(V, D)` with `axis=0`.
      labels: `(...)` integers in [0, V), or floating distributions `(..., V)`.
      *rows: arrays `(...)` or `(..., M)`, the further arguments of the formula, such as advantages.
        Floating ones are differentiable.
      has_aux: True if the formula returns `(losses, aux)`, as for `jax.value_and_grad`. `aux` is a
        tree of arrays `(n, ...)`. They are not reduced and have no derivative.
      label_probs: `(..., K)`, with labels `(..., K)`; see
        `softmax_cross_entropy_with_integer_labels`.
      bias: `(V,)` floating. A bias of −inf excludes a class.
      softcap: c > 0. Replaces z by c · tanh(z/c).
      temperature: T > 0. Divides the soft-capped logits.
      max_logits_bytes: the budget of one chunk; see `linear_softmax_cross_entropy`.
      operand_dtype: the dtype of the operands of products; see `linear_softmax_cross_entropy`.
      axis: the axis of the kernel's classes.
      axis_name: the mesh axis that shards the classes inside `jax.shard_map`; see [`jaxent`][].
      where: `(...)` boolean, False for rows to drop. `aux` is 0 in dropped rows.
      weights: `(...)`, one per row.
      reduction: see [`jaxent`][]. "none" takes one more matrix product to differentiate.

    Returns:
      `(...)`, or the result of `reduction`. With `has_aux`, the pair of that and `aux`, whose
      arrays have the shape `(...)` in front.

    Raises:
      TypeError, ValueError: as `linear_softmax_cross_entropy`, and if the formula returns anything
      else.

    Examples:
      The clipped policy gradient of PPO and GRPO, with the entropy to log:

      >>> import jax
      >>> import jax.numpy as jnp
      >>> import jaxent
      >>> def clipped(stats, old_log_probs, advantages):
      ...     ratio = jnp.exp(-stats.nll - old_log_probs)
      ...     gains = ratio * advantages, jnp.clip(ratio, 0.8, 1.2) * advantages
      ...     return -jnp.minimum(*gains), {"entropy": stats.entropy}
      >>> features, kernel = jnp.eye(2), jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
      >>> tokens, old, advantages = jnp.array([0, 1]), jnp.array([-0.3, -1.5]), jnp.array([1.0, -1])
      >>> def mean(features, kernel):
      ...     return jaxent.linear_softmax_loss(
      ...         clipped, features, kernel, tokens, old, advantages, has_aux=True, reduction="mean"
      ...     )
      >>> (loss, aux), gradients = jax.value_and_grad(mean, (0, 1), has_aux=True)(features, kernel)
      >>> print(loss, aux["entropy"])
      -0.0562 [0.6656 0.9753]

    Numerics, Differentiable: as `linear_softmax_cross_entropy`, as far as the formula is.

    References: Schulman et al., "Proximal policy optimization algorithms", 2017; Shao et al.,
    "DeepSeekMath", 2024 (GRPO).
    """
    options = {
        "label_probs": label_probs,
        "bias": bias,
        "softcap": softcap,
        "temperature": temperature,
        "max_logits_bytes": max_logits_bytes,
        "operand_dtype": operand_dtype,
        "axis": axis,
        "axis_name": axis_name,
        "where": where,
        "weights": weights,
        "reduction": reduction,
    }
    return of_formula(formula, has_aux, len(rows))(features, kernel, labels, *rows, **options)


# A reference to each formula, and its programs. They refer to it weakly, and live as long as it
# does.
_PROGRAMS: weakref.WeakKeyDictionary[Formula, tuple[Any, dict[Any, Any]]] = (
    weakref.WeakKeyDictionary()
)


def of_formula(formula: Formula, has_aux: bool, n: int) -> Callable[..., Any]:
    """The loss of a formula of so many further rows, as a function of arrays and options."""
    if not callable(formula):
        raise TypeError(f"formula must be a function of SoftmaxStats, got {formula!r}")
    if not isinstance(has_aux, bool):
        raise TypeError(f"has_aux must be True or False, got {has_aux!r}")
    try:
        refer, programs = _PROGRAMS.setdefault(formula, (weakref.ref(formula), {}))
    except TypeError:  # such an object has no weak reference or no hash
        refer, programs = (lambda: formula), {}
    if (has_aux, n) not in programs:
        forget = partial(programs.pop, (has_aux, n), None)
        programs[has_aux, n] = _declared(refer, has_aux, n, forget)
    return programs[has_aux, n]


def _declared(
    refer: Callable[[], Any], has_aux: bool, n: int, forget: Callable[[], Any]
) -> Callable[..., Any]:
    names = [f"rows_{i}" for i in range(n)]

    def of_arrays(features, kernel, labels, *, max_logits_bytes, reduction, **options):
        given = [jnp.asarray(options.pop(name)) for name in names]
        head = _labelled.prepare(features, kernel, labels, **options)
        for name, x in zip(names, given, strict=True):
            _expect_rows(name, x, head.shape)
        # A row whose loss is not used is an ordinary one, as in `_EQUAL_CLASSES`.
        ordinary = head.inputs.feature_mask
        further = tuple(fill_dropped(_heads.flat(x, head.shape), ordinary, 1) for x in given)
        head = head._replace(inputs=head.inputs._replace(further=further))
        losses, captured = _traced(refer(), has_aux, head, max_logits_bytes)
        if captured:
            # The formula may refer to another traced array at its next call.
            forget()
        options = {"captured": captured}
        sums = "sum_nll" in losses.keywords["used"]
        reduced, aux = head.reduced(losses, options, max_logits_bytes, reduction, sums)
        return (reduced, aux) if has_aux else reduced

    kinds = inspect.Parameter
    parameters = inspect.signature(linear_softmax_loss).parameters
    positional = ["features", "kernel", "labels", *names]
    known = [kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in positional]
    known += [p for p in parameters.values() if p.kind == p.KEYWORD_ONLY and p.name != "has_aux"]
    vars(of_arrays)["__signature__"] = inspect.Signature(known)
    of_arrays.__name__ = "linear_softmax_loss"
    return loss(KEPT_GRADIENTS, softcap=SOFTCAP, temperature=TEMPERATURE)(of_arrays)


def _expect_rows(name: str, x: Array, shape: tuple[int, ...]) -> None:
    if x.shape[: len(shape)] != shape or x.ndim > len(shape) + 1:
        raise ValueError(f"{name} must have the shape {shape} or {shape} + (M,), got {x.shape}")


def _traced(
    formula: Formula,
    has_aux: bool,
    head: _labelled.LabelledHead,
    max_logits_bytes: int | None,
) -> tuple[partial[Any], Any]:
    """The formula as a function of rows, and the arrays that it refers to."""
    size = rows_of_a_chunk(head.chunk(max_logits_bytes), head.inputs.labels.shape[0])
    # Dummy rows that vary over the same mesh axes as those of a chunk.
    like = {name: jnp.zeros(size, head.head.dtype) for name in STATISTICS}
    like["predicted"] = jnp.zeros(size, jnp.int32)
    further = [jnp.zeros((size, *x.shape[1:]), x.dtype) for x in head.inputs.further]
    axes = varying(head.head, head.inputs) - names_of(head.axis_name)
    rows = varying_over(axes, (SoftmaxStats(**like), *further))
    result: Any
    # JAX caches jaxprs by function object, and an earlier one may hold other tracers. So this is an
    # object of this call alone.
    closed, result = jax.make_jaxpr(partial(formula), return_shape=True)(*rows)
    _expect_result(result, has_aux, size)
    variables = closed.jaxpr.invars[: len(STATISTICS)]
    read = {v for eqn in closed.jaxpr.eqns for v in eqn.invars if not hasattr(v, "val")}
    read |= {v for v in closed.jaxpr.outvars if not hasattr(v, "val")}
    used = tuple(name for name, v in zip(STATISTICS, variables, strict=True) if v in read)
    traced = [isinstance(x, jax.core.Tracer) for x in closed.consts]
    captured = [x for x, moves in zip(closed.consts, traced, strict=True) if moves]
    for x in captured:
        if varying(x) != axes:
            raise ValueError(
                "formula must close over no traced array that is replicated in a jax.shard_map:"
                f" broadcast it to the rows, and pass it after labels, got {x}"
            )
    # The derivative rule keeps the jaxpr, which must hold no tracer: arguments replace them.
    evaluate = partial(jax.core.eval_jaxpr, closed.jaxpr)
    free = jax.make_jaxpr(evaluate)(closed.consts, *jax.tree.leaves(rows))
    constants = tuple(
        x.dtype if moves else x for x, moves in zip(closed.consts, traced, strict=True)
    )
    known = free.jaxpr, tuple(traced), constants, jax.tree.structure(result), has_aux
    wide = [widen(x) if jnp.issubdtype(x.dtype, jnp.floating) else x for x in captured]
    return partial(_losses, *known, used=used), wide


def _expect_result(result: Any, has_aux: bool, size: int) -> None:
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(
            "formula must return a pair of losses and auxiliary arrays where has_aux=True, got"
            f" {type(result).__name__}"
        )
    losses: Any = result[0] if has_aux else result
    if not hasattr(losses, "shape") or not jnp.issubdtype(losses.dtype, jnp.floating):
        hint = "" if has_aux else ". For a pair of losses and auxiliary arrays, pass has_aux=True"
        raise TypeError(f"formula must return one floating array, got {losses}{hint}")
    if losses.shape != (size,):
        raise ValueError(
            f"formula must return one loss for each row, of shape {(size,)}, got {losses.shape}"
        )
    for x in jax.tree.leaves(result):
        if x.shape[:1] != (size,):
            raise ValueError(
                f"aux must have the {size} rows of a chunk in front, got shape {x.shape}"
            )


# What a formula receives in a row whose result is not used. It is an ordinary row, lest a
# derivative of the formula be infinite there: 0 times it would be NaN.
_EQUAL_CLASSES = {
    "max": 0.0,
    "rest": 1.0,
    "nll": math.log(2),
    "miss": 0.5,
    "sum_nll": 2 * math.log(2),
    "entropy": math.log(2),
    "predicted": 0,
}


def _losses(
    jaxpr: Any,
    traced: tuple[bool, ...],
    constants: tuple[Any, ...],
    tree: Any,
    has_aux: bool,
    rows: Rows,
    inputs: RowInputs,
    options: Options,
    *,
    used: tuple[str, ...],
) -> tuple[Array, Any]:
    """The losses and auxiliary arrays of the formula that `_traced` has made a jaxpr of."""
    rows = rows if inputs.kept is None else rows.only(inputs.kept)
    stats = statistics(rows, _labelled.target(rows, inputs), inputs.valid, used)
    ordinary = inputs.feature_mask
    if ordinary is not None:
        filled = {n: select(ordinary, getattr(stats, n), x) for n, x in _EQUAL_CLASSES.items()}
        stats = SoftmaxStats(**filled)
    captured = iter(options["captured"])
    consts = [
        next(captured).astype(x) if moves else x for x, moves in zip(constants, traced, strict=True)
    ]
    flat = jax.core.eval_jaxpr(jaxpr, (), *consts, *jax.tree.leaves((stats, inputs.further)))
    result = jax.tree.unflatten(tree, flat)
    if not has_aux:
        return result, None
    losses, aux = result
    return losses, jax.tree.map(partial(_nan_outside, inputs.valid), aux)


def _nan_outside(valid: Array | None, x: Array) -> Array:
    """Floating numbers of rows, NaN where the label is no class."""
    if valid is None or not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return select(valid.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.nan)
