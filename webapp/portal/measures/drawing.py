"""The geometry of the study's charts, which the server draws as SVG. Pure.

Charts are drawn on 1,000 × 100 units and stretched to their place; their words are beside them, in HTML.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from core.measures.of_people import DayValue
from core.measures.of_study import StudyDay
from core.measures.track import Place, Track

WIDTH, HEIGHT = 1_000.0, 100.0
HEADROOM = 0.95  # of the height, which the largest value takes
WIDEST = 24.0  # of a column
HALF = 480.0  # of the square of a track, which is drawn from -500 to 500 units


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


@dataclass(frozen=True)
class DayBar:
    """A value of a day, from below; `height` at least a unit, so that 0 can be seen."""

    x: float
    width: float
    height: float
    is_imputed: bool


def draw_days(days: Mapping[date, DayValue], first: date, last: date, most: float) -> tuple[DayBar, ...]:
    """A participant's values by day, on a scale from 0 to `most`."""
    step = WIDTH / ((last - first).days + 1)
    width = round(min(step * 0.8, WIDEST), 2)
    return tuple(
        DayBar(
            round(step * ((day - first).days + 0.5) - width / 2, 1),
            width,
            round(max(HEIGHT * of.value / most, 1.0), 1),
            of.is_imputed,
        )
        for day, of in sorted(days.items())
        if of.value is not None
    )


@dataclass(frozen=True)
class TrackDrawing:
    """A track with its origin in the middle: lines, single places as dots, and circles with their kilometres."""

    lines: str
    dots: str
    start: tuple[float, float]
    end: tuple[float, float]
    circles: tuple[tuple[float, float], ...]


def draw_track(track: Track) -> TrackDrawing:
    """The track in a square of -500 to 500 units, north above. At least 100 m fit in from the middle to its side."""
    reach = max(0.1, *(max(abs(place.east_km), abs(place.north_km)) for place in track.places))
    scale = HALF / reach

    def at(place: Place) -> tuple[float, float]:
        return round(place.east_km * scale, 1), round(-place.north_km * scale, 1)

    lines, dots = [], []
    for run in track.runs():
        points = [at(place) for place in run]
        lines.append("M" + "L".join(f"{x} {y}" for x, y in points))
        dots += [f"M{x} {y}h.01" for x, y in points if len(run) == 1]
    ring = 10.0 ** math.floor(math.log10(reach))
    ring *= max(step for step in (1, 2, 5) if step * ring <= reach)
    circles = tuple((km, round(km * scale, 1)) for km in (ring / 2, ring))
    return TrackDrawing("".join(lines), "".join(dots), at(track.places[0]), at(track.places[-1]), circles)


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
