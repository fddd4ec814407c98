"""How many matrix products a program of a linear head has."""

import functools

import jax
import jax.numpy as jnp

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
