"""The geometry of charts that the server draws as SVG. Pure.

Charts are drawn on 1,000 × 100 units and stretched to their place; their words are beside them, in HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.answers.over_time import Point
from core.answers.rates import DayRow

WIDTH, HEIGHT = 1_000.0, 100.0
FEWEST_COLUMNS = 7  # for which the width is divided, so that a few columns stay slim
GAP = 0.18  # of a column


@dataclass(frozen=True)
class Part:
    """A rectangle of a column, such as the missed ones; `kind` is its class in the style sheet."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """The column of a day or week, from the bottom up."""

    row: DayRow
    x: float
    width: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Columns:
    """A chart of columns; `most` is what its height stands for."""

    columns: tuple[Column, ...]
    most: int


def outcome_columns(rows: Sequence[DayRow]) -> Columns:
    """Outcomes of days or weeks as columns of answered, late, missed and open events, one upon the other."""
    most = max((row.counts.counted for row in rows), default=0) or 1
    step = WIDTH / max(len(rows), FEWEST_COLUMNS)
    columns = []
    for place, row in enumerate(rows):
        counts, y, parts = row.counts, HEIGHT, []
        for kind in ("answered", "late", "missed", "open"):
            height = HEIGHT * getattr(counts, kind) / most
            y -= height
            if height:
                parts.append(Part(kind, round(y, 2), round(height, 2)))
        columns.append(Column(row, round(step * (place + GAP / 2), 2), round(step * (1 - GAP), 2), tuple(parts)))
    return Columns(tuple(columns), most)


@dataclass(frozen=True)
class Line:
    """A line through points, and the points as a path of dots. `least` and `most` are the ends of its scale."""

    path: str
    dots: str
    least: float
    most: float


def line_through(points: Sequence[Point], least: float | None = None, most: float | None = None) -> Line:
    """A line by time, between these ends of the scale or those of the values."""
    values = [point.value for point in points]
    bottom = min([*values, *([least] if least is not None else [])])
    top = max([*values, *([most] if most is not None else [])])
    if bottom == top:
        bottom, top = bottom - 1, top + 1
    began, took = points[0].at, (points[-1].at - points[0].at).total_seconds()
    places = [
        (
            round(WIDTH * (0.01 + 0.98 * ((point.at - began).total_seconds() / took if took else 0.5)), 1),
            round(HEIGHT * (0.05 + 0.9 * (top - point.value) / (top - bottom)), 1),
        )
        for point in points
    ]
    path = "M" + "L".join(f"{x} {y}" for x, y in places)
    return Line(path, "".join(f"M{x} {y}h.01" for x, y in places), bottom, top)


@dataclass(frozen=True)
class Bin:
    """How often a number, or a number from `least` on and below `most`, was given. The last bin includes `most`."""

    least: float
    most: float
    count: int

    @property
    def is_single(self) -> bool:
        """Whether it is one number."""
        return self.least == self.most


MOST_BINS = 12


def bins_of(numbers: Sequence[tuple[float, int]]) -> list[Bin]:
    """Each number where there are few different ones, else at most twelve ranges of the same width."""
    if len(numbers) <= MOST_BINS:
        return [Bin(value, value, count) for value, count in numbers]
    least, most = numbers[0][0], numbers[-1][0]
    width = _round_width((most - least) / (MOST_BINS - 1))
    start = width * (least // width)
    counts: dict[int, int] = {}
    for value, count in numbers:
        place = int((value - start) // width)
        counts[place] = counts.get(place, 0) + count
    places = range(max(counts) + 1)
    return [Bin(start + width * at, start + width * (at + 1), counts.get(at, 0)) for at in places]


def _round_width(at_least: float) -> float:
    """1, 2 or 5 times a power of ten, not less than that."""
    power = 1.0
    while power >= at_least:
        power /= 10
    while power * 10 < at_least:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= at_least)
