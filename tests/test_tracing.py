"""Losses are traced for batches of any size, and before JAX looks for devices."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import export

import jaxent
from bench.cases import CASES
from bench.programs import of_mean
from bench.shapes import Shape


@pytest.mark.parametrize("classes", [10, 200])
@pytest.mark.parametrize("mode", ["value", "grad"])
@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.linear], ids=lambda case: case.name
)
def test_a_symbolic_number_of_rows(case, mode, classes):
    (rows,) = export.symbolic_shape("N")
    arguments = case.arguments(Shape("", 7, classes), "float32")
    mean = jax.jit(of_mean(getattr(jaxent, case.name), mode))
    like = [jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype) for x in arguments]
    got, want = export.export(mean)(*like).call(*arguments), mean(*arguments)
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-7)


def test_devices_are_not_looked_for():
    """Which `jax.distributed.initialize`, too, has to come before."""
    code = """
import jax, jaxent
from bench.cases import CASES
from bench.programs import of_mean

for case in CASES:
    like = [jax.ShapeDtypeStruct((8, 8), "float32")] * 2
    if case.linear or "integer" in case.name or case.name == "softmax_focal_loss":
        like.insert(1 + case.linear, jax.ShapeDtypeStruct((8,), "int32"))
    jax.eval_shape(of_mean(getattr(jaxent, case.name), "grad"), *like[: 2 + case.linear])
jax.config.update("jax_num_cpu_devices", 2)
assert jax.device_count() == 2
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
