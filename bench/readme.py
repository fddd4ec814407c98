"""The README's measured section, written between two markers from a result file."""

from collections import Counter
from pathlib import Path
from statistics import geometric_mean

from bench.programs import IN_WORDS
from bench.report import number, peers_of
from bench.results import FLOOR, Results, run_of, slowdown

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- measured: written by `python -m bench --readme FILE` -->"
END = "<!-- end of what was measured -->"


def rewrite(readme: Path, results: Results) -> None:
    """Puts the section in place of what stands between the markers."""
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme} must hold the markers {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{section(results)}{END}{after}")


def section(results: Results) -> str:
    """Who is faster how often, and a table for each mode with a row for each loss and dtype."""
    run = run_of(results)
    modes = list(dict.fromkeys(cell.mode for cell in results))
    shapes = ", ".join(str(shape) for shape in dict.fromkeys(cell.shape for cell in results))
    parts = [
        f"Measured on {run.started[:10]}, on {run}; at {shapes}.",
        "In how many cells, each a loss at a shape and dtype, jaxent is as fast as a peer or"
        " faster, and the geometric mean over the cells of the peer's time over jaxent's:",
        _summary(modes, results),
        "Slower than a peer in the geometric mean over the shapes:",
        "\n".join(f"- {IN_WORDS[mode]}: {_behind(mode, results)}" for mode in modes),
        "By loss, a peer's column is its time over jaxent's, so above 1 jaxent is faster; the last"
        " one is jaxent's time over the floor's, which is one pass of exponentials over the logits"
        " on a CPU, below which a value can be, as it writes nothing, and a copy of the bytes that"
        " must move elsewhere. The range is over the shapes.",
        *(_table(mode, results) for mode in modes),
        *_wrong(results),
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def _summary(modes: list[str], results: Results) -> str:
    peers = peers_of(results)
    rows = [["", *peers], ["---", *("---:" for _ in peers)]]
    rows += [[IN_WORDS[mode], *(_faster(mode, peer, results) for peer in peers)] for mode in modes]
    return _markdown(rows)


def _behind(mode: str, results: Results) -> str:
    """Each peer with the losses, and their dtypes, that it is faster in on the whole."""
    lines = []
    for peer in peers_of(results):
        slower: dict[str, list[str]] = {}
        for loss, dtype in dict.fromkeys((cell.loss, cell.dtype) for cell in results):
            of_loss = {
                cell: contest
                for cell, contest in results.items()
                if (cell.loss, cell.dtype) == (loss, dtype)
            }
            ratios = _ratios(mode, peer, of_loss)
            if ratios and (mean := geometric_mean(ratios)) < 1:
                slower.setdefault(loss, []).append(f"{dtype} {number(mean, 2)}")
        if slower:
            losses = (f"`{loss}` ({', '.join(of)})" for loss, of in slower.items())
            lines.append(f"{peer} in {', '.join(losses)}")
    return "; ".join(lines) or "none"


def _ratios(mode: str, peer: str, results: Results) -> list[float]:
    """The peer's times over jaxent's, where both were timed."""
    contests = (contest for cell, contest in results.items() if cell.mode == mode)
    return [r for r in (slowdown(c, peer, "jaxent") for c in contests) if r is not None]


def _faster(mode: str, peer: str, results: Results) -> str:
    ratios = _ratios(mode, peer, results)
    if not ratios:
        return ""
    faster = sum(ratio >= 1 for ratio in ratios)
    return f"{faster} of {len(ratios)}, {number(geometric_mean(ratios), 2)}×"


def _wrong(results: Results) -> list[str]:
    """A line for each loss that someone has wrong, with one of the cells."""
    first, counts = {}, Counter()
    for cell, contest in results.items():
        for name, m in contest.items():
            if m.wrong:
                first.setdefault((name, cell.loss), f"{cell.shape} {cell.dtype}: {m.wrong}")
                counts[name, cell.loss] += 1
    return [
        f"- {name} is wrong in {_cells(counts[name, loss])} of `{loss}`, such as {example}"
        for (name, loss), example in first.items()
    ]


def _cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"


def _table(mode: str, results: Results) -> str:
    chosen = {cell: contest for cell, contest in results.items() if cell.mode == mode}
    peers = peers_of(chosen)
    rows = [
        ["loss", "dtype", *(f"{peer} ÷ jaxent" for peer in peers), "jaxent ÷ floor"],
        ["---", "---", *("---:" for _ in peers), "---:"],
    ]
    for loss, dtype in dict.fromkeys((cell.loss, cell.dtype) for cell in chosen):
        contests = [c for cell, c in chosen.items() if (cell.loss, cell.dtype) == (loss, dtype)]
        ratios = [[slowdown(c, peer, "jaxent") for c in contests] for peer in peers]
        ratios.append([slowdown(c, "jaxent", FLOOR) for c in contests])
        rows.append([f"`{loss}`", dtype, *map(_range, ratios)])
    return f"{IN_WORDS[mode].capitalize()}:\n\n{_markdown(rows)}"


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _range(ratios: list[float | None]) -> str:
    timed = sorted(ratio for ratio in ratios if ratio is not None)
    if not timed:
        return ""
    low, high = number(timed[0], 2), number(timed[-1], 2)
    return low if low == high else f"{low}–{high}"
