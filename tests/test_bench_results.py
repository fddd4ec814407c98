"""What the bench does with results: the file, comparisons, the page of benchmarks, figures."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bench import memory, results
from bench.__main__ import main

RUN = "2026-01-02, on A CPU, 2 cores, load 0.1; jax 1"
SHAPES = "64×100", "64×200"


def record(contestant, ratio, shape="64×100", spread=0.02, **changed):
    fields = {"loss": "squared_error", "mode": "grad", "shape": shape, "dtype": "float32"}
    fields |= {"contestant": contestant, "ms": 2 * ratio, "low": ratio * (1 - spread)}
    fields |= {"ratio": ratio, "high": ratio * (1 + spread), "temp_mb": 0.0, "compile_s": 0.1}
    return fields | {"wrong": None} | changed


def measured(optax=(2.5, 1.5), floor=0.5, **changed):
    return [
        record(who, ratio, shape, **changed)
        for shape, theirs in zip(SHAPES, optax, strict=True)
        for who, ratio in (("jaxent", 1.0), ("optax", theirs), ("floor", floor))
    ]


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "results.csv"
    results.append(file, [*measured(), record("keras", float("nan"), wrong="value off")], RUN)
    return file


def test_results_are_read_back_and_a_later_run_replaces_an_earlier_one(file):
    assert results.read(file).attrs["runs"] == [RUN]
    results.append(file, measured(optax=(3.0, 3.0)), "a later run")
    found = results.read(file)
    assert found.attrs["runs"] == [RUN, "a later run"]
    assert len(found) == 7
    assert set(found.query("contestant == 'optax'").ratio) == {3.0}


@pytest.mark.parametrize("text", ["", "{}\n", "loss,mode\n1,2\n"])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    file = tmp_path / "results.csv"
    file.write_text(text)
    for option in ("--from", "--page"):
        with pytest.raises(SystemExit, match="2"):
            main([option, str(file)])


def test_lines_have_times_and_ratios(file, capsys):
    assert main(["--from", str(file)]) == 0
    said = capsys.readouterr().out
    assert "jaxent 2.00 ms   optax 5.00 ms 2.50× (2.45–2.55)   floor 1.00 ms 0.50×" in said
    assert "keras is WRONG: value off" in said
    assert RUN in said


def frames(**changed):
    return pd.DataFrame(measured()), pd.DataFrame(measured(**changed))


@pytest.mark.parametrize("factor", [1.5, 1 / 1.5])
def test_a_change_of_jaxent_s_is_found(factor):
    """Everyone else's time over jaxent's changes by it."""
    found = results.changes(*frames(optax=(2.5 / factor, 1.5 / factor), floor=0.5 / factor))
    assert list(found["shape"]) == list(SHAPES)
    assert list(found["new ÷ old"]) == pytest.approx([factor] * 2)


@pytest.mark.parametrize(
    "changed",
    [{}, {"optax": (5.0, 3.0)}, {"floor": 0.1}, {"optax": (2.4, 1.44), "floor": 0.48}],
    ids=["nothing", "a peer", "the floor", "less than 5 %"],
)
def test_no_change_of_jaxent_s_is_found(changed):
    assert results.changes(*frames(**changed)).empty


def test_changes_within_the_spread_are_none():
    old, new = frames(optax=(1.9, 1.1), floor=0.4, spread=0.4)
    assert results.changes(old.assign(low=old.ratio * 0.6), new).empty


def test_results_without_a_cell_in_common_are_no_comparison():
    old, new = frames()
    with pytest.raises(SystemExit, match="nothing to compare"):
        results.changes(old, new.assign(shape="another"))


def test_the_command_line_compares(file, capsys):
    assert main(["--compare", str(file), str(file)]) == 0
    assert "no change beyond the spread" in capsys.readouterr().out


def test_the_page_is_rewritten_between_the_markers(file, tmp_path, monkeypatch):
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    monkeypatch.setattr(results, "PAGE", page)
    for _ in range(2):
        assert main(["--page", str(file)]) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{results.BEGIN}\n")
    assert text.endswith(f"{results.END}\nafter\n")
    assert "old" not in text
    assert text.count(RUN) == 1
    assert "| the mean and its gradient, compiled | 2 of 2, 1.9× |" in text
    assert "| squared_error | optax | 1.5–2.5 |" in text
    assert "- none" in text
    assert "- keras is wrong in `squared_error`: value off" in text
    results.append(file, measured(optax=(0.5, 0.5)))
    results.rewrite(page, results.read(file))
    assert "- `squared_error`, float32, grad: optax 0.50" in page.read_text()


def test_a_page_without_markers_is_left_alone(file, tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="markers"):
        results.rewrite(page, results.read(file))
    assert page.read_text() == "nothing"
    assert results.PAGE.read_text().count(results.BEGIN) == 1


def drawn_by(monkeypatch, draw):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    draw()
    (figure,) = figures
    return figure


def test_the_figure_has_every_ratio(file, monkeypatch):
    argv = ["--from", str(file), "--plot", "figure.png"]
    (axes,) = drawn_by(monkeypatch, lambda: main(argv)).axes
    dots = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert dots["optax, float32"] == [2.5, 1.5]
    assert dots["optax, bfloat16"] == []


def test_the_figure_of_memory_has_both_and_what_is_allowed(monkeypatch, tmp_path):
    found = pd.DataFrame(
        {"target": target, "jaxent": 1.0, "optax": p["rows"], "allowed": p["budget"]} | p
        for p in memory.sizes()
        for target in memory.TARGETS
    )
    figure = drawn_by(monkeypatch, lambda: memory.plot(found, tmp_path / "figure.png"))
    for axes, values in zip(figure.axes, [*memory.VARIED.values()] * 2, strict=True):
        labels = [line.get_label() for line in axes.lines]
        assert labels == ["jaxent", "optax", "budget and ∂kernel"]
        x = axes.lines[0].get_xdata()
        assert list(x / x[0]) == [value / values[0] for value in values]
