"""Losses over real processes, as over the hosts of a cluster."""

import contextlib
import os
import socket
import subprocess
import sys
import time

import pytest

from tests import meshes, processes
from tests.laws import mainly, unoptimized

pytestmark = unoptimized


@contextlib.contextmanager
def started(*whats):
    """Processes of one mesh, and what each of them does."""
    running = list(_started(whats))
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def _started(whats):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    for i, what in enumerate(whats):
        command = [sys.executable, "-m", "tests.processes", address, str(len(whats)), str(i), what]
        yield subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.mark.parametrize("whats", mainly([("FEW",) * 2], ("FEW",) * 4, ("MAIN",) * 2), ids=str)
def test_every_loss_over_processes(whats):
    with started(*whats) as running:
        printed = [process.communicate(timeout=1200)[0] for process in running]
    for process, text in zip(running, printed, strict=True):
        assert process.returncode == 0, text
        assert f"{len(getattr(meshes, whats[0]))} losses" in text


@pytest.mark.exhaustive
def test_a_process_that_dies_is_an_error_of_the_others():
    """In the midst of the losses, within the time after which JAX notices and some more to stop."""
    with started("MAIN", "dies") as (survivor, gone):
        printed, _ = gone.communicate(timeout=300)
        assert gone.returncode == processes.DEAD, printed
        begun = time.monotonic()
        printed, _ = survivor.communicate(timeout=300)
        assert time.monotonic() - begun < 4 * processes.SECONDS
    assert survivor.returncode != 0
    assert "losses on a mesh" not in printed
    assert "another task died" in printed, printed
