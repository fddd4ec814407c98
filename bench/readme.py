"""The README's measured section, written between two markers from a result file."""

from pathlib import Path

from bench.report import complaints, number, peers_of
from bench.results import FLOOR, Results, run_of, slowdown

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- measured: written by `python -m bench --readme FILE` -->"
END = "<!-- end of what was measured -->"
MODES = {
    "value": "the mean, compiled",
    "grad": "the mean and its gradient, compiled",
    "eager": "the losses, not compiled by the caller",
}


def rewrite(readme: Path, results: Results) -> None:
    """Puts the section in place of what stands between the markers."""
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme} must hold the markers {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{section(results)}{END}{after}")


def section(results: Results) -> str:
    """A table for each mode, with a row for each loss and dtype."""
    run = run_of(results)
    modes = dict.fromkeys(cell.mode for cell in results)
    parts = [
        f"Measured on {run.started[:10]}, on {run}.",
        "A peer's column is its time over jaxent's, so above 1 jaxent is faster; the last one is"
        " jaxent's time over the floor's. Where the shapes differ, the range over them is given.",
        *(_table(mode, results) for mode in modes),
        *(f"- {line}" for line in complaints(results)),
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def _table(mode: str, results: Results) -> str:
    chosen = {cell: contest for cell, contest in results.items() if cell.mode == mode}
    peers = peers_of(chosen)
    shapes = ", ".join(str(shape) for shape in dict.fromkeys(cell.shape for cell in chosen))
    rows = [
        ["loss", "dtype", *(f"{peer} ÷ jaxent" for peer in peers), "jaxent ÷ floor"],
        ["---", "---", *("---:" for _ in peers), "---:"],
    ]
    for loss, dtype in dict.fromkeys((cell.loss, cell.dtype) for cell in chosen):
        contests = [c for cell, c in chosen.items() if (cell.loss, cell.dtype) == (loss, dtype)]
        ratios = [[slowdown(c, peer, "jaxent") for c in contests] for peer in peers]
        ratios.append([slowdown(c, "jaxent", FLOOR) for c in contests])
        rows.append([f"`{loss}`", dtype, *map(_range, ratios)])
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{MODES[mode].capitalize()}, at {shapes}:\n\n{lines}"


def _range(ratios: list[float | None]) -> str:
    timed = sorted(ratio for ratio in ratios if ratio is not None)
    if not timed:
        return ""
    low, high = number(timed[0], 2), number(timed[-1], 2)
    return low if low == high else f"{low}–{high}"
