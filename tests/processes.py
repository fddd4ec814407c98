"""One of several processes that hold a mesh together: `python -m tests.processes ADDRESS N I WHAT`.

Each has two devices of its CPU, and checks losses on a mesh of all of them: those of `meshes.MAIN`,
or of `meshes.FEW` if WHAT is "FEW". A process whose WHAT is "dies" leaves the others after its
first loss. On a cluster `jax.distributed.initialize()` finds the address, N and I.
"""

import os
import sys

import jax
from jax.sharding import AxisType

from tests import meshes

SECONDS = 15  # after which a process that is gone is noticed by the others
DEAD = 3  # the status that one leaves with


def start(address, count, index):
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        address, count, index, initialization_timeout=60, heartbeat_timeout_seconds=SECONDS
    )


def main(address, count, index, what):
    start(address, int(count), int(index))
    shape = jax.device_count() // 2, 2
    checks = meshes.FEW if what == "FEW" else meshes.MAIN
    for case, style in checks:
        kind = AxisType.Explicit if style == "explicit" else AxisType.Auto
        meshes.check(case, style, meshes.mesh_of(shape, kind))
        if what == "dies":
            os._exit(DEAD)
    print(f"{len(checks)} losses on a mesh of {shape}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
