"""The class of the largest logit of a row."""

import jax.numpy as jnp
from jax import Array, lax

from jaxent.core.mesh import first_over, select
from jaxent.core.rows import Rows


def argmax(rows: Rows, m: Array) -> Array:
    """The first class at the maximum m of each row, of rows with all classes; 0 if dropped."""
    best = jnp.argmax(rows.values, axis=-1).astype(jnp.int32)
    if rows.axis_name is not None:
        found = jnp.max(rows.values, axis=-1).astype(m.dtype)
        here = (found == m) | jnp.isnan(found)
        first = first_over(rows.axis_name, rows.values.shape[-1])
        best = lax.pmin(select(here, first + best, rows.class_count - 1), rows.axis_name)
    return best if rows.kept is None else select(rows.kept, best, 0)
