"""Rows of classes, some of them dropped."""

import functools
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxent.core.mesh import AxisName, count_over, first_over, select, sum_over
from jaxent.core.sums import row_sum


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "classes", "kept"),
    meta_fields=("axis_name",),
)
@dataclass(frozen=True)
class Rows:
    """Values (..., V), and which classes (..., V) and which rows (...) of them are kept.

    None keeps all. The arrays stay as they came, in their own dtype, since they are what reverse
    mode keeps; what is dropped is taken out where they are used. Inside `shard_map`, `axis_name`
    is the mesh axis over which the classes are split: the rows are the same on all its devices, and
    each has some of their classes.
    """

    values: Array
    classes: Array | None = None
    kept: Array | None = None
    axis_name: AxisName = None

    def only(self, kept: Array) -> "Rows":
        """The same, keeping no row that is not in `kept`."""
        return replace(self, kept=kept if self.kept is None else self.kept & kept)

    def without_classes(self, dtype: DTypeLike) -> Array:
        """The values in a dtype, −inf in the classes dropped. What is in a row dropped stays."""
        x = self.values.astype(dtype)
        return x if self.classes is None else select(self.classes, x, -jnp.inf)

    def logits(self, dtype: DTypeLike) -> Array:
        """The values in a dtype, −inf in the classes dropped and 0 in the rows dropped."""
        return self.zeroed(self.without_classes(dtype))

    def zeroed(self, x: Array) -> Array:
        """Any (..., V), 0 in the rows dropped."""
        zero = jnp.zeros((), x.dtype)
        return x if self.kept is None else select(self.kept[..., None], x, zero)

    def removed(self, x: Array) -> Array:
        """Any (..., V), 0 in the classes and in the rows dropped."""
        zero = jnp.zeros((), x.dtype)
        return self.zeroed(x if self.classes is None else select(self.classes, x, zero))

    def moving(self, tangent: Array, dtype: DTypeLike) -> Array:
        """The tangent of the values in a dtype, 0 in the classes dropped."""
        tangent = tangent.astype(dtype)
        return tangent if self.classes is None else select(self.classes, tangent, 0)

    def total(self, x: Array) -> Array:
        """Σ x over the classes of each row."""
        return sum_over(self.axis_name, row_sum(x))

    def summed(self, x: Array) -> Array:
        """Σ x over the classes of each row, 0 in the rows dropped."""
        # Selected after the sum: transposed, that is one selection a row and not one a class.
        total = sum_over(self.axis_name, jnp.sum(x, axis=-1))
        return total if self.kept is None else select(self.kept, total, 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., V), with the classes of all devices."""
        return *self.values.shape[:-1], self.class_count

    @property
    def class_count(self) -> int:
        """V, dropped classes and those of other devices included."""
        return count_over(self.axis_name, self.values.shape[-1])

    def own(self, y: Array) -> Array:
        """Class numbers of rows counted from the first class here, and V if they are not here."""
        if self.axis_name is None:
            return y
        here = self.values.shape[-1]
        y = y - first_over(self.axis_name, here)
        return select((y >= 0) & (y < here), y, here)

    def of_label(self, x: Array, own: Array) -> Array:
        """x (...) from the device that has the label."""
        if self.axis_name is None:
            return x
        return sum_over(self.axis_name, select(own < self.values.shape[-1], x, 0))

    def class_weights(self, weights: Array | None, dtype: DTypeLike) -> Array:
        """Weights of classes (V,), or 1; 0 for classes dropped. Broadcasts against the values."""
        if weights is None:
            by_class = jnp.ones((1,) * self.values.ndim, dtype)
        else:
            by_class = jnp.expand_dims(weights.astype(dtype), range(self.values.ndim - 1))
        return by_class if self.classes is None else select(self.classes, by_class, 0)

    def class_mass(self, weights: Array | None, dtype: DTypeLike) -> Array:
        """The sum over the classes kept of their weights (V,), or how many there are."""
        if weights is None:
            return self.kept_count(dtype)
        return self.total(self.class_weights(weights, dtype))

    def kept_count(self, dtype: DTypeLike) -> Array:
        """How many classes each row keeps, 1 for a dropped row. Broadcasts against rows."""
        if self.classes is None:
            # No sum of ones: XLA would fold it when it compiles, a minute for ten million classes.
            count = jnp.asarray(self.class_count, dtype)
            return count.reshape((1,) * (self.values.ndim - 1))
        here = jnp.sum(self.classes, axis=-1, dtype=jnp.int32)
        # Devices add floats, so that the sum joins those of the exponentials in one message.
        return jnp.maximum(sum_over(self.axis_name, here.astype(dtype)), 1)
