"""The bench from the command line: what it takes, what it refuses, and what it writes."""

import jax
import pytest

import jaxent
from bench import __main__
from bench.__main__ import main
from bench.cases import CASES
from bench.contestants import LOADERS, load

pytestmark = pytest.mark.usefixtures("peers_promote")


def test_every_case_agrees_and_is_written_plotted_and_read(tmp_path, capsys):
    file, figure = tmp_path / "results.jsonl", tmp_path / "figure.svg"
    argv = ["--shapes", "8x3,8x4x3", "--dtype", "float32", "--rounds", "1"]
    assert main([*argv, "--json", str(file), "--plot", str(figure)]) == 0
    out = capsys.readouterr().out
    assert f"jax {jax.__version__}" in out
    assert all(f"{case.name}, grad" in out for case in CASES)
    assert "8×3" in out
    assert "8×4×3" in out
    assert figure.exists()
    tables, written = out.split("appended to")
    assert file.name in written
    assert figure.name in written
    assert main(["--from", str(file)]) == 0
    assert capsys.readouterr().out == tables
    assert main(["--compare", str(file), str(file)]) == 0
    said = capsys.readouterr().out
    assert "0 changes beyond the spread, 0 of them jaxent's, in 11 cells" in said


def test_rows_of_one_class_are_no_mistake():
    argv = ["--shapes", "8x1", "--mode", "value", "--loss", "softmax", "--rounds", "1"]
    assert main(argv) == 0


def test_the_exit_status_tells_that_jaxent_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(jaxent, "squared_error", lambda x, t: x * t)
    argv = ["--loss", "squared", "--shapes", "8x8", "--dtype", "float32", "--rounds", "1"]
    assert main(argv) == 1
    assert "jaxent is wrong in squared_error" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        "--loss nothing",
        "--loss focal,nothing",
        "--loss ,",
        "--shapes 8",
        "--shapes 8x0",
        "--shapes nobody",
        "--rounds 0",
        "--rounds many",
        "--rounds 99999999999999999999",
        "--dtype int8",
        "--mode slow",
        "--against jaxent",
        "--json nowhere/file.jsonl",
        "--json .",
        "--plot nowhere/file.png",
        "--plot file.txt",
        "--plot file",
        "--plot file.pgf",
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(argv, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(argv.split())
    said = capsys.readouterr().err
    assert f"argument {argv.split()[0]}: must " in said


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert "jaxent ÷ floor" in text
    assert all(f"--{name}" in text for name in vars(__main__.arguments([])) if name != "source")


@pytest.mark.parametrize(("peer", "extra"), [("torch", "peers"), ("tokamax", "heads")])
def test_who_is_not_installed_is_said_to_be_in_an_extra(peer, extra, monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module")

    monkeypatch.setitem(LOADERS, peer, missing)
    with pytest.raises(SystemExit, match=f"{peer} is not installed: .*extra `{extra}`"):
        load(peer)
