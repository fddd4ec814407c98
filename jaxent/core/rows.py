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

    def without_classes(self, dtype: DTypeLike) -> Array:
        """The values in a dtype, −inf in the classes dropped. What is in a row dropped stays."""
        x = self.values.astype(dtype)
        return x if self.classes is None else jnp.where(self.classes, x, -jnp.inf)

    def logits(self, dtype: DTypeLike) -> Array:
        """The values in a dtype, −inf in the classes dropped and 0 in the rows dropped."""
        return self.zeroed(self.without_classes(dtype))

    def zeroed(self, x: Array) -> Array:
        """Any (..., V), 0 in the rows dropped."""
        zero = jnp.zeros((), x.dtype)
        return x if self.kept is None else jnp.where(self.kept[..., None], x, zero)

    def moving(self, tangent: Array, dtype: DTypeLike) -> Array:
        """The tangent of the values in a dtype, 0 in the classes dropped."""
        tangent = tangent.astype(dtype)
        return tangent if self.classes is None else jnp.where(self.classes, tangent, 0)

    def summed(self, x: Array) -> Array:
        """Σ x over the classes of each row, 0 in the rows dropped."""
        # Selected after the sum: transposed, that is one selection a row and not one a class.
        total = jnp.sum(x, axis=-1)
        return total if self.kept is None else jnp.where(self.kept, total, 0)

    def ones(self, dtype: DTypeLike) -> Array:
        """1 for the classes kept and 0 for the others; broadcasts against the values."""
        if self.classes is None:
            return jnp.ones((1,) * (self.values.ndim - 1) + self.values.shape[-1:], dtype)
        return self.classes.astype(dtype)
