"""What changed between two result files, beyond the spread.

Two runs are never alike: the machine was busier, or hotter. So a contestant has changed where its
time has, and has in proportion to everyone else's in the cell, the floor's included, too. What is
reported is the least of these changes.

Each is beyond the spread where the ranges of the two runs don't overlap: from the lower quartile to
the upper one, and half as far again.
"""

from typing import NamedTuple

from bench.results import FLOOR, Cell, Contest, Measurement, Results

WIDENED = 1.5  # quartiles alone don't overlap once in a while when nothing changed
LEAST = 1.05  # nobody cares for less

Range = tuple[float, float, float]


class Change(NamedTuple):
    """A contestant that got faster or slower in a cell."""

    cell: Cell
    contestant: str
    old: Measurement
    new: Measurement
    ratio: float  # the new time over the old one


def changes(old: Results, new: Results) -> list[Change]:
    """Everyone who changed, the largest change first. What only one file has is no change."""
    found = [
        Change(cell, name, old[cell][name], new[cell][name], ratio)
        for cell in old.keys() & new.keys()
        for name in old[cell].keys() & new[cell].keys() - {FLOOR}
        if (ratio := _change(old[cell], new[cell], name)) is not None
    ]
    return sorted(found, key=lambda change: -max(change.ratio, 1 / change.ratio))


def _change(old: Contest, new: Contest, name: str) -> float | None:
    before, after = _range(old[name]), _range(new[name])
    if before is None or after is None:
        return None
    others = [
        after_other[1] / before_other[1]
        for other in old.keys() & new.keys() - {name}
        if (before_other := _range(old[other])) and (after_other := _range(new[other]))
    ]
    ratios = [_beyond_spread(before, after, drift) for drift in (1.0, *others)]
    if min(ratios) > LEAST:
        return min(ratios)
    return max(ratios) if max(ratios) < 1 / LEAST else None


def _beyond_spread(before: Range, after: Range, drift: float) -> float:
    """The ratio of the medians, with the drift taken out; 1 where the ranges overlap."""
    low, median, high = (x / drift for x in after)
    overlap = before[0] <= high and low <= before[2]
    return 1.0 if overlap else median / before[1]


def _range(m: Measurement) -> Range | None:
    """The median between the ends of the widened quartiles."""
    if m.low_ms is None or m.median_ms is None or m.high_ms is None:
        return None
    low, high = (m.median_ms + WIDENED * (x - m.median_ms) for x in (m.low_ms, m.high_ms))
    return low, m.median_ms, high
