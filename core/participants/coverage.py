"""Coverage: how much data a participant has, as tables of levels by stream and day, and by stream and hour."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Chunk
from core.streams import SPECS

HOUR = timedelta(hours=1)
DAYS_SHOWN = 28
LEVELS = 5
ALL_STREAMS = [spec.number for spec in SPECS.values()]
ExpectedOn = Callable[[date], set[int]]
"""Numbers of the streams that should be there on a local day."""


@dataclass(frozen=True)
class Cell:
    """One cell of the drawing. `level` 1 to 5: how much is here; `mark` instead: `gap` nothing came although it was
    expected, `none` nothing came, `off` outside the time in the study."""

    level: int = 0
    mark: str = ""
    hours: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class Coverage:
    """Hours with data of one participant by stream and local day, and one of the days hour by hour.

    `days` are those of the drawing; `hours` are the starts of the hours of `day` (23 to 25 of them); both tables map
    a stream's number to one cell per day or hour.
    """

    days: list[date]
    by_day: dict[int, list[Cell]]
    day: date
    hours: list[datetime]
    by_hour: dict[int, list[Cell]]

    @property
    def has_data(self) -> bool:
        return any(cell.level for cells in self.by_day.values() for cell in cells)


def days_until(last: date) -> list[date]:
    """The four weeks of days that end on `last`."""
    return [last - timedelta(days=n) for n in reversed(range(DAYS_SHOWN))]


def midnight(of: date, zone: ZoneInfo) -> datetime:
    """The start of a local day, in UTC."""
    return datetime.combine(of, time(), zone).astimezone(UTC)


def coverage(
    session: Session,
    participant_id: int,
    zone: ZoneInfo,
    day: date,
    now: datetime,
    expected_on: ExpectedOn,
    since: datetime | None,
    until: datetime | None,
) -> Coverage:
    """Coverage of four weeks that end today, or on `day` if earlier, and of the hours of `day`; one indexed query.

    Gaps are shown for the streams that were expected on a day, and only between `since` and `until`.
    """
    today = now.astimezone(zone).date()
    day = min(day, today)
    oldest_shown = today - timedelta(days=DAYS_SHOWN - 1)
    days = days_until(today if day >= oldest_shown else day)
    sizes = _bytes_by_hour(session, participant_id, midnight(days[0], zone), midnight(days[-1] + timedelta(1), zone))
    expected = {day: expected_on(day) for day in days}
    streams = sorted(set(sizes).union(*expected.values()))
    hours = _hours_of(day, zone)
    return Coverage(
        days=days,
        by_day={
            s: _day_cells(sizes[s], {d: s in expected[d] for d in days}, zone, since, until or now) for s in streams
        },
        day=day,
        hours=hours,
        by_hour={s: _hour_cells(sizes[s], hours, now) for s in streams},
    )


def _bytes_by_hour(
    session: Session, participant_id: int, start: datetime, end: datetime
) -> dict[int, dict[datetime, int]]:
    """Bytes of chunks by stream and hour. Naming all streams allows an index range scan in each."""
    hour = sa.func.date_trunc("hour", Chunk.time_bin).label("hour")
    rows = session.execute(
        sa.select(Chunk.stream, hour, sa.func.sum(Chunk.size_bytes))
        .where(
            Chunk.participant_id == participant_id,
            Chunk.stream.in_(ALL_STREAMS),
            Chunk.time_bin >= start,
            Chunk.time_bin < end,
        )
        .group_by(Chunk.stream, hour)
    )
    sizes: dict[int, dict[datetime, int]] = defaultdict(dict)
    for stream, at, size_bytes in rows:
        sizes[stream][at] = int(size_bytes or 0)
    return sizes


def _day_cells(
    sizes: dict[datetime, int],
    is_expected_on: dict[date, bool],
    zone: ZoneInfo,
    since: datetime | None,
    until: datetime,
) -> list[Cell]:
    by_day: dict[date, list[int]] = defaultdict(list)
    for hour, size_bytes in sizes.items():
        by_day[hour.astimezone(zone).date()].append(size_bytes)
    first, last = (since or until).astimezone(zone).date(), until.astimezone(zone).date()
    cells = []
    for day, is_expected in is_expected_on.items():
        if hours := len(by_day[day]):
            cells.append(Cell(min(-(-hours * LEVELS // 24), LEVELS), hours=hours, size_bytes=sum(by_day[day])))
        elif since is None or not first <= day <= last:
            cells.append(Cell(mark="off"))
        else:
            cells.append(Cell(mark="gap" if is_expected and first < day < last else "none"))
    return cells


def _hour_cells(sizes: dict[datetime, int], hours: list[datetime], now: datetime) -> list[Cell]:
    """Levels by bytes, relative to the stream's largest hour of the four weeks."""
    most = max(sizes.values(), default=0) or 1
    return [
        Cell(max(1, round(LEVELS * sizes[hour] / most)), hours=1, size_bytes=sizes[hour])
        if hour in sizes
        else Cell(mark="off" if hour > now else "none")
        for hour in hours
    ]


def _hours_of(day: date, zone: ZoneInfo) -> list[datetime]:
    hour, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    hours = []
    while hour < end:
        hours.append(hour)
        hour += HOUR
    return hours
