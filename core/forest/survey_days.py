"""Days without new data of their own whose surveys a night counts anew (CLAR-81).

A survey is counted on the day it was sent. That day's measures change when it is answered days later. They are missing
when nobody answered on that day.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from core.forest.trees import STREAMS, Tree
from core.models import Chunk, CountedEvent, ForestDay, ForestTask, Participant, ScheduledEvent, Study
from core.models.forest import task_column
from core.streams import SPECS
from core.streams.paths import EARLIEST

TOTAL = "sycamore_total_surveys"
HOUR = timedelta(hours=1)
NUMBERS = [SPECS[stream].number for stream in STREAMS[Tree.SYCAMORE]]
Days = sa.Select[tuple[int, date]]


def days_of_surveys(
    study: Study, people: sa.Subquery, is_new: Sequence[sa.ColumnElement[bool]], today: date, window_days: int
) -> sa.CompoundSelect[tuple[int, date]]:
    """Participants (`people.id`) and days of the study's zone, before today.

    `is_new` are the conditions of a new chunk of answers, on Chunk and `people`. `people.last` is when the
    participant's newest night was queued, or null. Surveys count only within `window_days` of an answer.
    """
    answered_late = _answered_late(study, people, is_new, window_days)
    return answered_late.union(_days_before(study, people, is_new), _silent(study, people, today, window_days))


def _days_before(study: Study, people: sa.Subquery, is_new: Sequence[sa.ColumnElement[bool]]) -> Days:
    """The day before each new chunk's, for surveys that are answered after midnight; not before the first answer."""
    earlier = aliased(Chunk)
    day = _day(study.zone, Chunk.time_bin)
    has_earlier = sa.exists().where(
        earlier.participant_id == Chunk.participant_id,
        earlier.stream.in_(NUMBERS),
        earlier.time_bin >= EARLIEST,
        earlier.time_bin < _window_of(study.zone, Chunk.time_bin, 1),
    )
    before = (day - sa.literal(1, sa.Integer)).label("day")
    return sa.select(people.c.id, before).join(Chunk, Chunk.participant_id == people.c.id).where(*is_new, has_earlier)


def _answered_late(
    study: Study, people: sa.Subquery, is_new: Sequence[sa.ColumnElement[bool]], window_days: int
) -> Days:
    """Days of surveys that a new chunk may answer: the newest that was sent before, and all since an older chunk.

    The latter were not counted at all if the survey was never opened in the window before. The first night is not
    asked: it takes all days that have none.
    """
    begin = _window_of(study.zone, Chunk.time_bin, window_days)
    sent, last, older = _sent("sent"), _sent("last"), aliased(Chunk)
    last_sent = sa.select(sa.func.max(last.c.scheduled_at)).where(
        last.c.participant_id == Chunk.participant_id,
        last.c.survey_id == Chunk.survey_id,
        last.c.scheduled_at.between(begin, Chunk.time_bin),
    )
    last_opened = sa.select(sa.func.max(older.time_bin) + HOUR).where(
        older.participant_id == Chunk.participant_id,
        older.stream.in_(NUMBERS),
        older.survey_id == Chunk.survey_id,
        older.time_bin >= begin,
        older.time_bin < Chunk.time_bin,
    )
    # LEAST leaves out a null.
    since = sa.func.least(last_sent.scalar_subquery(), sa.func.coalesce(last_opened.scalar_subquery(), begin))
    return (
        sa.select(people.c.id, _day(study.zone, sent.c.scheduled_at).label("day"))
        .join(Chunk, Chunk.participant_id == people.c.id)
        .join(sent, sa.and_(sent.c.participant_id == Chunk.participant_id, sent.c.survey_id == Chunk.survey_id))
        .where(
            people.c.last.is_not(None),
            *is_new,
            sent.c.scheduled_at >= since,
            sent.c.scheduled_at < Chunk.time_bin + HOUR,
        )
    )


def _silent(study: Study, people: sa.Subquery, today: date, window_days: int) -> Days:
    """Days on which surveys were sent and that have no measures, of the window; of all time in the first night.

    Leaves out days that a night has computed since: they have none.
    """
    zone, sent = study.zone, _sent("sent")
    day = _day(zone, sent.c.scheduled_at)
    end, begin = (datetime.combine(at, time(), zone) for at in (today, today - timedelta(days=window_days)))
    asked = (
        sa.select(
            ForestTask.participant_id,
            sa.cast(sa.func.jsonb_array_elements_text(ForestTask.days), sa.Date).label("day"),
        )
        .where(
            ForestTask.study_id == study.id,
            ForestTask.tree == Tree.SYCAMORE.value,
            ForestTask.is_nightly,
            ForestTask.created_at >= begin,
        )
        .subquery()
    )
    has_measures = sa.exists().where(
        ForestDay.participant_id == people.c.id,
        ForestDay.day == day,
        sa.or_(*(getattr(ForestDay, name).is_not(None) for name in (task_column(Tree.SYCAMORE), TOTAL))),
    )
    is_counted = sa.exists().where(
        Chunk.participant_id == people.c.id,
        Chunk.stream.in_(NUMBERS),
        Chunk.survey_id == sent.c.survey_id,
        Chunk.time_bin >= _window_of(zone, sent.c.scheduled_at, window_days),
        Chunk.time_bin < sa.func.least(end, sent.c.scheduled_at + timedelta(days=window_days)),
    )
    return (
        sa.select(people.c.id, day.label("day"))
        .join(sent, sent.c.participant_id == people.c.id)
        .join(Participant, Participant.id == people.c.id)
        .where(
            sent.c.scheduled_at < end,
            sa.or_(sent.c.scheduled_at >= begin, people.c.last.is_(None)),
            sa.or_(Participant.retired_at.is_(None), sent.c.scheduled_at < Participant.retired_at),
            ~has_measures,
            ~sa.exists().where(asked.c.participant_id == people.c.id, asked.c.day == day),
            is_counted,
        )
    )


def _sent(name: str) -> sa.Subquery:
    """Surveys that were sent, or that are to be sent: old events are in one of two tables."""
    kinds: tuple[Any, ...] = (ScheduledEvent, CountedEvent)
    return sa.union_all(
        *(sa.select(kind.participant_id, kind.survey_id, kind.scheduled_at) for kind in kinds)
    ).subquery(name)


def _day(zone: ZoneInfo, at: Any) -> sa.ColumnElement[date]:
    return sa.cast(sa.func.timezone(zone.key, at), sa.Date)


def _window_of(zone: ZoneInfo, at: Any, window_days: int) -> sa.ColumnElement[datetime]:
    """The beginning, in the zone, of the window that ends with the moment's day."""
    first = _day(zone, at) - sa.literal(window_days - 1, sa.Integer)
    return sa.func.timezone(zone.key, sa.cast(first, sa.DateTime))
