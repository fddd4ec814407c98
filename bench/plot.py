"""The figure: for each case a dot for each shape, dtype and peer, at its time over jaxent's."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.results import IN_WORDS, peers_of

INCHES_A_LINE, FURTHEST = 0.21, 32
HALVES = {"float32": "o", "bfloat16": "^"}


def save(found: pd.DataFrame, file: Path) -> None:
    """Draws a panel for each mode."""
    peers = peers_of(found)
    losses, modes = list(peers.loss.unique()), list(peers["mode"].unique())
    size = 5 + 4 * len(modes), 1.6 + INCHES_A_LINE * len(losses)
    figure = Figure(figsize=size, layout="constrained")
    (row,) = figure.subplots(1, len(modes), sharey=True, squeeze=False)
    for mode, axes in zip(modes, row, strict=True):
        for i, who in enumerate(peers.contestant.unique()):
            for dtype, marker in HALVES.items():
                dots = peers.query("mode == @mode and contestant == @who and dtype == @dtype")
                x, y = dots.ratio.clip(1 / FURTHEST, FURTHEST), dots.loss.map(losses.index)
                axes.plot(x, y, marker, color=f"C{i}", label=f"{who}, {dtype}", ms=4, alpha=0.7)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.grid(alpha=0.3)
        axes.set_title(IN_WORDS[mode], fontsize="medium")
        axes.set_xlabel("time ÷ jaxent's: right of 1, jaxent is faster")
    row[0].set_yticks(range(len(losses)), losses, fontsize="x-small")
    row[0].set_ylim(len(losses) - 0.5, -0.5)
    row[0].legend(fontsize="x-small")
    figure.savefig(file, dpi=80)
