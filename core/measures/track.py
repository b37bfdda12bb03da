"""Where a participant was on one day, in kilometres from home: positions relative to each other, no coordinates.

The data are those of a download of GPS, so only people who may see locations get them (PERM-90, `location.view`).
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy.orm import Session

from core.crypto.seal import SealBroken
from core.downloads.members import members_of
from core.downloads.query import DataQuery
from core.models import Participant, Study
from core.participants.coverage import midnight
from core.storage import ObjectMissing, SealedStore
from core.streams import DataStream

KM_OF_DEGREE = 111.195
"""On a sphere with the mean radius of the earth, 6,371 km."""
NIGHT_ENDS = 6
LONGEST_STEP = timedelta(minutes=10)
"""Positions that are farther apart in time are not joined by a line."""
_COLUMNS = ("timestamp", "latitude", "longitude")


@dataclass(frozen=True)
class Place:
    """Where the participant was in a minute of GPS: kilometres east and north of the origin; `at` is in UTC."""

    at: datetime
    east_km: float
    north_km: float

    @property
    def km(self) -> float:
        """The distance from the origin."""
        return float((self.east_km**2 + self.north_km**2) ** 0.5)


@dataclass(frozen=True)
class HourOfTrack:
    """An hour of the study's clock: minutes with GPS, and the mean and the largest distance from the origin.

    `clock`: how the hour is named, such as "01:00", or "01:00 EDT" where clocks show it twice.
    """

    starts: datetime
    clock: str
    minutes: int
    mean_km: float
    farthest_km: float


@dataclass(frozen=True)
class Track:
    """The places of a day, a minute apart at least, in their order.

    The origin is the median position between midnight and six, which stands for home (`is_from_night`); without GPS
    at that time, of the whole day. `unreadable` counts files that could not be read.
    """

    places: tuple[Place, ...]
    is_from_night: bool
    unreadable: int

    def runs(self) -> list[list[Place]]:
        """The places in runs without a longer pause than ten minutes."""
        runs: list[list[Place]] = []
        for place in self.places:
            if runs and place.at - runs[-1][-1].at <= LONGEST_STEP:
                runs[-1].append(place)
            else:
                runs.append([place])
        return runs

    def hours(self, zone: ZoneInfo) -> list[HourOfTrack]:
        """The hours with GPS. An hour that clocks show twice, as in autumn, is two."""

        def hour(place: Place) -> tuple[datetime, str]:
            wall = place.at.astimezone(zone)
            starts = wall.replace(minute=0, second=0)
            # Times that differ in their fold alone count as equal: only the name tells them apart.
            return starts, f"{starts:%H:%M} {wall.tzname()}" if _comes_twice(wall) else f"{starts:%H:%M}"

        found = []
        for (starts, clock), group in groupby(self.places, hour):
            far = [place.km for place in group]
            found.append(HourOfTrack(starts, clock, len(far), sum(far) / len(far), max(far)))
        return found


def _comes_twice(wall: datetime) -> bool:
    """Whether clocks show this time of their zone again after they were put back."""
    return wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()


def track_of_day(session: Session, store: SealedStore, study: Study, participant: Participant, day: date) -> Track:
    """The track of a day in the study's zone. Reads the day's chunks of GPS; commits between its queries.

    Raises StoreUnavailable.
    """
    zone = study.zone
    first, after = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    # Chunks begin at full hours of UTC, days of some zones between them: the first chunk may belong to two days.
    hour = first.replace(minute=0, second=0)
    query = DataQuery((DataStream.GPS,), None, hour, after - timedelta(microseconds=1), None)
    tables, unreadable = [], 0
    for contents in _contents(session, store, study, (participant.id, participant.patient_id), query):
        table = _positions(contents)
        if table is None:
            unreadable += 1
        else:
            tables.append(table)
    within = pl.col("timestamp").is_between(_milliseconds(first), _milliseconds(after), closed="left")
    if not tables or (positions := pl.concat(tables).filter(within)).is_empty():
        return Track((), is_from_night=False, unreadable=unreadable)
    return _relative(positions, zone, unreadable)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _contents(
    session: Session, store: SealedStore, study: Study, participant: tuple[int, str], query: DataQuery
) -> Iterator[bytes | None]:
    """Each file of the query; None for one that is missing or whose seal is broken."""
    for member in members_of(session, study, participant, query):
        try:
            yield store.read(member.path, member.seal)[0]
        except (ObjectMissing, SealBroken):
            yield None


def _positions(contents: bytes | None) -> pl.DataFrame | None:
    """Time in milliseconds, latitude and longitude in degrees; rows without a real position are left out."""
    if contents is None:
        return None
    try:
        table = pl.read_csv(
            io.BytesIO(contents), columns=list(_COLUMNS), infer_schema=False, truncate_ragged_lines=True
        )
    except pl.exceptions.PolarsError:
        return None
    numbers = table.select(
        pl.col("timestamp").cast(pl.Int64, strict=False),
        pl.col("latitude", "longitude").cast(pl.Float64, strict=False),
    ).drop_nulls()
    return numbers.filter(pl.col("latitude").is_between(-90, 90), pl.col("longitude").is_between(-180, 180))


def _relative(positions: pl.DataFrame, zone: ZoneInfo, unreadable: int) -> Track:
    """The median position of each minute, as kilometres from the origin on a plane that touches the earth there."""
    near = positions["longitude"][0]
    unrolled = (pl.col("longitude") - near + 180) % 360 - 180  # a track may cross the date line
    by_minute = (
        positions.with_columns(unrolled.alias("longitude"), (pl.col("timestamp") // 60_000).alias("minute"))
        .group_by("minute")
        .agg(pl.col("latitude", "longitude").median())
        .sort("minute")
        .with_columns(pl.from_epoch(pl.col("minute") * 60, time_unit="s").dt.replace_time_zone("UTC").alias("at"))
    )
    wall = by_minute["at"].dt.convert_time_zone(zone.key)
    at_night = by_minute.filter(wall.dt.hour() < NIGHT_ENDS)
    home = by_minute if at_night.is_empty() else at_night
    latitude, longitude = home["latitude"].median(), home["longitude"].median()
    north = (pl.col("latitude") - latitude) * KM_OF_DEGREE
    east = (pl.col("longitude") - longitude) * KM_OF_DEGREE * pl.lit(latitude).radians().cos()
    rows = by_minute.select("at", east.alias("east"), north.alias("north")).iter_rows()
    return Track(tuple(Place(*row) for row in rows), not at_night.is_empty(), unreadable)
