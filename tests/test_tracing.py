"""Losses are traced for batches of any size, and before JAX looks for devices."""

import subprocess
import sys
from unittest import mock

import jax
import numpy as np
from jax.extend.core import Literal, jaxprs_in_params
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxent
from tests import makers
from tests.edges import integer
from tests.laws import every_total, value_and_gradients


def test_the_defaults_of_options_are_in_the_program():
    """So an eager call transfers no number of its own to the device."""
    z, y = jax.device_put((np.zeros((2, 3), np.float32), np.zeros(2, int)))
    p = jax.device_put(np.full((2, 3), 1 / 3, np.float32))
    with jax.transfer_guard("disallow"):
        jaxent.softmax_focal_loss(z, y)
        jaxent.sigmoid_focal_loss(z, p)
        jaxent.poly_loss_cross_entropy(z, p)
        jaxent.binary_focal_cross_entropy(p, p)
        jaxent.categorical_cross_entropy(p, p)


def test_an_eager_call_on_a_mesh_of_explicit_axes_is_traced_once(caplog):
    mesh = jax.sharding.Mesh(jax.devices(), "rows", axis_types=(AxisType.Explicit,))
    rows = NamedSharding(mesh, PartitionSpec("rows"))
    z, y = jax.device_put((np.zeros((8, 3), np.float32), np.zeros(8, int)), rows)

    def traced(smoothing):
        caplog.clear()
        with jax.log_compiles():
            losses = integer(z, y, label_smoothing=smoothing)
        assert jax.typeof(losses).sharding.spec == PartitionSpec("rows")
        return any("racing" in message for message in caplog.messages)

    assert traced(0.1)
    assert not traced(0.2)


@every_total
def test_no_sum_of_constants(case):
    """XLA folds it when it compiles, in a time that grows with the number of classes."""
    classes = 1009
    with mock.patch.object(makers, "V", classes):
        arrays = case.make((3,), np.float32)

    jaxpr = jax.make_jaxpr(value_and_gradients(case))(*arrays).jaxpr
    assert not sums_of_constants(jaxpr, [False] * len(jaxpr.invars))


def sums_of_constants(jaxpr, known):
    """The reductions in a jaxpr of what is made of constants alone, given which arguments are."""
    constant = {x for x, k in zip(jaxpr.invars, known, strict=True) if k}
    found = []
    for equation in jaxpr.eqns:
        known = [isinstance(x, Literal) or x in constant for x in equation.invars]
        for inner in jaxprs_in_params(equation.params):
            # What a loop carries is no constant, though it may begin as one.
            loop = equation.primitive.name in ("scan", "while")
            of_inner = known[len(known) - len(inner.invars) :]
            found += sums_of_constants(inner, [k and not loop for k in of_inner])
        if known and all(known):
            if equation.primitive.name.startswith("reduce"):
                found.append(equation)
            constant.update(equation.outvars)
    return found


def test_devices_are_not_looked_for():
    """Which `jax.distributed.initialize`, too, has to come before."""
    code = """
import jax
from bench.cases import CASES
from bench.programs import of_mean
from bench.shapes import Shape

for case in CASES:
    if not case.public.startswith("sharded"):  # it takes a mesh of devices
        like = case.like(Shape("", 8, 8, 8 * case.linear), "float32")
        jax.eval_shape(of_mean(case.jaxent, "grad", case.learned), *like)
jax.config.update("jax_num_cpu_devices", 2)
assert jax.device_count() == 2
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
