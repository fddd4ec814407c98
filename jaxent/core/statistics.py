"""The public statistics of rows with labels of any kind."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxent.core.dense import target_stats
from jaxent.core.exponentials import scaled
from jaxent.core.integer import integer_stats
from jaxent.core.lower import settled
from jaxent.core.mesh import first_over, select
from jaxent.core.rows import Rows
from jaxent.core.stats import SoftmaxStats

STATISTICS = tuple(field.name for field in fields(SoftmaxStats))
_COMPUTED = ("rest", "nll", "miss", "sum_nll", "entropy")


def statistics(
    rows: Rows, labels: Any, valid: Array | None, used: Collection[str] = STATISTICS
) -> SoftmaxStats:
    """The statistics named in `used`; the others are 0, and are not computed.

    `labels` are class indices (...) or distributions (..., V). `nll` and `miss` are NaN in rows
    that are kept but not `valid` (None: all are), and their derivatives are 0.
    """
    w = rows.class_weights(None, rows.dtype) if "sum_nll" in used else None
    entropy = "entropy" in used
    if jnp.issubdtype(labels.dtype, jnp.integer):
        stats = integer_stats(rows, labels, w, entropy=entropy)
    else:
        stats = target_stats(rows, labels, w, miss="miss" in used, entropy=entropy)
    stats = settled(stats)
    found: dict[str, Any] = {name: getattr(stats, name) for name in _COMPUTED}
    # A maximum may skip a NaN. The sum `rest` never does.
    m = select(jnp.isnan(stats.rest), jnp.nan, stats.max)
    found["max"] = rows.only_kept(scaled(m, rows.inverse_temperature))
    if valid is not None:
        invalid = ~valid if rows.kept is None else ~valid & rows.kept
        for name in ("nll", "miss"):
            found[name] = None if found[name] is None else select(invalid, jnp.nan, found[name])
    if "predicted" in used:
        found["predicted"] = _argmax(rows, m)
    zeros = {name: jnp.zeros_like(m) for name in STATISTICS}
    zeros["predicted"] = zeros["predicted"].astype(jnp.int32)
    computed = {name: x for name, x in found.items() if name in used and x is not None}
    return SoftmaxStats(**(zeros | computed))


def _argmax(rows: Rows, m: Array) -> Array:
    """The first kept class at the maximum m of each row; 0 if the row is dropped."""
    z = rows.values if rows.classes is None else rows.without_classes(rows.dtype)
    best = jnp.argmax(z, axis=-1).astype(jnp.int32)
    if rows.axis_name is not None:
        found = jnp.max(z, axis=-1).astype(m.dtype)
        here = (found == m) | jnp.isnan(found)
        first = first_over(rows.axis_name, z.shape[-1])
        best = lax.pmin(select(here, first + best, rows.class_count - 1), rows.axis_name)
    return rows.only_kept(best)
