"""The figure: everyone's time relative to jaxent's, a panel for each loss."""

from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from bench.report import peers_of
from bench.results import FLOOR, Cell, Contest, Results, run_of, slowdown

COLUMNS, COLUMN_INCHES = 2, 7.5
HEADING_INCHES, PANEL_INCHES, LINE_INCHES = 1.2, 0.8, 0.25
MARKERS = {
    FLOOR: {"marker": "|", "color": "black", "markersize": 11, "markeredgewidth": 2},
    "optax": {"marker": "o", "color": "tab:blue"},
    "keras": {"marker": "^", "color": "tab:red"},
    "torch": {"marker": "s", "color": "tab:orange"},
}


def save(results: Results, file: Path) -> None:
    """Draws the results into a file whose suffix is the format."""
    file.parent.mkdir(parents=True, exist_ok=True)
    plot(results).savefig(file, dpi=110)


def plot(results: Results) -> Figure:
    """One panel for each loss and mode, one line in it for each shape and dtype."""
    panels: dict[str, dict[Cell, Contest]] = {}
    for cell, contest in results.items():
        panels.setdefault(f"{cell.loss}, {cell.mode}", {})[cell] = contest
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    lines = max(map(len, panels.values()))
    height = HEADING_INCHES + rows * (PANEL_INCHES + LINE_INCHES * lines)
    figure = Figure(figsize=(COLUMN_INCHES * columns, height), layout="constrained")
    grid = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    for axes, (title, panel) in zip(grid, panels.items(), strict=False):
        axes.set_title(title, loc="left", fontsize="medium", fontweight="bold")
        _draw(axes, panel)
    _scale(grid[0])
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.supxlabel("time over jaxent's time, logarithmic", fontsize="medium")
    heading = f"Time relative to jaxent's: right of 1, jaxent is faster\n{run_of(results)}"
    style = {"loc": "outside upper center", "ncols": len(MARKERS) + 1, "frameon": False}
    figure.legend(*_legend(grid), title=heading.replace("; ", "\n"), **style)
    return figure


def _draw(axes: Axes, panel: Results) -> None:
    axes.axvline(1, color="tab:green", linewidth=2, label="jaxent")
    for line, contest in enumerate(panel.values()):
        for name in (FLOOR, *peers_of(panel)):
            _mark(axes, line, contest, name)
        wrong = [name for name, m in contest.items() if m.wrong]
        if wrong:
            text = f"wrong:\n{', '.join(wrong)}"
            beside = {"va": "center", "transform": axes.get_yaxis_transform()}
            axes.text(1.01, line, text, color="tab:red", fontsize="x-small", **beside)
    axes.set_yticks(range(len(panel)), [f"{cell.shape} {cell.dtype}" for cell in panel])
    axes.set_ylim(len(panel) - 0.5, -0.5)
    axes.tick_params(axis="x", labelbottom=True)
    axes.grid(alpha=0.3)


def _scale(axes: Axes) -> None:
    """The axis of ratios, which all panels share."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > 1000 * low else (1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mark(axes: Axes, line: int, contest: Contest, name: str) -> None:
    """A marker at the ratio of the medians, with the quartiles of the time above it."""
    ratio = slowdown(contest, name, "jaxent")
    if ratio is None:
        return
    m, ours = contest[name], contest["jaxent"].median_ms
    ends = [x / ours for x in (m.low_ms, m.high_ms) if x is not None and ours is not None]
    style = MARKERS[name]
    axes.plot(ends, [line] * len(ends), color=style["color"], linewidth=1.5, alpha=0.6)
    axes.plot([ratio], [line], linestyle="", label=name, **style)


def _legend(grid: list[Axes]) -> tuple[list[Artist], list[str]]:
    """Every label once, whichever panel it is in."""
    found: dict[str, Artist] = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        found = dict(zip(labels, handles, strict=True)) | found
    names = [name for name in ("jaxent", *MARKERS) if name in found]
    return [found[name] for name in names], names
