"""The tables that are printed."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bench.compare import Change
from bench.results import FLOOR, Cell, Contest, Measurement, Results, run_of, slowdown
from bench.runs import differences

# Narrow, so that a table of several peers fits into a terminal.
STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAVY, "padding": (0, 1, 0, 0), "pad_edge": False}


def wide_console() -> Console:
    """A console on which tables do not wrap where there is no terminal: a pipe has no edge."""
    made = Console()
    if not made.is_terminal:
        made.width = 200
    return made


def report(results: Results) -> Group:
    """A table for each loss and mode, and below them who was wrong."""
    groups: dict[tuple[str, str], dict[Cell, Contest]] = {}
    for cell, contest in results.items():
        groups.setdefault((cell.loss, cell.mode), {})[cell] = contest
    tables = [_table(f"{loss}, {mode}", group) for (loss, mode), group in groups.items()]
    return Group(*tables, *complaints(results))


def peers_of(results: Results) -> list[str]:
    """Everyone beside jaxent and the floor, in the order they came in."""
    names = (name for contest in results.values() for name in contest)
    return list(dict.fromkeys(name for name in names if name not in ("jaxent", FLOOR)))


def _table(title: str, results: Results) -> Table:
    peers = peers_of(results)
    libraries = ["jaxent", *peers]
    compiled = [
        name
        for name in libraries
        if any(name in c and c[name].compile_s is not None for c in results.values())
    ]
    table = Table(title=title, title_justify="left", title_style="bold", **STYLE)
    for column in ("shape", "dtype"):
        table.add_column(column, no_wrap=True)
    table.add_column("jaxent\nms", justify="right")
    table.add_column("\nspread", justify="right")
    for peer in peers:
        table.add_column(f"{peer}\nms (÷ jaxent)", justify="right")
    table.add_column("jaxent\n÷ floor", justify="right")
    table.add_column("jaxent\nGB/s", justify="right")
    if compiled:
        table.add_column("temp MB\n" + " / ".join(compiled), justify="right")
        table.add_column("compile s\n" + " / ".join(compiled), justify="right")
    for cell, contest in results.items():
        ours = contest["jaxent"]
        row = [str(cell.shape), cell.dtype, _median(ours), _spread(ours)]
        row += [_with_ratio(contest, peer) for peer in peers]
        row += [number(slowdown(contest, "jaxent", FLOOR)), number(ours.gb_per_s)]
        if compiled:
            row += [" / ".join(_temporaries(contest, name) for name in compiled)]
            row += [" / ".join(_compile_time(contest, name) for name in compiled)]
        table.add_row(*row)
    return table


def complaints(results: Results) -> list[Text]:
    """A line for everyone who was not timed because their numbers are wrong."""
    return [
        Text(f"{name} is wrong in {cell.loss}, {cell.mode}, {cell.shape} {cell.dtype}: {m.wrong}")
        for cell, contest in results.items()
        for name, m in contest.items()
        if m.wrong
    ]


def changed(found: Sequence[Change], old: Results, new: Results) -> Group:
    """Who got faster or slower between two files, and who is wrong in the new one."""
    both, ours = len(old.keys() & new.keys()), sum(c.contestant == "jaxent" for c in found)
    verdict = Text(
        f"{len(found)} changes beyond the spread, {ours} of them jaxent's, in {both} cells that"
        " both files have."
    )
    others = differences(run_of(old), run_of(new))
    doubt = [Text(f"What else may have made them: {', '.join(others)}.")]
    return Group(
        verdict,
        *(doubt if found and others else []),
        *([_changes(found)] if found else []),
        *complaints(new),
    )


def _changes(found: Sequence[Change]) -> Table:
    table = Table(**STYLE)
    for column in ("loss", "mode", "shape", "dtype", "contestant"):
        table.add_column(column, overflow="fold")
    for column in ("old ms", "new ms", "at least"):
        table.add_column(column, justify="right")
    for cell, contestant, old, new, ratio in found:
        verdict = f"{ratio:.2f} times slower" if ratio > 1 else f"{1 / ratio:.2f} times faster"
        style = "red" if ratio > 1 else "green"
        place = (cell.loss, cell.mode, str(cell.shape), cell.dtype, contestant)
        table.add_row(*place, _median(old), _median(new), Text(verdict, style=style))
    return table


def number(x: float | None, digits: int = 3) -> str:
    """With that many significant digits and no exponent; nothing for what was not measured."""
    if x is None:
        return ""
    decimals = digits - 1 - math.floor(math.log10(x)) if x else 0
    return f"{x:.{min(max(decimals, 0), 6)}f}"


def _median(m: Measurement) -> str:
    return "wrong" if m.wrong else number(m.median_ms)


def _spread(m: Measurement) -> str:
    """Half the distance between the quartiles."""
    if m.low_ms is None or m.median_ms is None or m.high_ms is None:
        return ""
    return f"±{(m.high_ms - m.low_ms) / 2 / m.median_ms:.0%}"


def _with_ratio(contest: Contest, peer: str) -> str:
    if peer not in contest or contest[peer].wrong:
        return "wrong" if peer in contest else ""
    ratio = slowdown(contest, peer, "jaxent")
    return _median(contest[peer]) + (f" ({number(ratio)}×)" if ratio is not None else "")


def _temporaries(contest: Contest, name: str) -> str:
    temporaries = contest[name].temp_bytes if name in contest else None
    if temporaries is None:
        return "–"
    return "<0.01" if 0 < temporaries < 1e4 else number(temporaries / 1e6)


def _compile_time(contest: Contest, name: str) -> str:
    seconds = contest[name].compile_s if name in contest else None
    return "–" if seconds is None else f"{seconds:.2f}"
