"""The matrix products of a linear head: how many a program has, and of what operands."""

import functools
import re

import jax
import jax.numpy as jnp
import pytest

import jaxent
from tests import heads

cross_entropy = jaxent.linear_softmax_cross_entropy


class TestProducts:
    """How many matrix products a chunk takes, by the loops of the compiled program."""

    def products(self, loss, *arrays, argnums=(0, 1)):
        function = loss if argnums == () else jax.grad(loss, argnums)
        program = jax.jit(function).lower(*arrays).compile().as_text()
        return program.count(" dot(")

    def loss(self, reduction):
        (x, W, y), _ = heads.problem(64, 500)
        made = functools.partial(
            cross_entropy, reduction=reduction, max_logits_bytes=heads.bytes_of(8, 500)
        )
        return lambda x, W: jnp.sum(made(x, W, y)), x, W

    def test_one_forward(self):
        for reduction in ("none", "mean"):
            assert self.products(*self.loss(reduction), argnums=()) == 1

    def test_three_with_the_gradients_of_a_number(self):
        """Classes come block by block for the kernel: a loop, and what is left over."""
        assert self.products(*self.loss("mean")) == 3 + 1

    def test_two_where_features_or_kernel_do_not_move(self):
        assert self.products(*self.loss("mean"), argnums=0) == 2
        assert self.products(*self.loss("mean"), argnums=1) == 2 + 1

    def test_four_with_the_gradients_of_losses_per_row(self):
        loss, *arrays = self.loss("none")
        assert (
            self.products(lambda x, W: jax.value_and_grad(loss, (0, 1))(x, W), *arrays, argnums=())
            == 4
        )

    @pytest.mark.parametrize("axis", [0, 1])
    def test_operands_are_in_the_dtype_asked_for_and_gradients_in_their_own(self, axis):
        (x, W, y), _ = heads.problem(64, 500)
        x, W = jnp.asarray(x, jnp.bfloat16), W if axis else W.T
        loss = functools.partial(
            cross_entropy, reduction="mean", axis=axis, operand_dtype=jnp.bfloat16
        )
        gradients = jax.jit(jax.grad(lambda x, W: loss(x, W, y), (0, 1)))
        assert [g.dtype for g in gradients(x, W)] == [jnp.bfloat16, jnp.float32]
        lowered = gradients.trace(x, W).lower(lowering_platforms=("tpu",)).as_text()
        operands = re.findall(r"dot_general.* : \((tensor<[^>]*>), (tensor<[^>]*>)\)", lowered)
        assert len(operands) == 3
        assert all(x.endswith("xbf16>") for pair in operands for x in pair)

    @pytest.mark.parametrize("bias", [None, 0.5])
    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("reduction", ["mean", "none"])
    def test_a_kernel_is_rounded_once_for_all_chunks(self, reduction, axis, bias):
        (x, W, y), _ = heads.problem(64, 500)
        x, W = jnp.asarray(x, jnp.bfloat16), W if axis else W.T

        def total(x, W):
            b = None if bias is None else jnp.full(500, bias)
            options = {"axis": axis, "operand_dtype": jnp.bfloat16, "max_logits_bytes": 2**15}
            return jnp.sum(cross_entropy(x, W, y, bias=b, reduction=reduction, **options))

        of_both = jax.jit(jax.value_and_grad(total, (0, 1)) if reduction == "mean" else total)
        lowered = of_both.trace(x, W).lower(lowering_platforms=("tpu",)).as_text()
        rounded = rf"convert .* : \(tensor<{W.shape[0]}x{W.shape[1]}xf32>\) -> tensor<.*xbf16>"
        (once,) = re.finditer(rounded, lowered)
        assert once.start() < lowered.index("stablehlo.while")
