"""What the bench says that a linear head holds, on a target that is always there."""

import jax
from jax.sharding import SingleDeviceSharding
from matplotlib.figure import Figure

from bench import memory
from bench.memory import Held, held, plot, sizes


def test_less_than_with_logits_held(monkeypatch):
    monkeypatch.setattr(memory, "FEATURES", 64)
    target = SingleDeviceSharding(jax.devices()[0])
    ours, theirs = (held(1024, 4000, 2**20, who, target) for who in ("jaxent", "optax"))
    assert theirs > 1024 * 4000 * 2
    assert ours < theirs / 2


def test_each_size_is_varied_alone():
    middle = memory.ROWS, memory.CLASSES, memory.BUDGET
    for size in sizes():
        assert sum(a != b for a, b in zip(size, middle, strict=True)) <= 1


def test_the_figure_has_both_and_what_is_allowed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    found = [
        Held(*(rows, memory.FEATURES, classes, budget), who, target, rows * classes, {})
        for rows, classes, budget in sizes()
        for who in ("jaxent", "optax")
        for target in memory.TARGETS
    ]
    plot(found, tmp_path / "figure.png")
    (figure,) = drawn
    assert len(figure.axes) == len(memory.TARGETS) * len(memory.VARIED)
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["jaxent", "optax", "allowed"]
