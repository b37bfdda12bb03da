"""Hours with data: how many hours of a day have a chunk or a file of a stream (PORTAL-226).

An hour counts for the day on which its chunk begins in the study's zone, as its bytes do, so that a cell has hours
where it has bytes. A day has up to 25 hours.

Hours are counted from the chunks themselves, up to 24 a day of each stream and participant, and so
of a limited number of days alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.models import Chunk, Participant, Study
from core.models.daily_statistics import BYTES_OF
from core.participants.coverage import midnight
from core.quantities.days import DAY, Days
from core.quantities.expected import expected_hours
from core.quantities.tables import Row, StreamTotal
from core.streams import SPECS, DataStream

MOST_DAYS = 31


class TooManyDays(ValueError):
    """Hours were asked for of more than 31 days; the message is for the page."""


def add_stream_hours(session: Session, study: Study, stream: DataStream, days: Days, rows: Sequence[Row]) -> list[Row]:
    """The rows of a stream's table with hours and expected hours. Two queries, about these participants alone.

    Raises TooManyDays.
    """
    ids = [row.participant_id for row in rows if row.participant_id is not None]
    found = _by_participant(session, study, days, ids, [stream])
    expected = expected_hours(session, study)
    return [
        replace(
            row,
            hours=_cells(days, found.get((row.participant_id, stream), {})),
            expected=[expected(stream, row.os_type, day) for day in days.all],
        )
        for row in rows
    ]


def add_participant_hours(
    session: Session, study: Study, participant: Participant, days: Days, rows: Sequence[Row]
) -> list[Row]:
    """The rows of a participant's table with hours and expected hours. Two queries. Raises TooManyDays."""
    found = _by_participant(session, study, days, [participant.id], list(BYTES_OF))
    expected = expected_hours(session, study)
    return [
        replace(
            row,
            hours=_cells(days, found.get((participant.id, stream), {})),
            expected=[expected(stream, participant.os_type, day) for day in days.all],
        )
        for row in rows
        for stream in [DataStream(row.name)]
    ]


def add_study_hours(session: Session, study: Study, days: Days, totals: Sequence[StreamTotal]) -> list[StreamTotal]:
    """The rows of the study's table with the mean hours of the participants who sent any of the stream. Two queries.

    Raises TooManyDays.
    """
    each = (
        _hours(study, days, list(BYTES_OF))
        .join(Participant, Participant.id == Chunk.participant_id)
        .where(Chunk.study_id == study.id, Participant.purged_at.is_(None))
        .subquery()
    )
    sums = sa.select(each.c.stream, each.c.day, sa.func.sum(each.c.hours).label("hours"))
    by_number: dict[int, dict[date, int]] = {}
    for row in session.execute(sums.group_by(each.c.stream, each.c.day)):
        by_number.setdefault(row.stream, {})[row.day] = int(row.hours)
    expected = expected_hours(session, study)
    return [
        replace(
            total,
            row=replace(
                total.row,
                hours=[
                    None if hours is None else hours / max(1, total.participants)
                    for hours in _cells(days, by_number.get(SPECS[total.stream].number, {}))
                ],
                expected=[expected(total.stream, None, day) for day in days.all],
            ),
        )
        for total in totals
    ]


def _by_participant(
    session: Session, study: Study, days: Days, participant_ids: Sequence[int], streams: Iterable[DataStream]
) -> dict[tuple[int | None, DataStream], dict[date, int]]:
    streams = list(streams)
    names = {SPECS[stream].number: stream for stream in streams}
    found: dict[tuple[int | None, DataStream], dict[date, int]] = {}
    query = _hours(study, days, streams).where(is_one_of(Chunk.participant_id, participant_ids))
    for row in session.execute(query):
        found.setdefault((row.participant_id, names[row.stream]), {})[row.day] = row.hours
    return found


def _hours(study: Study, days: Days, streams: Sequence[DataStream]) -> sa.Select[Any]:
    """Hours by participant, stream and day. Naming the streams allows an index range scan in each.

    Raises TooManyDays.
    """
    if days.count > MOST_DAYS:
        raise TooManyDays(f"Hours with data can be shown for at most {MOST_DAYS} days. Choose fewer days, or bytes.")
    day = sa.cast(sa.func.timezone(study.zone.key, Chunk.time_bin), sa.Date).label("day")
    hours = sa.func.count(sa.distinct(sa.func.date_trunc("hour", Chunk.time_bin))).label("hours")
    return (
        sa.select(Chunk.participant_id, Chunk.stream, day, hours)
        .where(
            Chunk.stream.in_([SPECS[stream].number for stream in streams]),
            Chunk.time_bin >= midnight(days.start, study.zone),
            Chunk.time_bin < midnight(days.end + DAY, study.zone),
        )
        .group_by(Chunk.participant_id, Chunk.stream, day)
    )


def _cells(days: Days, by_day: Mapping[date, int]) -> list[int | None]:
    return [by_day.get(day) for day in days.all]
