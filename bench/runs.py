"""What a run was made on, with what, and when."""

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jax

BUSY = 0.5  # load average, from which on other processes disturb the timing


@dataclass(frozen=True)
class Run:
    """The device that JAX found, its host, and the versions of what was timed."""

    started: str  # in UTC, as ISO 8601 has it
    load: float  # the host's load average then: near 0, it had nothing else to do
    device: str  # as JAX names it
    driver: str  # its driver's and platform's versions; empty for a CPU
    cpu: str  # the host's model
    cores: int  # that the process may use
    versions: dict[str, str]  # by package; jaxlib brings XLA

    @property
    def host(self) -> tuple[str, str, str, int]:
        return self.device, self.driver, self.cpu, self.cores

    @property
    def is_busy(self) -> bool:
        return self.load > BUSY

    def __str__(self) -> str:
        device = "cpu" if self.device == "cpu" else f"{self.device} ({self.driver}), host"
        versions = ", ".join(f"{package} {number}" for package, number in self.versions.items())
        busy = f", busy with other work (load {self.load:.1f})" if self.is_busy else ""
        return f"{device} {self.cpu}, {self.cores} cores{busy}; {versions}"


def differences(old: Run, new: Run) -> list[str]:
    """What else than the losses may have made one run faster than another."""
    packages = sorted(old.versions.keys() & new.versions.keys())
    found = ["the machine"] if old.host != new.host else []
    found += ["other work on the machine"] if old.is_busy or new.is_busy else []
    return found + [p for p in packages if old.versions[p] != new.versions[p]]


def this_run(peers: list[str]) -> Run:
    """This process, now, with the versions of the peers that it uses."""
    device = jax.devices()[0]
    return Run(
        datetime.now(UTC).isoformat(timespec="seconds"),
        os.getloadavg()[0],
        device.device_kind,
        "" if device.platform == "cpu" else _driver(device.client.platform_version),
        _cpu_model(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        {package: version(package) for package in ("jax", "jaxlib", *peers)},
    )


def _driver(platform_version: str) -> str:
    """The platform's own version, on one line, and the kernel's driver where that is a file."""
    found = _first_match(r"Module.*?  ([\d.]+)", Path("/proc/driver/nvidia/version"))
    driver = (f"driver {found}",) if found else ()
    return ", ".join((" ".join(platform_version.split()), *driver))


def _cpu_model() -> str:
    """As the kernel names it; elsewhere than on Linux, as Python does."""
    found = _first_match(r"model name\s*: (.*)", Path("/proc/cpuinfo"))
    return " ".join((found or platform.processor() or platform.machine()).split())


def _first_match(pattern: str, file: Path) -> str | None:
    found = re.search(pattern, file.read_text()) if file.exists() else None
    return found and found[1]
