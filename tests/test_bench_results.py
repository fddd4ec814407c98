"""What the bench does with results: files, tables, comparisons, the README, the figure."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bench import plot, readme
from bench.__main__ import main
from bench.compare import changes
from bench.report import changed, report
from bench.results import FLOOR, Measurement, append, by_cell, read, run_of
from bench.runs import Run

RUN = Run("2026-01-02T03:04:05+00:00", 0.1, "cpu", "", "A CPU", 2, {"jax": "1", "optax": "2"})


def printed(*renderables):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(*renderables)
    return capture.get()


def measurement(contestant="jaxent", median=1.0, spread=0.02, classes=100, run=RUN, **changed):
    """A measurement that was not made."""
    fields = {
        "loss": "squared_error",
        "shape": "",
        "rows": 64,
        "classes": classes,
        "dtype": "float32",
        "mode": "grad",
        "contestant": contestant,
        "wrong": None,
        "rounds": 9,
        "low_ms": median * (1 - spread),
        "median_ms": median,
        "high_ms": median * (1 + spread),
        "moved_bytes": 10**6,
        "temp_bytes": 3,
        "compile_s": 0.5,
        "run": run,
    }
    return Measurement(**fields | changed)


WRONG = {"wrong": "value off", "rounds": 0, "low_ms": None, "median_ms": None, "high_ms": None}
MEASURED = [
    measurement("jaxent", 2.0),
    measurement("optax", 5.0),
    measurement(FLOOR, 0.5),
    measurement("jaxent", 4.0, classes=200),
    measurement("optax", 6.0, classes=200),
    measurement("keras", classes=200, **WRONG),
    measurement(FLOOR, 2.0, classes=200),
]


def test_results_are_appended_and_read_back(tmp_path):
    file = tmp_path / "results.jsonl"
    append(file, MEASURED[:3])
    append(file, MEASURED[3:])
    assert read(file) == MEASURED
    assert len(file.read_text().splitlines()) == len(MEASURED)
    assert json.loads(file.read_text().splitlines()[0])["run"]["cpu"] == "A CPU"


@pytest.mark.parametrize("text", ["", "{}\n", "no JSON\n", '{"run": 3}\n'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    file = tmp_path / "results.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match="no measurement"):
        read(file)
    for option in ("--from", "--readme"):
        with pytest.raises(SystemExit, match="2"):
            main([option, str(file)])


@pytest.mark.parametrize(
    ("reads", "beside"),
    [
        ("--from", "--json new.jsonl"),
        ("--from", "--shapes COCO"),
        ("--from", "--compare {0} {0}"),
        ("--readme", "--rounds 3"),
        ("--readme", "--plot new.png"),
        ("--readme", "--loss focal"),
    ],
)
def test_what_reading_a_file_would_ignore_is_refused(tmp_path, capsys, monkeypatch, reads, beside):
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "results.jsonl"
    append(file, MEASURED)
    with pytest.raises(SystemExit, match="2"):
        main([reads, str(file), *beside.format(file).split()])
    said = capsys.readouterr().err
    assert f"argument {beside.split()[0]}: not allowed with argument {reads}" in said


def test_a_later_run_replaces_a_cell_and_is_never_mixed_with_an_earlier_one():
    later = replace(RUN, started="2026-02-02T00:00:00+00:00")
    again = [measurement("jaxent", 3.0, run=later), measurement(FLOOR, 1.0, run=later)]
    first, second = by_cell([*MEASURED, *again]).values()
    assert first == {"jaxent": again[0], FLOOR: again[1]}
    assert second.keys() == {"jaxent", "optax", "keras", FLOOR}


def test_machines_and_versions_are_not_mixed():
    assert run_of(by_cell(MEASURED)) == RUN
    for other in (replace(RUN, cpu="Another"), replace(RUN, versions={"jax": "2"})):
        with pytest.raises(ValueError, match="machines or versions"):
            run_of(by_cell([*MEASURED, measurement(classes=300, run=other)]))


def test_the_table_has_times_and_ratios():
    text = printed(report(by_cell(MEASURED)))
    assert "64×100  float32    2.00     ±2%   5.00 (2.50×)" in text
    assert "  4.00   0.500 " in text  # over the floor, and GB/s
    assert "keras is wrong in squared_error, grad, 64×200 float32: value off" in text


def scaled(factor, who=("jaxent", "optax", FLOOR)):
    return [
        replace(m, **{k: getattr(m, k) * factor for k in ("low_ms", "median_ms", "high_ms")})
        if m.contestant in who and not m.wrong
        else m
        for m in MEASURED
    ]


@pytest.mark.parametrize(("factor", "word"), [(1.5, "slower"), (1 / 1.5, "faster")])
def test_compare_finds_a_planted_change(factor, word):
    old, new = by_cell(MEASURED), by_cell(scaled(factor, ["jaxent"]))
    found = changes(old, new)
    assert [(c.cell.shape.classes, c.contestant) for c in sorted(found)] == [
        (100, "jaxent"),
        (200, "jaxent"),
    ]
    assert all(c.ratio == pytest.approx(factor) for c in found)
    assert f"1.50 times {word}" in printed(changed(found, old, new))


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({}, ""),
        ({"cpu": "Another"}, "the machine"),
        ({"load": 3.0}, "other work on the machine"),
        ({"versions": {"jax": "3", "optax": "2"}}, "jax"),
    ],
)
def test_compare_says_what_else_is_different(change, doubt):
    other = replace(RUN, **change)
    old, new = by_cell(MEASURED), by_cell([replace(m, run=other) for m in scaled(3.0, ["jaxent"])])
    text = printed(changed(changes(old, new), old, new))
    assert "2 changes beyond the spread, 2 of them jaxent's, in 2 cells" in text
    assert ("What else may have made them" in text) == bool(doubt)
    assert f"made them: {doubt}." in text or not doubt


def test_compare_is_silent_about_noise():
    rng = np.random.default_rng(0)
    old = by_cell(MEASURED)
    for _ in range(100):
        shaken = [
            m if m.wrong else measurement(m.contestant, m.median_ms * drift, classes=m.classes)
            for m, drift in zip(MEASURED, 1 + rng.uniform(-0.025, 0.025, 7), strict=True)
        ]
        assert not changes(old, by_cell(shaken))
    # A change as large as one that is found, where the spread is as large.
    wide = [measurement("jaxent", 2.0, spread=0.3), *MEASURED[1:3]]
    wider = [measurement("jaxent", 3.0, spread=0.3), *MEASURED[1:3]]
    assert not changes(by_cell(wide), by_cell(wider))


def test_compare_is_silent_about_a_busier_machine_and_a_disturbed_floor():
    old = by_cell(MEASURED)
    for who in (["jaxent", "optax", FLOOR], ["jaxent", "optax"], ["optax", FLOOR], [FLOOR]):
        assert not changes(old, by_cell(scaled(2.0, who)))


def test_the_readme_is_rewritten_between_the_markers(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    for _ in range(2):
        readme.rewrite(file, by_cell(MEASURED))
        text = file.read_text()
        assert text.startswith(f"before\n{readme.BEGIN}\n")
        assert text.endswith(f"{readme.END}\nafter\n")
        assert "old" not in text
        assert text.count("A CPU, 2 cores; jax 1, optax 2") == 1
        assert "| the mean and its gradient, compiled | 2 of 2, 1.9× |  |" in text
        assert "| `squared_error` | float32 | 1.5–2.5 |  | 2.0–4.0 |" in text
        assert "- the mean and its gradient, compiled: none\n" in text
        assert "- keras is wrong in 1 cell of `squared_error`, such as" in text
        readme.rewrite(file, by_cell(scaled(4.0, ["jaxent"])))
        behind = "- the mean and its gradient, compiled: optax in `squared_error` (float32 0.48)\n"
        assert behind in file.read_text()


def test_a_readme_without_markers_is_left_alone(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="markers"):
        readme.rewrite(file, by_cell(MEASURED))
    assert file.read_text() == "nothing"


def test_the_readme_has_its_markers():
    text = readme.README.read_text()
    assert text.count(readme.BEGIN) == text.count(readme.END) == 1


def test_the_figure_has_every_ratio(tmp_path):
    plot.save(by_cell(MEASURED), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    figure = plot.plot(by_cell(MEASURED))
    maps = {axes.get_title(): axes for axes in figure.axes}
    ratios = "optax ÷ jaxent", "keras ÷ jaxent", "jaxent ÷ floor"
    assert list(maps) == [f"the mean and its gradient, compiled:\n{ratio}" for ratio in ratios]
    texts = {title: [text.get_text() for text in axes.texts] for title, axes in maps.items()}
    assert list(texts.values()) == [["2.5", "1.5"], ["wrong"], ["4.0", "2.0"]]
    (image,) = next(iter(maps.values())).get_images()
    np.testing.assert_array_equal(image.get_array(), [[2.5, 1.5]])


def test_the_readme_is_written_from_the_command_line(tmp_path, monkeypatch):
    results, file = tmp_path / "results.jsonl", tmp_path / "README.md"
    append(results, MEASURED)
    file.write_text(readme.BEGIN + readme.END)
    monkeypatch.setattr(readme, "README", file)
    assert main(["--readme", str(results)]) == 0
    assert "A CPU" in file.read_text()
