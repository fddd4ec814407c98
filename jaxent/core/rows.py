"""Rows of classes, some of them dropped."""

import functools
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxent.core.dtypes import compute_dtype
from jaxent.core.exponentials import gaps, gaps_and_exps, scaled
from jaxent.core.mesh import (
    AxisName,
    count_over,
    first_over,
    select,
    sum_over,
    varying,
    varying_over,
)
from jaxent.core.tangents import added, moves

T = TypeVar("T")


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "classes", "kept", "inverse_temperature"),
    meta_fields=("axis_name",),
)
@dataclass(frozen=True)
class Rows:
    """Values (..., V), with masks of the classes (..., V) and rows (...) that are kept.

    A mask of None keeps everything. The arrays stay in the caller's dtype, since they are the
    residuals of reverse mode. The methods apply the masks where a rule uses the values. Inside
    `shard_map`, `axis_name` is the mesh axis that shards the classes: all its devices have the same
    rows, and each has some of their classes.

    With an inverse temperature β the distribution of a row z is softmax(β z).
    """

    values: Array
    classes: Array | None = None
    kept: Array | None = None
    axis_name: AxisName = None
    inverse_temperature: Array | None = None

    def only(self, kept: Array) -> "Rows":
        """The same rows, with those outside of `kept` dropped as well."""
        return replace(self, kept=kept if self.kept is None else self.kept & kept)

    def computed_in(self, dtype: DTypeLike) -> "Rows":
        """The same rows, computed in at least this dtype."""
        values = self.values if self.dtype == dtype else self.values.astype(dtype)
        return replace(self, values=values)

    def at_temperature(self, temperature: Array | None) -> "Rows":
        """The same rows with softmax(values / temperature) as their distribution."""
        if temperature is None:
            return self
        return replace(self, inverse_temperature=_reciprocal(temperature))

    def without_classes(self, dtype: DTypeLike) -> Array:
        """The values in a dtype, −inf in dropped classes. Dropped rows stay as they are."""
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
        """Any (..., V), 0 in dropped classes and dropped rows."""
        zero = jnp.zeros((), x.dtype)
        return self.zeroed(x if self.classes is None else select(self.classes, x, zero))

    def gaps(self, m: Array) -> Array:
        """m − z_j ≥ 0, for the maximum m (...) of each row."""
        return gaps(self.logits(m.dtype), m[..., None])

    def gaps_and_exps(self, m: Array) -> tuple[Array, Array]:
        """β(m − z_j) ≥ 0 and exp(β(z_j − m)) ≤ 1, for the maximum m (...) of each row."""
        return gaps_and_exps(self.logits(m.dtype), m, self.inverse_temperature)

    def move(self) -> bool:
        """Whether these rows, as a tangent, are not zero."""
        return moves(self.values) or moves(self.inverse_temperature)

    def tangent(self, dot: "Rows", m: Array) -> Array:
        """The tangent of β(z_j − m) along that of the rows, m constant; 0 in classes dropped."""
        terms, beta = [], self.inverse_temperature
        if moves(dot.values):
            z_dot = dot.values.astype(m.dtype)
            z_dot = z_dot if self.classes is None else select(self.classes, z_dot, 0)
            terms.append(scaled(z_dot, beta))
        if moves(dot.inverse_temperature):
            z_gaps = self.gaps(m)
            beta_dot: Any = dot.inverse_temperature
            terms.append(-beta_dot * select(jnp.isinf(z_gaps), 0, z_gaps))
        return added(terms)

    def summed(self, x: Array) -> Array:
        """Σ x over the classes of each row, 0 in the rows dropped."""
        return self.of_sums(jnp.sum(x, axis=-1))

    def of_sums(self, x: Array) -> Array:
        """Σ x over the devices that share the classes of each row, 0 in the rows dropped."""
        # The selection follows the sum, so its transpose selects once a row, not once a class.
        return self.only_kept(sum_over(self.axis_name, x))

    def only_kept(self, x: T) -> T:
        """Arrays (...) with 0 in the rows dropped."""
        kept = self.kept
        return x if kept is None else jax.tree.map(lambda x: select(kept, x, 0), x)

    @property
    def dtype(self) -> DTypeLike:
        """The dtype of computation."""
        return compute_dtype(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., V), with the classes of all devices."""
        return *self.values.shape[:-1], self.class_count

    @property
    def class_count(self) -> int:
        """V, dropped classes and those of other devices included."""
        return count_over(self.axis_name, self.values.shape[-1])

    def own(self, y: Array) -> Array:
        """Labels as indices into the local classes, their number for a label on another device."""
        if self.axis_name is None:
            return y
        here = self.values.shape[-1]
        y = y - first_over(self.axis_name, here)
        return select((y >= 0) & (y < here), y, here)

    def class_weights(self, weights: Array | None, dtype: DTypeLike) -> Array:
        """Weights of classes (V,), or 1; 0 for classes dropped. Broadcasts against the values."""
        if weights is None:
            by_class = jnp.ones((1,) * self.values.ndim, dtype)
        else:
            by_class = jnp.expand_dims(weights.astype(dtype), range(self.values.ndim - 1))
        return by_class if self.classes is None else select(self.classes, by_class, 0)

    def mass(self, w: Array, m: Array) -> Array:
        """Σ w_j over the classes here, of the shape of m, for w that broadcasts against values."""
        if w.shape[-1] == 1:
            # W = V w of equal weights, without a sum of V constants.
            mass = w[..., 0] * jnp.asarray(self.values.shape[-1], w.dtype)
        else:
            mass = jnp.sum(w, axis=-1)
        return varying_over(varying(m), jnp.broadcast_to(mass, m.shape))

    def kept_count(self, dtype: DTypeLike) -> Array:
        """How many classes each row keeps, 1 for a dropped row. Broadcasts against rows."""
        if self.classes is None:
            count = jnp.asarray(self.class_count, dtype)
            return count.reshape((1,) * (self.values.ndim - 1))
        here = jnp.sum(self.classes, axis=-1, dtype=jnp.int32)
        # Devices add floats, so that the sum joins those of the exponentials in one message.
        return jnp.maximum(sum_over(self.axis_name, here.astype(dtype)), 1)


@jax.custom_jvp
def _reciprocal(x: Array) -> Array:
    return 1 / x


@_reciprocal.defjvp
def _reciprocal_jvp(primals, tangents):
    y = _reciprocal(*primals)
    # In this order: y² may overflow, and 0 times it would be NaN.
    return y, -(tangents[0] * y) * y
