"""The table of what is timed: every public function of jaxent, and configurations in use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax.losses
from jax.nn import log_softmax, sigmoid, softmax
from jax.scipy.special import xlogy

import jaxent
from bench import formulas as f
from bench import inputs as i
from bench.shapes import Shape

Arrays = tuple[np.ndarray, ...]
Loss = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A function of jaxent with some options, and what is compared with it.

    An option is a value, or makes an array. Formula and functions take the inputs by position and
    the options by name.
    """

    name: str  # jaxent's function, then the options in words
    inputs: tuple[i.Maker, ...]
    formula: Loss
    options: Mapping[str, Any] = field(default_factory=dict)
    function: Loss | None = None  # instead of jaxent's
    optax: Loss | None = None  # optax's of the same name, if None and without options

    @property
    def public(self) -> str:
        """The name of jaxent's function."""
        return self.name.partition(",")[0]

    @property
    def linear(self) -> bool:
        """Whether features make the logits."""
        return self.inputs[0] in (i.features, i.unit)

    @property
    def learned(self) -> tuple[int, ...]:
        """The arguments to differentiate by: the logits, or features and kernel."""
        return (0, 1) if self.linear else (0,)

    @property
    def drops(self) -> bool:
        """Whether the last array says which losses the mean is of."""
        return self.options.get("where") in (i.rows_kept, i.elements_kept)

    def logits(self, shape: Shape) -> int:
        """How many logits there are."""
        return shape.rows * (shape.rows if self.inputs == (i.unit, i.unit) else shape.classes)

    def arrays(self, shape: Shape, dtype: str) -> Arrays:
        """Random inputs and options, the same in each call."""
        rng = np.random.default_rng(0)
        options: list[Any] = [x for x in self.options.values() if callable(x)]
        drawn = [make(rng, shape) for make in (*self.inputs, *options)]
        return tuple(x.astype(jnp.dtype(dtype)) if x.dtype == np.float32 else x for x in drawn)

    def like(self, shape: Shape, dtype: str) -> list[jax.ShapeDtypeStruct]:
        """The shapes and dtypes of the arrays, which are not drawn."""
        small = Shape("", rows=2, classes=3, features=5)
        sizes = {1: 1} | dict(zip(small[1:], shape[1:], strict=True))
        arrays = self.arrays(small, dtype)
        return [jax.ShapeDtypeStruct([sizes.get(n, n) for n in x.shape], x.dtype) for x in arrays]

    def call(self, function: Loss, *arrays: Any, **more: Any) -> Any:
        """Calls the function with arrays for inputs and options."""
        n = len(self.inputs)
        rest = iter(arrays[n:])
        options = {key: next(rest) if callable(x) else x for key, x in self.options.items()}
        return function(*arrays[:n], **options, **more)

    def jaxent(self, *arrays: Any, reduction: str = "none") -> Any:
        return self.call(
            self.function or getattr(jaxent, self.public), *arrays, reduction=reduction
        )

    def plain(self, *arrays: Any) -> Any:
        return self.call(self.formula, *arrays)

    def baseline(self) -> dict[str, Loss]:
        """optax's function, or the plain formula where optax has none."""
        same = None if self.options else getattr(optax.losses, self.public, None)
        if found := self.optax or same:
            return {"optax": lambda *arrays: self.call(found, *arrays)}
        return {"jax": self.plain if self.linear else f.in_float32(self.plain)}


def softmax_bonus(z, y, *, reduction):
    stats = jaxent.softmax_stats(z, y)
    return jaxent.reduce_losses(stats.nll - 0.01 * stats.entropy, reduction=reduction)


def linear_softmax_bonus(x, W, y, *, reduction):
    stats = jaxent.linear_softmax_stats(x, W, y)
    return jaxent.reduce_losses(stats.nll - 0.01 * stats.entropy, reduction=reduction)


def grpo(stats, old_log_probs, advantages):
    return f.clipped(-stats.nll, old_log_probs, advantages)


def linear_softmax_grpo(x, W, y, old, advantages, *, reduction):
    return jaxent.linear_softmax_loss(grpo, x, W, y, old, advantages, reduction=reduction)


def on_one_device(x, W, y, *, reduction):
    mesh = jax.make_mesh((1, 1), ("data", "vocab"))
    axes = {"data_axis": "data", "vocab_axis": "vocab"}
    loss = jaxent.sharded(jaxent.linear_softmax_cross_entropy, mesh=mesh, **axes)
    return loss(x, W, y, reduction=reduction)


