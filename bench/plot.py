"""The figure: how many times jaxent's time everyone took, as a map for each mode and contestant."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from bench.programs import IN_WORDS
from bench.report import number, peers_of
from bench.results import FLOOR, Results, run_of, slowdown

CELL_INCHES, NAMES_INCHES, TITLE_INCHES, HEADING_INCHES = (0.62, 0.3), 4.2, 3.2, 1.6
# White is as fast as jaxent; from here on the colours get no stronger.
STRONGEST = 8
# pgf takes a TeX installation.
FORMATS = sorted(Figure().canvas.get_supported_filetypes().keys() - {"pgf"})


def save(results: Results, file: Path) -> None:
    """Draws the results into a file whose suffix is the format."""
    plot(results).savefig(file, dpi=110)


def plot(results: Results) -> Figure:
    """A row of maps for each mode, a map in it for each peer and for the floor."""
    modes = list(dict.fromkeys(cell.mode for cell in results))
    names = [*peers_of(results), FLOOR]
    lines = list(dict.fromkeys((cell.loss, cell.dtype) for cell in results))
    shapes = list(dict.fromkeys(str(cell.shape) for cell in results))
    width, height = (size * len(of) for size, of in zip(CELL_INCHES, (shapes, lines), strict=True))
    width = max(width, TITLE_INCHES)
    size = NAMES_INCHES + (width + 0.3) * len(names), (height + HEADING_INCHES) * len(modes) + 1
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(modes), len(names), sharex=True, sharey=True, squeeze=False)
    for mode, row in zip(modes, grid, strict=True):
        of_mode = {cell: contest for cell, contest in results.items() if cell.mode == mode}
        for name, axes in zip(names, row, strict=True):
            _draw(axes, of_mode, name, lines, shapes)
            title = f"{IN_WORDS[mode]}:\n{_title(name)}"
            axes.set_title(title, fontsize="medium", fontweight="bold")
    heading = (
        "Times over jaxent's: blue above 1, where jaxent is faster, and red below,"
        " and nothing where a peer has no such loss"
    )
    figure.suptitle(f"{heading}\n{run_of(results)}".replace("; ", "\n"), fontsize="medium")
    return figure


def _title(name: str) -> str:
    return "jaxent ÷ floor" if name == FLOOR else f"{name} ÷ jaxent"


def _draw(
    axes: Axes, results: Results, name: str, lines: list[tuple[str, str]], shapes: list[str]
) -> None:
    ratios = np.full((len(lines), len(shapes)), np.nan)
    for cell, contest in results.items():
        place = lines.index((cell.loss, cell.dtype)), shapes.index(str(cell.shape))
        over = ("jaxent", FLOOR) if name == FLOOR else (name, "jaxent")
        ratio = slowdown(contest, *over)
        wrong = name in contest and contest[name].wrong
        if wrong or ratio is not None:
            text = "wrong" if wrong else number(ratio, 2)
            line, column = place
            axes.text(column, line, text, ha="center", va="center", fontsize="x-small")
        ratios[place] = np.nan if wrong or ratio is None else ratio
    colors = "Greys" if name == FLOOR else "RdBu"
    lowest = 1 if name == FLOOR else 1 / STRONGEST
    # Lighter than the map's ends, so that the numbers on them are read.
    image = axes.imshow(ratios, colors, norm=LogNorm(lowest, STRONGEST), aspect="auto", alpha=0.75)
    image.set_clim(lowest / 2, STRONGEST * 2)
    axes.set_xticks(range(len(shapes)), shapes, rotation=60, ha="right", fontsize="x-small")
    axes.set_yticks(range(len(lines)), [f"{loss} {dtype}" for loss, dtype in lines])
    axes.tick_params(labelsize="x-small", length=0)
