"""Wrong calls: each is an error that names the argument, what was expected and what came."""

import jax
import numpy as np
import pytest

import jaxent
from tests import wrong_heads, wrong_types, wrong_values

Z = np.zeros((4, 3), np.float32)
N = np.zeros(4, np.int32)

binary = jaxent.sigmoid_binary_cross_entropy
integer = jaxent.softmax_cross_entropy_with_integer_labels

CALLS = wrong_types.WRONG | wrong_values.WRONG | wrong_heads.WRONG


@pytest.mark.parametrize("call", CALLS)
def test_wrong_call(call):
    function, error, *words = CALLS[call]
    with pytest.raises(error) as raised:
        function()
    for word in words:
        assert word in str(raised.value)
    assert len(str(raised.value)) < 400


def test_errors_come_at_trace_time():
    with pytest.raises(ValueError, match="labels must have the shape"):
        jax.eval_shape(lambda z: binary(z, N), jax.ShapeDtypeStruct((4, 1), np.float32))


def test_a_traced_option_is_not_judged_and_compiles_once():
    traces = []

    @jax.jit
    def loss(z, amount):
        traces.append(1)
        return integer(z, N, label_smoothing=amount)

    for amount in (0.1, 0.2, 7.0):
        assert loss(Z, amount).shape == (4,)
    assert len(traces) == 1


def test_another_option_value_compiles_nothing(caplog):
    def compiled(amount):
        caplog.clear()
        with jax.log_compiles():
            integer(Z, N, label_smoothing=amount, z_loss=amount)
        return any("ompil" in message for message in caplog.messages)

    assert compiled(0.1)
    assert not compiled(0.2)
    assert not compiled(1)
