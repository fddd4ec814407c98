"""Measurements: the file that keeps them, how two files differ, and the page of benchmarks.

A file has a header and one line for each contestant of a case, mode, shape and dtype:

ms                  the median time of a call, empty if the result is wrong
low, ratio, high    quartiles and median of its time over jaxent's in the same round
temp_mb, compile_s  the temporaries of the compiled program, and the time to compile it
wrong               what is wrong with the result

Comments name the machine and the versions of each run. A later run replaces an earlier one.
"""

import math
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import pandas as pd

CELL = ["loss", "mode", "shape", "dtype"]
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN = "<!-- measured: written by `python -m bench --page FILE` -->"
END = "<!-- end of what was measured -->"
IN_WORDS = {
    "grad": "the mean and its gradient, compiled",
    "value": "the mean, compiled",
    "eager": "the losses, not compiled by the caller",
}
LEAST_CHANGE = 1.05


def this_run(peers: Iterable[str]) -> str:
    """The day, the machine and the versions of what is timed."""
    device = jax.devices()[0]
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    cpu = named[1] if named else platform.machine()
    versions = ", ".join(f"{p} {version(p)}" for p in ("jax", "jaxlib", "optax", *peers))
    where = f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    if device.platform != "cpu":
        where = f"{device.device_kind}, host {where}"
    return f"{datetime.now(UTC):%Y-%m-%d}, on {where}; {versions}"


def append(file: Path, records: Sequence[Mapping[str, Any]], comment: str | None = None) -> None:
    """Adds records to a CSV file, behind a comment. A new file gets a header."""
    new = not file.exists()
    with file.open("a") as lines:
        if comment:
            lines.write(f"# {comment}\n")
        pd.DataFrame(records).to_csv(lines, header=new, index=False, float_format="%.4g")


def read(file: Path) -> pd.DataFrame:
    """The measurements, those of a later run in place of an earlier one's."""
    found = pd.read_csv(file, comment="#", dtype={"wrong": object})
    if missing := {*CELL, "contestant", "ms", "ratio"} - {*found.columns}:
        raise ValueError(f"{file} has no {', '.join(sorted(missing))}: it is not of this bench")
    found = found.drop_duplicates([*CELL, "contestant"], keep="last")
    found.attrs["runs"] = [x[2:] for x in file.read_text().splitlines() if x.startswith("# ")]
    return found


def lines(found: pd.DataFrame) -> list[str]:
    """A line for each cell, behind the name of its loss."""
    text = []
    for loss, of_loss in found.groupby("loss", sort=False):
        text.append(f"{loss}")
        for _, cell in of_loss.groupby(CELL, sort=False):
            m = cell.iloc[0]
            who = "   ".join(map(_contestant, cell.to_dict("records")))
            text.append(f"  {m['mode']:5} {m['dtype']:8} {m['shape']:26} {who}")
    return text


def _contestant(m: Mapping[str, Any]) -> str:
    if isinstance(m["wrong"], str):
        return f"{m['contestant']} is WRONG: {m['wrong']}"
    time = f"{m['contestant']} {number(m['ms'])} ms"
    if m["contestant"] == "jaxent" or math.isnan(m["ratio"]):
        return time
    return f"{time} {m['ratio']:.2f}× ({m['low']:.2f}–{m['high']:.2f})"


def number(x: float, digits: int = 3) -> str:
    """The number with significant digits and no exponent."""
    decimals = digits - 1 - math.floor(math.log10(abs(x))) if x else 0
    return f"{x:.{min(max(decimals, 0), 6)}f}"


def peers_of(found: pd.DataFrame) -> pd.DataFrame:
    """The records of optax, plain JAX and the other peers."""
    return found.query("contestant not in ['jaxent', 'floor'] and ratio.notna()")


def changes(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The cells where jaxent got faster or slower, by the new time over the old one.

    A machine is never equally fast twice, so jaxent's time is compared with everyone else's of the
    same round. The quartiles must be apart for all of them. The least of the changes counts.
    """
    both = old.merge(new, on=[*CELL, "contestant"], suffixes=("_old", "_new"))
    if both.empty:
        raise SystemExit("nothing to compare: the files have no case, shape and dtype in common")
    both = both[both.contestant != "jaxent"].assign(
        change=lambda b: b.ratio_old / b.ratio_new,
        slower=lambda b: b.high_new < b.low_old,
        faster=lambda b: b.low_new > b.high_old,
    )
    cells = both.groupby(CELL, sort=False).agg(
        least=("change", "min"),
        most=("change", "max"),
        slower=("slower", "all"),
        faster=("faster", "all"),
    )
    slower = cells.query("slower and least > @LEAST_CHANGE").least
    faster = cells.query("faster and 1 / most > @LEAST_CHANGE").most
    changed = pd.concat([slower, faster]).to_frame("new ÷ old").reset_index()
    return changed.sort_values("new ÷ old")


def geometric_mean(ratios: pd.Series) -> float:
    return math.exp(ratios.map(math.log).mean())


def behind(found: pd.DataFrame) -> pd.Series:
    """Geometric means over shapes, rounded, below 1: a peer is faster."""
    by = ["mode", "contestant", "loss", "dtype"]
    means = peers_of(found).groupby(by, sort=False).ratio.agg(geometric_mean).round(2)
    return means[means < 1]


def rewrite(page: Path, found: pd.DataFrame) -> None:
    """Replaces the text between the markers."""
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page} needs the markers {BEGIN} and {END}, each once")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{section(found)}\n\n{END}{after}")


def section(found: pd.DataFrame) -> str:
    peers = peers_of(found)
    wins = peers.groupby(["mode", "contestant"], sort=False).ratio.agg(
        lambda r: f"{(r >= 1).sum()} of {len(r)}, {number(geometric_mean(r), 2)}×"
    )
    ranges = peers.groupby(["loss", "contestant", "mode", "dtype"], sort=False).ratio.agg(
        lambda r: "–".join(dict.fromkeys(number(x, 2) for x in (r.min(), r.max())))
    )
    slower = [
        f"- `{m['loss']}`, {m['dtype']}, {m['mode']}: {m['contestant']} {m['ratio']:.2f}"
        for m in behind(found).reset_index().to_dict("records")
    ]
    wrong = [
        f"- {m['contestant']} is wrong in `{m['loss']}`: {m['wrong']}"
        for m in found.query("wrong.notna()")
        .drop_duplicates(["contestant", "loss"])
        .to_dict("records")
    ]
    parts = [
        *(f"Measured on {run}." for run in found.attrs["runs"]),
        f"Shapes: {', '.join(found['shape'].unique())}.",
        "In how many cases at a shape and dtype jaxent is as fast as a peer or faster, and the"
        " geometric mean of the peer's time over jaxent's (`jax` is the plain formula):",
        markdown(wins.unstack(sort=False).rename(index=IN_WORDS)),
        "Slower than a peer in the geometric mean over the shapes:",
        "\n".join(slower) or "- none",
        "The peer's time over jaxent's, from the least to the most of the shapes. Above 1, jaxent"
        " is faster:",
        markdown(ranges.unstack([2, 3], sort=False)),
        *wrong,
    ]
    return "\n\n".join(parts)


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table of a frame, its index as columns."""
    index = [" ".join(x) if isinstance(x, tuple) else str(x) for x in table.columns]
    names = [name or "" for name in table.index.names]
    rows = [[*names, *index], ["---"] * len(names) + ["---:"] * len(index)]
    for key, cells in zip(table.index, table.fillna("").to_numpy(), strict=True):
        rows.append([*(key if isinstance(key, tuple) else (key,)), *cells])
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