def optax_smoothed(z, t, label_smoothing):
    t = optax.losses.smooth_labels(t, label_smoothing)
    return optax.losses.softmax_cross_entropy(z, t)


optax_integer = optax.losses.softmax_cross_entropy_with_integer_labels
INTEGER, DENSE = "softmax_cross_entropy_with_integer_labels", "softmax_cross_entropy"
BINARY, FOCAL = "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"
HEAD = "linear_softmax_cross_entropy"

# fmt: off
CASES = (
    Case(INTEGER, (i.normal, i.labels), f.integer),
    Case(f"{INTEGER}, z-loss (T5X, PaLM)", (i.normal, i.labels), f.integer, {"z_loss": 1e-4}),
    Case(f"{INTEGER}, smoothing (vision)", (i.normal, i.labels), f.integer,
         {"label_smoothing": 0.1}),
    Case(f"{INTEGER}, smoothing and z-loss", (i.normal, i.labels), f.integer,
         {"label_smoothing": 0.1, "z_loss": 1e-4}),
    Case(f"{INTEGER}, idle options", (i.normal, i.labels), f.integer,
         {"label_smoothing": 0.0, "z_loss": 0.0}, optax=lambda z, y, **_: optax_integer(z, y)),
    Case(f"{INTEGER}, padded vocabulary", (i.normal, i.labels_of_kept),
         lambda z, y, where: f.integer(jnp.where(where, z, -jnp.inf), y),
         {"where": i.vocabulary}, optax=optax_integer),
    Case(f"{INTEGER}, legal actions", (i.normal, i.labels_of_kept),
         lambda z, y, where: f.integer(jnp.where(where, z, -jnp.inf), y),
         {"where": i.actions}, optax=optax_integer),
    Case(f"{INTEGER}, padding (Llama)", (i.normal, i.padded_labels),
         lambda z, y, where: jnp.where(where, f.integer(z, jnp.where(where, y, 0)), 0),
         {"where": i.rows_kept},
         optax=lambda z, y, where: optax_integer(z, jnp.where(where, y, 0)) * where),
    Case(f"{INTEGER}, class weights", (i.normal, i.labels),
         lambda z, y, class_weights: class_weights[y] * f.integer(z, y),
         {"class_weights": i.class_weights}),
    Case(f"{INTEGER}, weights", (i.normal, i.labels),
         lambda z, y, weights: weights * f.integer(z, y), {"weights": i.row_weights}),
    Case(f"{INTEGER}, top 8 of a teacher", (i.normal, i.few_labels), f.few,
         {"label_probs": i.few_probs}),
    Case("softmax_log_probs", (i.normal, i.labels), lambda z, y: -f.integer(z, y)),
    Case(DENSE, (i.normal, i.probs), f.dense),
    Case(f"{DENSE}, smoothing", (i.normal, i.probs), f.dense, {"label_smoothing": 0.1},
         optax=optax_smoothed),
    Case("softmax_focal_loss", (i.normal, i.labels), f.focal),
    Case("poly_loss_cross_entropy", (i.normal, i.probs),
         lambda z, t: f.dense(z, t) + 2 * jnp.sum(t * (1 - softmax(z)), axis=-1)),
    Case("softmax_stats, entropy bonus", (i.normal, i.labels), f.bonus, function=softmax_bonus),
    Case(BINARY, (i.normal, i.bits), f.binary),
    Case(f"{BINARY}, smoothing", (i.normal, i.bits), f.binary, {"label_smoothing": 0.1}),
    Case(f"{BINARY}, pos_weight", (i.normal, i.bits), f.binary, {"pos_weight": 3.0}),
    Case(FOCAL, (i.normal, i.bits), f.binary_focal),
    Case(f"{FOCAL}, alpha (RetinaNet)", (i.normal, i.bits), f.binary_focal, {"alpha": 0.25},
         optax=optax.losses.sigmoid_focal_loss),
    Case("sigmoid_asymmetric_loss", (i.normal, i.bits), f.asymmetric,
         {"gamma_pos": 1.0, "gamma_neg": 4.0, "margin": 0.05}),
    Case("binary_cross_entropy", (i.uniform, i.bits), f.binary_of_probs),
    Case("binary_focal_cross_entropy", (i.uniform, i.bits),
         lambda p, y: (y * (1 - p) + (1 - y) * p) ** f.GAMMA * f.binary_of_probs(p, y)),
    Case("categorical_cross_entropy", (i.probs, i.probs),
         lambda p, t: -jnp.sum(t * f.log_of(p), axis=-1)),
    Case("categorical_cross_entropy_with_integer_labels", (i.probs, i.labels),
         lambda p, y: -f.log_of(f.at(p, y))),
    Case("self_information", (i.uniform,), lambda p: -jnp.log(p)),
    Case("entropy", (i.probs,), lambda p: -jnp.sum(xlogy(p, p), axis=-1)),
    Case("softmax_entropy", (i.normal,), lambda z: -jnp.sum(softmax(z) * log_softmax(z), axis=-1)),
    Case("sigmoid_entropy", (i.normal,), lambda z: f.binary(z, sigmoid(z))),
    Case("kl_divergence", (i.log_probs, i.probs), f.kl),
    Case("kl_divergence_with_log_targets", (i.log_probs, i.log_probs), f.kl_of_logs),
    Case("generalized_kl_divergence", (i.log_probs, i.probs),
         lambda log_p, t: f.kl(log_p, t) + jnp.sum(jnp.exp(log_p) - t, axis=-1)),
    Case("jensen_shannon_divergence", (i.probs, i.probs), f.jensen_shannon),
    Case("softmax_kl_divergence", (i.normal, i.normal), f.softmax_kl),
    Case("softmax_kl_divergence, temperature (distillation)", (i.normal, i.normal), f.softmax_kl,
         {"temperature": 2.0}),
    Case("softmax_jensen_shannon_divergence, beta (GKD)", (i.normal, i.normal),
         f.generalized_jensen_shannon, {"beta": 0.1}),
    Case("squared_error", (i.normal, i.normal), lambda x, t: (x - t) ** 2),
    Case("reduce_losses, weights and mask", (i.normal,),
         lambda losses, weights, where: jnp.where(where, weights * losses, 0),
         {"weights": i.uniform, "where": i.elements_kept}),
    Case(HEAD, (i.features, i.kernel, i.labels), lambda x, W, y: f.integer(f.logits(x, W), y),
         optax=lambda x, W, y: optax_integer(x @ W, y)),
    Case(f"{HEAD}, softcap and z-loss (Gemma)", (i.features, i.kernel, i.labels),
         lambda x, W, y, softcap, z_loss: f.integer(f.logits(x, W, softcap), y, z_loss=z_loss),
         {"softcap": 30.0, "z_loss": 1e-4}),
    Case(f"sharded, {HEAD} on one device", (i.features, i.kernel, i.labels),
         lambda x, W, y: f.integer(f.logits(x, W), y), function=on_one_device,
         optax=lambda x, W, y: optax_integer(x @ W, y)),
    Case("linear_softmax_focal_loss", (i.features, i.kernel, i.labels),
         lambda x, W, y: f.focal(f.logits(x, W), y)),
    Case("linear_softmax_log_probs", (i.features, i.kernel, i.labels),
         lambda x, W, y: -f.integer(f.logits(x, W), y)),
    Case("linear_softmax_loss, GRPO",
         (i.features, i.kernel, i.labels, i.old_log_probs, i.advantages),
         lambda x, W, y, *rows: f.clipped(-f.integer(f.logits(x, W), y), *rows),
         function=linear_softmax_grpo),
    Case("linear_softmax_jensen_shannon_divergence, beta (GKD)",
         (i.features, i.kernel, i.features, i.kernel),
         lambda x, W, t, U, beta: f.generalized_jensen_shannon(
             f.logits(x, W), f.logits(t, U), beta), {"beta": 0.1}),
    Case("linear_softmax_kl_divergence", (i.features, i.kernel, i.features, i.kernel),
         lambda x, W, t, U: f.softmax_kl(f.logits(x, W), f.logits(t, U))),
    Case("linear_softmax_stats, entropy bonus", (i.features, i.kernel, i.labels),
         lambda x, W, y: f.bonus(f.logits(x, W), y), function=linear_softmax_bonus),
    Case("info_nce, one way (MoCo)", (i.unit, i.queue), f.info_nce, {"temperature": 0.07}),
    Case("info_nce, both ways (CLIP)", (i.unit, i.unit), f.info_nce,
         {"temperature": 0.07, "symmetric": True}),
    Case("siglip_loss", (i.unit, i.unit), f.siglip, {"scale": 10.0, "bias": -10.0}),
)
# fmt: on
