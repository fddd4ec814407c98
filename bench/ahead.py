"""Compiles the cases for an H200 and a TPU v5e, without either: `python -m bench.ahead`.

The extra `ahead` has the compilers, on Linux. A line gives the bytes that the value and, behind
the stroke, value and gradient read and write in the device's memory, as XLA counts them, and their
temporaries in brackets. Both are over the bytes of the logits. XLA counts the body of a loop once,
so the bytes of a linear head are too few. `bench.mesh` compiles the sharded head.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pandas as pd
from jax.experimental import topologies
from jax.extend.backend import get_backend
from jax.sharding import Sharding, SingleDeviceSharding

from bench.cases import CASES, Case, Loss
from bench.programs import Mode, of_mean
from bench.results import append, markdown
from bench.shapes import Shape

SHAPE, HEAD_SHAPE = Shape("", 4096, 32000), Shape("", 4096, 32000, features=1024)
DTYPES = "float32", "bfloat16"
MODES: tuple[Mode, ...] = ("value", "grad")
COMPILERS = ("jax", "jaxlib", "optax", "jax-cuda13-plugin", "nvidia-cuda-nvcc", "libtpu")


def gpus(topology: str) -> Sequence[Any]:
    """The devices of a topology of H200s, which XLA knows from a description."""
    config = Path(__file__).with_name("h200.txtpb").read_text()
    return _devices(platform="cuda", topology_name="", topology=topology, target_config=config)


def tpus(topology: str) -> Sequence[Any]:
    """The chips of a TPU topology. The variables keep libtpu from looking for a real TPU."""
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    os.environ["TPU_ACCELERATOR_TYPE"] = "v5litepod-4"
    os.environ["TPU_WORKER_HOSTNAMES"] = "localhost"
    return _devices(platform="tpu", topology_name=topology)


def _devices(platform: str, **description: str) -> Sequence[Any]:
    try:
        return topologies.get_topology_desc(platform=platform, **description).devices
    except (NotImplementedError, RuntimeError) as error:
        sys.exit(f"JAX has no compiler for {platform}. `make ahead` installs it. ({error})")


TARGETS: Mapping[str, Callable[[], Sharding]] = {
    "h200": lambda: SingleDeviceSharding(gpus("1x1x1")[0]),
    "v5e": lambda: SingleDeviceSharding(tpus("v5e:2x2")[0]),
}


def versions() -> str:
    return ", ".join(f"{package} {version(package)}" for package in COMPILERS)


def compile_for(target: Sharding, function: Loss, like: Sequence[Any]) -> Any:
    """The program of a function of such arrays."""
    placed = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=target) for x in like]
    return jax.jit(function).trace(*placed).lower().compile()


def costs(
    case: Case, loss: Loss, shape: Shape, dtype: str, mode: Mode, target: Sharding
) -> tuple[float, float]:
    """The bytes that a loss accesses, and its temporaries, over those of the logits."""
    function = of_mean(loss, mode, case.learned, case.drops)
    program = compile_for(target, function, case.like(shape, dtype))
    logits = case.logits(shape) * jnp.dtype(dtype).itemsize
    return accessed(program) / logits, program.memory_analysis().temp_size_in_bytes / logits


def accessed(program: Any) -> float:
    counted = program.cost_analysis()
    if counted is None:
        # The GPU's compiler does not count. XLA's own analysis does, which JAX has in no public
        # module.
        xla = importlib.import_module("jax._src.lib").xla_client._xla
        module = program.runtime_executable().hlo_modules()[0]
        counted = xla.hlo_module_cost_analysis(get_backend("cpu"), module)
    return counted["bytes accessed"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bench.ahead", description=__doc__)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append the results to a file")
    parser.add_argument("--loss", default="", help="a part of the names of cases; default: all")
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--table", type=Path, metavar="FILE", help="print results as Markdown")
    chosen = parser.parse_args(argv)
    if chosen.table:
        print(table(chosen.table))
        return 0
    jax.config.update("jax_platforms", "cpu")
    targets = {name: TARGETS[name]() for name in chosen.target}
    comment: str | None = versions()
    cases = [c for c in CASES if chosen.loss in c.name and not c.public.startswith("sharded")]
    for case in cases:
        print(case.name)
        shape = HEAD_SHAPE if case.linear else SHAPE
        losses = {"jaxent": case.jaxent} | case.baseline()
        for dtype, target in product(DTYPES, targets):
            found = []
            for contestant, loss in losses.items():
                key = {"loss": case.name, "dtype": dtype, "target": target}
                value, grad = (
                    costs(case, loss, shape, dtype, mode, targets[target]) for mode in MODES
                )
                found.append(
                    key
                    | {"contestant": contestant, "value": value[0], "value_temp": value[1]}
                    | {"grad": grad[0], "grad_temp": grad[1]}
                )
            print(f"  {dtype:8} {target:4} ", *map(line, found), sep="  ")
            if chosen.csv:
                append(chosen.csv, found, comment)
                comment = None
    return 0


def table(file: Path) -> str:
    """Value / value and gradient in float32, and in bfloat16 where it differs, as Markdown."""
    found = pd.read_csv(file, comment="#")
    found = found[~found.loss.isin([case.name for case in CASES if case.linear])]
    found["who"] = found.contestant.where(found.contestant == "jaxent", "optax or plain JAX")
    found["bytes"] = found.value.map("{:.1f}".format) + " / " + found.grad.map("{:.1f}".format)
    by = found.groupby(["loss", "target", "who"], sort=False).bytes
    return markdown(by.agg(lambda b: ", ".join(dict.fromkeys(b))).unstack([1, 2], sort=False))


def line(m: Mapping[str, Any]) -> str:
    value, grad = (f"{m[k]:.2f} ({m[f'{k}_temp']:.2f})" for k in MODES)
    return f"{m['contestant']:6} {value} / {grad} "


if __name__ == "__main__":
    sys.exit(main())
