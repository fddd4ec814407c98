"""One of several processes that hold a mesh together: `python -m tests.processes ADDRESS N I`.

Each has two devices of its CPU, and checks every loss in every style on a mesh of all of them. On a
cluster `jax.distributed.initialize()` finds the three by itself; all else is the same there.

`python -m tests.processes ADDRESS N I dies` leaves the others after its first loss.
"""

import os
import sys

import jax
from jax.sharding import AxisType

from tests import meshes
from tests.cases import WITH_ALL_OPTIONS

SECONDS = 30  # after which a process that is gone is noticed by the others
DEAD = 3  # the status that one leaves with


def start(address, count, index):
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        address, count, index, initialization_timeout=60, heartbeat_timeout_seconds=SECONDS
    )


def main(address, count, index, dies=""):
    start(address, int(count), int(index))
    shape = jax.device_count() // 2, 2
    for style in meshes.STYLES:
        kind = AxisType.Explicit if style == "explicit" else AxisType.Auto
        for case in WITH_ALL_OPTIONS:
            meshes.check(case, style, meshes.mesh_of(shape, kind))
            if dies:
                os._exit(DEAD)
        print(f"{style}: {len(WITH_ALL_OPTIONS)} losses on a mesh of {shape}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
