"""Rows of classes, some of them dropped."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike


class Rows(NamedTuple):
    """Values (..., V), and which classes (..., V) and which rows (...) of them are kept.

    None keeps all. The arrays stay as they came, in their own dtype, since they are what reverse
    mode keeps; what is dropped is taken out where they are used.
    """

    values: Array
    classes: Array | None = None
    kept: Array | None = None

    def only(self, kept: Array) -> "Rows":
        """The same, keeping no row that is not in `kept`."""
        return self._replace(kept=kept if self.kept is None else self.kept & kept)

    def filled(self, dtype: DTypeLike, fill: float) -> Array:
        """The values in a dtype, `fill` in the classes dropped and 0 in the rows dropped."""
        x = self.values.astype(dtype)
        x = x if self.classes is None else jnp.where(self.classes, x, fill)
        return self.zeroed(x)

    def zeroed(self, x: Array) -> Array:
        """Any (..., V), 0 in the rows dropped."""
        return x if self.kept is None else jnp.where(self.kept[..., None], x, 0)
