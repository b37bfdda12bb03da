"""Tables of data quantities, read from the daily summaries (PORTAL-220 to PORTAL-222, PROC-40).

Participants whose data were purged are left out. A cell is None where no summary says anything: no data, which is not
the same as 0 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import DailyStatistics, Participant, ParticipantActivity, Study
from core.models.daily_statistics import BYTES_OF
from core.quantities.days import EARLIEST, Days
from core.streams import DataStream

PAGE_ROWS = 100


class Sort(StrEnum):
    """How the rows of a stream's table are sorted."""

    PATIENT_ID = "patient_id"
    TOTAL = "total"
    UPLOAD = "upload"


@dataclass(frozen=True)
class StreamQuery:
    """Which participants a stream's table shows. `search`: part of a patient id; `page` from 1; None: all rows."""

    search: str = ""
    sort: Sort = Sort.PATIENT_ID
    is_descending: bool = False
    page: int | None = 1


@dataclass(frozen=True)
class Row:
    """A line of a table: bytes by shown day, and their sum.

    `last_upload_at`, `participant_id` and `os_type` only for participants. `hours` and `expected`: hours with data by
    shown day, and how many the settings let expect; empty unless `core.quantities.hours` added them.
    """

    name: str
    cells: list[int | None]
    last_upload_at: datetime | None = None
    participant_id: int | None = None
    os_type: str | None = None
    hours: Sequence[float | None] = ()
    expected: Sequence[float | None] = ()

    @property
    def total(self) -> int:
        """The bytes of all shown days."""
        return sum(cell or 0 for cell in self.cells)

    @property
    def total_hours(self) -> float:
        """The hours with data of all shown days."""
        return sum(cell or 0 for cell in self.hours)


@dataclass(frozen=True)
class StreamTable:
    """The rows of one page, by patient id, and how many participants there are on all pages."""

    rows: list[Row]
    count: int


def bytes_column(stream: DataStream) -> Any:
    """The column of the daily summaries for this stream."""
    return getattr(DailyStatistics, BYTES_OF[stream])


def days_with_data(
    session: Session, study: Study, *, stream: DataStream | None = None, participant: Participant | None = None
) -> tuple[date, date] | None:
    """The first and the last day with data of the stream, or of any, of the study or of one participant."""
    if stream is not None:
        has_data = bytes_column(stream).is_not(None)
    else:
        has_data = sa.or_(*(column.is_not(None) for column in map(bytes_column, BYTES_OF)))
    query = (
        sa.select(sa.func.min(DailyStatistics.day), sa.func.max(DailyStatistics.day))
        .join(Participant, Participant.id == DailyStatistics.participant_id)
        .where(DailyStatistics.study_id == study.id, DailyStatistics.day >= EARLIEST, has_data, _is_there())
    )
    if participant is not None:
        query = query.where(DailyStatistics.participant_id == participant.id)
    first, last = session.execute(query).one()
    return (first, last) if first else None


def stream_table(session: Session, study: Study, stream: DataStream, days: Days, query: StreamQuery) -> StreamTable:
    """Participants by days for one stream; two queries, whatever the number of participants and days."""
    column = bytes_column(stream)
    of_days = (
        sa.select(
            DailyStatistics.participant_id,
            sa.func.sum(column).label("total"),
            sa.func.array_agg(DailyStatistics.day).label("days"),
            sa.func.array_agg(column).label("sizes"),
        )
        .where(
            DailyStatistics.study_id == study.id,
            DailyStatistics.day.between(days.start, days.end),
            column.is_not(None),
        )
        .group_by(DailyStatistics.participant_id)
        .subquery()
    )
    people = (
        sa.select(
            Participant.id,
            Participant.patient_id,
            Participant.os_type,
            ParticipantActivity.last_upload_at,
            of_days.c.days,
            of_days.c.sizes,
        )
        .outerjoin(of_days, of_days.c.participant_id == Participant.id)
        .outerjoin(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .where(Participant.study_id == study.id, _is_there())
    )
    counted = sa.select(sa.func.count()).select_from(Participant).where(Participant.study_id == study.id, _is_there())
    if query.search:
        found = Participant.patient_id.contains(query.search.strip().lower(), autoescape=True)
        people, counted = people.where(found), counted.where(found)
    key = {
        Sort.PATIENT_ID: Participant.patient_id,
        Sort.TOTAL: sa.func.coalesce(of_days.c.total, 0),
        Sort.UPLOAD: ParticipantActivity.last_upload_at,
    }[query.sort]
    order = key.desc().nulls_last() if query.is_descending else key.asc().nulls_first()
    people = people.order_by(order, Participant.patient_id)
    if query.page is not None:
        people = people.limit(PAGE_ROWS).offset((query.page - 1) * PAGE_ROWS)
    rows = [
        Row(
            found.patient_id,
            _cells(days, found.days or (), found.sizes or ()),
            found.last_upload_at,
            found.id,
            found.os_type,
        )
        for found in session.execute(people)
    ]
    return StreamTable(rows, session.scalar(counted) or 0)


def participant_table(session: Session, participant: Participant, days: Days) -> list[Row]:
    """Streams by days for one participant, a row for each of the 19 streams in the order of exports; one query."""
    query = sa.select(DailyStatistics.day, *map(bytes_column, BYTES_OF)).where(
        DailyStatistics.participant_id == participant.id, DailyStatistics.day.between(days.start, days.end)
    )
    found = session.execute(query).all()
    of_days = [row.day for row in found]
    return [
        Row(stream.value, _cells(days, of_days, [getattr(row, name) for row in found]))
        for stream, name in BYTES_OF.items()
    ]


@dataclass(frozen=True)
class StreamTotal:
    """A stream of a study in the shown days: bytes by day, and how many participants have any."""

    stream: DataStream
    row: Row
    participants: int


def study_table(session: Session, study: Study, days: Days) -> list[StreamTotal]:
    """Streams by days for the whole study; two queries."""
    within = sa.and_(
        DailyStatistics.study_id == study.id, DailyStatistics.day.between(days.start, days.end), _is_there()
    )
    sums = [sa.func.sum(bytes_column(stream)).label(name) for stream, name in BYTES_OF.items()]
    joined = sa.join(DailyStatistics, Participant, Participant.id == DailyStatistics.participant_id)
    by_day = session.execute(
        sa.select(DailyStatistics.day, *sums).select_from(joined).where(within).group_by(DailyStatistics.day)
    ).all()
    people = [
        sa.func.count(DailyStatistics.participant_id.distinct()).filter(bytes_column(stream).is_not(None)).label(name)
        for stream, name in BYTES_OF.items()
    ]
    counts = session.execute(sa.select(*people).select_from(joined).where(within)).one()
    of_days = [row.day for row in by_day]
    return [
        StreamTotal(
            stream,
            Row(stream.value, _cells(days, of_days, [getattr(row, name) for row in by_day])),
            getattr(counts, name),
        )
        for stream, name in BYTES_OF.items()
    ]


def participant_count(session: Session, study: Study) -> int:
    """How many participants the study has, without those that were purged."""
    query = sa.select(sa.func.count()).select_from(Participant).where(Participant.study_id == study.id, _is_there())
    return session.scalar(query) or 0


def _is_there() -> "sa.ColumnElement[bool]":
    return Participant.purged_at.is_(None)


def _cells(days: Days, of_days: Sequence[date], sizes: Sequence[int | None]) -> list[int | None]:
    cells: list[int | None] = [None] * days.count
    for day, size in zip(of_days, sizes, strict=True):
        cells[(day - days.start).days] = None if size is None else int(size)
    return cells
