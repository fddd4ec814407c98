"""The option `operand_dtype` of linear heads."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxent
from tests import heads

cross_entropy = jaxent.linear_softmax_cross_entropy
ROWS, CLASSES = 64, 4096
# The dtypes of operands, with the error of gradients that their rounding of logits explains.
ERRORS = {jnp.bfloat16: 1e-2, jnp.float16: 2e-3, jnp.float8_e4m3fn: 0.2}


def loss(reduction, labels, **options):
    def total(x, W):
        return jnp.sum(cross_entropy(x, W, labels, reduction=reduction, **options))

    return total


@pytest.mark.parametrize("axis", [0, 1])
def test_operands_are_in_the_dtype_asked_for_and_gradients_in_their_own(axis):
    (x, W, y), _ = heads.problem(64, 500)
    x, W = jnp.asarray(x, jnp.bfloat16), W if axis else W.T
    total = loss("mean", y, axis=axis, operand_dtype=jnp.bfloat16)
    gradients = jax.jit(jax.grad(total, (0, 1)))
    assert [g.dtype for g in gradients(x, W)] == [jnp.bfloat16, jnp.float32]
    lowered = gradients.trace(x, W).lower(lowering_platforms=("tpu",)).as_text()
    operands = re.findall(r"dot_general.* : \((tensor<[^>]*>), (tensor<[^>]*>)\)", lowered)
    assert len(operands) == 3
    assert all(x.endswith("xbf16>") for pair in operands for x in pair)


@pytest.mark.parametrize("bias", [None, 0.5])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_kernel_is_rounded_once_for_all_chunks(reduction, axis, bias):
    (x, W, y), _ = heads.problem(64, 500)
    x, W = jnp.asarray(x, jnp.bfloat16), W if axis else W.T
    b = None if bias is None else jnp.full(500, bias)
    options = {"axis": axis, "operand_dtype": jnp.bfloat16, "max_logits_bytes": 2**15}
    total = loss(reduction, y, bias=b, **options)
    of_both = jax.jit(jax.value_and_grad(total, (0, 1)) if reduction == "mean" else total)
    lowered = of_both.trace(x, W).lower(lowering_platforms=("tpu",)).as_text()
    rounded = rf"convert .* : \(tensor<{W.shape[0]}x{W.shape[1]}xf32>\) -> tensor<.*xbf16>"
    (once,) = re.finditer(rounded, lowered)
    assert once.start() < lowered.index("stablehlo.while")


@pytest.mark.usefixtures("as_on_accelerators")
@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradients_are_not_rounded_to_it(reduction, dtype):
    (x, W, y), _ = heads.problem(ROWS, CLASSES)
    for axis, kernel in ((1, W), (0, W.T)):
        gradients = jax.grad(loss(reduction, y, axis=axis, operand_dtype=dtype), (0, 1))
        exact = jax.grad(loss(reduction, y, axis=axis), (0, 1))
        for found, expected in zip(gradients(x, kernel), exact(x, kernel), strict=True):
            assert jnp.linalg.norm(found - expected) < ERRORS[dtype] * jnp.linalg.norm(expected)
            rounded = found.astype(dtype).astype(found.dtype)
            assert jnp.mean(found == rounded) < 0.1


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    "dtypes",
    [
        (jnp.bfloat16, jnp.float32, np.float64, jnp.bfloat16),
        (jnp.bfloat16, jnp.float32, np.float32, jnp.float64),
        (np.float64, jnp.float32, np.float32, jnp.float16),
        (jnp.float32, np.float64, np.float32, jnp.bfloat16),
    ],
)
def test_it_changes_no_dtype_of_a_result(reduction, dtypes):
    *dtypes, operand = dtypes
    (x, W, y), options = heads.problem(6, 5, ["weights"])
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        *arrays, weights = (
            jnp.asarray(a, dtype)
            for a, dtype in zip((x, W, options["weights"]), dtypes, strict=True)
        )
        of_both = [
            jax.value_and_grad(loss(reduction, y, weights=weights, operand_dtype=dtype), (0, 1))
            for dtype in (operand, None)
        ]
        found, expected = (jax.tree.leaves(function(*arrays)) for function in of_both)
        # A CPU multiplies in the dtype of computation, whatever this option is.
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        jax.jit(of_both[0]).trace(*arrays).lower(lowering_platforms=("tpu",))


def test_a_cpu_multiplies_in_float32_where_the_number_of_classes_is_symbolic():
    n, v = export.symbolic_shape("n, v")
    x, W, y = (
        jax.ShapeDtypeStruct(shape, dtype)
        for shape, dtype in (((n, 8), "bfloat16"), ((8, v), "bfloat16"), ((n,), "int32"))
    )
    gradient = jax.grad(functools.partial(cross_entropy, reduction="mean"), 1)
    program = export.export(jax.jit(gradient), platforms=("cpu",))(x, W, y).mlir_module()
    products = re.findall(r"dot_general.*", program)
    assert products
    assert not any("xbf16>, tensor" in product for product in products)
