"""`jax_debug_nans` stays silent on legitimate input, whatever a loss is differentiated by."""

import jax
import numpy as np
import pytest

import jaxent
from tests.edges import INF, binary, dense, focal, integer

ROWS = np.array([[1.0, -INF, 2.0], [0, 0, 0], [1e30, -1e30, 0]], np.float32)
LABELS = np.array([2, 0, 1])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
SOFT = np.array([[0.25, 0, 0.75], [0.2, 0.3, 0.5]], np.float32)
ENDS = np.array([INF, -INF, 0.0, 1e30], np.float32)
RIGHT = np.array([1.0, 0, 1, 1], np.float32)
PROBS = np.array([0.0, 1.0, 0.3], np.float32)
CERTAIN = np.array([0.0, 1.0, 1.0], np.float32)
DISTRIBUTIONS = np.array([[0, 0.4, 0.6], [1, 0, 0], [0.2, 0.3, 0.5]], np.float32)
CLASSES = np.array([1, 0, 2])
VECTORS = np.eye(3, 2, dtype=np.float32)
with np.errstate(divide="ignore"):
    LOG_DISTRIBUTIONS = np.log(DISTRIBUTIONS)

# The options that every softmax loss below is differentiated by, at their ends where they have one.
CLASS_WEIGHTS = np.array([1.0, 0.0, 2.0], np.float32)
SMOOTHED = {"label_smoothing": 0.0, "z_loss": 1e-3, "class_weights": CLASS_WEIGHTS}
GAMMAS = (0.0, 0.5, 1.0, 2.0)
from_probs = jaxent.categorical_cross_entropy
from_probs_of_classes = jaxent.categorical_cross_entropy_with_integer_labels

# A loss, its arguments, and the options it is differentiated by too.
LEGITIMATE = {
    "softmax CE": (integer, (ROWS, LABELS), {"weights": np.ones(3)}),
    "softmax CE with options": (integer, (ROWS[:2], LABELS[:2]), SMOOTHED),
    "dense softmax CE": (dense, (ROWS, ONE_HOT), {"weights": np.ones(3)}),
    "dense softmax CE with options": (dense, (ROWS[:2], SOFT), SMOOTHED),
    "poly": (jaxent.poly_loss_cross_entropy, (ROWS, ONE_HOT), {"epsilon": 2.0}),
    "poly, soft labels": (jaxent.poly_loss_cross_entropy, (ROWS[:2], SOFT), {"epsilon": -1.0}),
    **{
        f"softmax focal {gamma}": (
            jaxent.softmax_focal_loss,
            (ROWS, LABELS),
            {"gamma": gamma, "class_weights": CLASS_WEIGHTS},
        )
        for gamma in GAMMAS
    },
    "softmax entropy": (jaxent.softmax_entropy, (ROWS,), {}),
    "softmax KL": (jaxent.softmax_kl_divergence, (ROWS, ROWS), {}),
    "softmax KL at a temperature": (
        jaxent.softmax_kl_divergence,
        (ROWS[1:2], ROWS[:1]),
        {"temperature": 2.0},
    ),
    "softmax KL, infinite": (
        jaxent.softmax_kl_divergence,
        (ROWS[:1], ROWS[1:2]),
        {"temperature": 2.0},
    ),
    **{
        f"softmax JSD at {beta}, {name}": (
            jaxent.softmax_jensen_shannon_divergence,
            arguments,
            {"beta": beta, "temperature": 2.0},
        )
        for beta in (0.0, 0.3, 1.0)
        for name, arguments in (("the same", (ROWS, ROWS)), ("apart", (ROWS[1:2], ROWS[:1])))
    },
    "InfoNCE": (
        jaxent.info_nce,
        (VECTORS, VECTORS),
        {"temperature": 0.01, "weights": np.ones(3)},
    ),
    "SigLIP": (jaxent.siglip_loss, (VECTORS, VECTORS), {"scale": 1e4, "bias": -10.0}),
    **{
        f"{name}, {answer}": (loss, (ENDS, labels), options)
        for answer, labels in (("right", RIGHT), ("wrong", 1 - RIGHT))
        for name, loss, options in (
            ("BCE", binary, {"weights": np.ones(4)}),
            ("BCE with pos_weight", binary, {"pos_weight": 3.0}),
            *((f"focal {gamma}", focal, {"gamma": gamma}) for gamma in GAMMAS),
            *(
                (f"asymmetric, margin {m}", jaxent.sigmoid_asymmetric_loss, {"margin": m})
                for m in (0.0, 0.05)
            ),
        )
    },
    **{
        f"{name}, epsilon {epsilon}": (loss, arguments, {"epsilon": epsilon, **options})
        for epsilon in (0.0, 1e-7)
        for name, loss, arguments, options in (
            ("BCE of probs", jaxent.binary_cross_entropy, (PROBS, CERTAIN), {"pos_weight": 3.0}),
            *(
                (
                    f"focal {gamma} of probs",
                    jaxent.binary_focal_cross_entropy,
                    (PROBS, CERTAIN),
                    {"gamma": gamma, "alpha": 0.25},
                )
                for gamma in GAMMAS
            ),
            ("CE of probs", from_probs, (DISTRIBUTIONS, DISTRIBUTIONS), {}),
            ("CE of probs of classes", from_probs_of_classes, (DISTRIBUTIONS, CLASSES), {}),
        )
    },
    "entropy": (jaxent.entropy, (DISTRIBUTIONS,), {}),
    "sigmoid entropy": (jaxent.sigmoid_entropy, (ENDS,), {}),
    "KL": (jaxent.kl_divergence, (LOG_DISTRIBUTIONS, DISTRIBUTIONS), {}),
    "KL, log-targets": (
        jaxent.kl_divergence_with_log_targets,
        (LOG_DISTRIBUTIONS, LOG_DISTRIBUTIONS),
        {},
    ),
    "generalized KL": (
        jaxent.generalized_kl_divergence,
        (LOG_DISTRIBUTIONS, DISTRIBUTIONS),
        {},
    ),
    "Jensen-Shannon": (
        jaxent.jensen_shannon_divergence,
        (DISTRIBUTIONS, DISTRIBUTIONS[:, ::-1]),
        {},
    ),
}


@pytest.mark.parametrize(("loss", "arguments", "options"), LEGITIMATE.values(), ids=LEGITIMATE)
def test_no_nan_by_the_first_argument_or_by_every_floating_one(loss, arguments, options):
    """Called without jit around it, so that what reverse mode keeps is looked at too."""
    floating = [i for i, x in enumerate(arguments) if x.dtype == np.float32]

    def of(floats, options):
        replaced = dict(zip(floating, floats, strict=False))
        return loss(*(replaced.get(i, x) for i, x in enumerate(arguments)), **options)

    floats = [arguments[i] for i in floating]
    with jax.debug_nans(True):
        for function, primals in (
            (lambda x: of([x], options), floats[:1]),
            (of, (floats, jax.tree.map(np.float32, options))),
        ):
            value, pullback = jax.vjp(function, *primals)
            pullback(np.ones_like(value))
