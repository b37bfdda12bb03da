"""The geometry of the study's charts, which the server draws as SVG. Pure.

Charts are drawn on 1,000 × 100 units and stretched to their place; their words are beside them, in HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from core.measures.of_study import StudyDay

WIDTH, HEIGHT = 1_000.0, 100.0
HEADROOM = 0.95  # of the height, which the largest value takes
WIDEST = 24.0  # of a column


@dataclass(frozen=True)
class Bar:
    """How many participants count on a day, from below, and above them those who are left out."""

    x: float
    width: float
    counted: float
    left_out: float


@dataclass(frozen=True)
class Drawing:
    """The band between the quartiles, the median as a line, its dots, and bars of participants beneath.

    The scale goes from 0 to `most`; that of the bars to `most_people`.
    """

    band: str
    line: str
    dots: str
    most: float
    bars: tuple[Bar, ...]
    most_people: int


def draw(rows: Sequence[StudyDay], first: date, last: date) -> Drawing:
    """A measure's days. Days without an observed value are gaps: neither band nor line crosses them."""
    most = max((row.upper for row in rows if row.upper is not None), default=0.0) or 1.0
    most_people = max((row.counted + row.imputed for row in rows), default=0) or 1
    step = WIDTH / ((last - first).days + 1)

    def x(row: StudyDay) -> float:
        return round(step * ((row.day - first).days + 0.5), 1)

    def y(value: float | None) -> float:
        return round(HEIGHT * (1 - HEADROOM * (value or 0.0) / most), 2)

    band, line, dots = [], [], []
    for run in _runs(rows):
        above = "L".join(f"{x(row)} {y(row.upper)}" for row in run)
        below = "L".join(f"{x(row)} {y(row.lower)}" for row in reversed(run))
        band.append(f"M{above}L{below}Z")
        line.append("M" + "L".join(f"{x(row)} {y(row.median)}" for row in run))
        dots += [f"M{x(row)} {y(row.median)}h.01" for row in run]
    width = round(min(step * 0.8, WIDEST), 2)
    bars = tuple(
        Bar(
            round(x(row) - width / 2, 1),
            width,
            round(HEIGHT * row.counted / most_people, 1),
            round(HEIGHT * row.imputed / most_people, 1),
        )
        for row in rows
    )
    return Drawing("".join(band), "".join(line), "".join(dots), most, bars, most_people)


def _runs(rows: Sequence[StudyDay]) -> list[list[StudyDay]]:
    """Successive days with observed values."""
    runs: list[list[StudyDay]] = []
    for row in rows:
        if row.median is None:
            continue
        if runs and runs[-1][-1].day + timedelta(days=1) == row.day:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs
