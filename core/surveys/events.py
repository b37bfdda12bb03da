"""Updates scheduled events after changes of surveys, schedules, intervention dates, participants and zones (NOTIF-7).

What should exist is compared with what does in two statements, whatever the number of participants: the moments are
computed here, once for each schedule and date, and multiplied by the participants in the database.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from core.models import (
    Departure,
    EventState,
    InterventionDate,
    NotificationAttempt,
    Participant,
    Pause,
    Schedule,
    ScheduledEvent,
    Study,
    Survey,
    SurveyVersion,
)
from core.models.schedule import SUCCESS
from core.models.survey import offered_surveys
from core.surveys.schedules import Relative, is_created, wanted_times
from core.surveys.timing_rows import timing_of

# Clocks of two zones differ by less: no event counts, and so none was sent, longer before its scheduled time.
MOST_BETWEEN_ZONES = timedelta(hours=26)
FEW_PARTICIPANTS = 10


@dataclass(frozen=True)
class Rebuilt:
    """How many events a rebuild removed and created."""

    removed: int
    created: int


@dataclass
class _Moments:
    """Times of scheduled events: for all participants, or for those whose intervention has a given date."""

    for_all: list[tuple[int, int, datetime, bool]] = field(default_factory=list)
    by_date: list[tuple[int, int, datetime, bool, int, date]] = field(default_factory=list)


def rebuild_events(
    session: Session,
    study: Study,
    now: datetime,
    *,
    participant_ids: Collection[int] | None = None,
    survey_id: int | None = None,
) -> Rebuilt:
    """Creates the events that are missing and removes those that are unwanted; the caller commits (NOTIF-7).

    Of all of the study's participants and surveys, or of these only. Nobody has events in a stopped study, of a
    deleted survey, once retired or purged (NOTIF-3), after the last day of taking part, or within a pause. Reads the
    schedules so that none of them can vanish before the caller's commit, and waits for a transaction that is removing
    one.
    """
    session.flush()
    wanted = _wanted_events(study, _moments(session, study, now, survey_id, participant_ids), participant_ids)
    of_study = sa.select(Participant.id).where(Participant.study_id == study.id)
    in_scope: list[sa.ColumnElement[bool]] = [ScheduledEvent.participant_id.in_(of_study)]
    if participant_ids is not None:
        in_scope.append(ScheduledEvent.participant_id.in_(participant_ids))
    if survey_id is not None:
        in_scope.append(ScheduledEvent.survey_id == survey_id)
    with _plan_for_many(session, participant_ids):
        removed = session.execute(_removal(wanted, in_scope, study.is_stopped(now)))
        created = session.execute(_creation(wanted, now))
    return Rebuilt(removed.rowcount, created.rowcount)  # type: ignore[attr-defined]


@contextmanager
def _plan_for_many(session: Session, participant_ids: Collection[int] | None) -> Iterator[None]:
    """Has the database join by hashing where there are many participants.

    It does not know how many rows the moments are, and compares each event with each wanted one if it thinks they are
    few: minutes in place of seconds.
    """
    is_many = participant_ids is None or len(participant_ids) > FEW_PARTICIPANTS
    if is_many:
        session.execute(sa.text("SET LOCAL enable_nestloop = off"))
    yield
    if is_many:
        session.execute(sa.text("SET LOCAL enable_nestloop = on"))


def _moments(
    session: Session, study: Study, now: datetime, survey_id: int | None, participant_ids: Collection[int] | None
) -> _Moments:
    moments = _Moments()
    if study.is_stopped(now):
        return moments
    query = sa.select(Schedule).join(Survey, Survey.id == Schedule.survey_id)
    query = query.where(Survey.study_id == study.id, offered_surveys())
    if survey_id is not None:
        query = query.where(Schedule.survey_id == survey_id)
    schedules = session.scalars(query.with_for_update(read=True, key_share=True, of=Schedule)).all()
    interventions = {s.intervention_id for s in schedules if s.intervention_id is not None}
    dates = _dates_in_use(session, interventions, participant_ids)
    for schedule in schedules:
        timing = timing_of(schedule)
        if isinstance(timing, Relative):
            assert schedule.intervention_id is not None
            for on in dates.get(schedule.intervention_id, ()):
                for at in wanted_times(timing, study.zone, now, on):
                    made = is_created(timing, at, now)
                    moments.by_date.append((schedule.id, schedule.survey_id, at, made, schedule.intervention_id, on))
        else:
            for at in wanted_times(timing, study.zone, now):
                moments.for_all.append((schedule.id, schedule.survey_id, at, is_created(timing, at, now)))
    return moments


def _dates_in_use(
    session: Session, intervention_ids: Collection[int], participant_ids: Collection[int] | None
) -> dict[int, list[date]]:
    """The different dates that participants, or these, have; by intervention."""
    dates: dict[int, list[date]] = {}
    if intervention_ids:
        query = sa.select(InterventionDate.intervention_id, InterventionDate.happens_on).distinct()
        query = query.where(InterventionDate.intervention_id.in_(intervention_ids))
        if participant_ids is not None:
            query = query.where(InterventionDate.participant_id.in_(participant_ids))
        for intervention_id, on in session.execute(query):
            dates.setdefault(intervention_id, []).append(on)
    return dates


_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "schedule_id": sa.BigInteger(),
    "survey_id": sa.BigInteger(),
    "scheduled_at": sa.DateTime(timezone=True),
    "is_created": sa.Boolean(),
    "intervention_id": sa.BigInteger(),
    "happens_on": sa.Date(),
}


def _relation(name: str, rows: Sequence[tuple[Any, ...]], width: int) -> sa.TableValuedAlias:
    """Rows of our own as a table of a statement, with the first so many of the columns."""
    columns = list(_COLUMNS.items())[:width]
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    arrays = [sa.cast(sa.literal(v, ARRAY(type_)), ARRAY(type_)) for v, (_, type_) in zip(values, columns, strict=True)]
    named = [sa.column(column, type_) for column, type_ in columns]
    return sa.func.unnest(*arrays).table_valued(*named, name=name).render_derived()


def _wanted_events(study: Study, moments: _Moments, participant_ids: Collection[int] | None) -> sa.CTE:
    """Every event that should exist: participant, schedule, survey, moment, and whether it is created if missing."""
    takes_part = [
        Participant.study_id == study.id,
        Participant.retired_at.is_(None),
        Participant.purge_asked_at.is_(None),
        Participant.purged_at.is_(None),
    ]
    if participant_ids is not None:
        takes_part.append(Participant.id.in_(participant_ids))

    def wanted(of: sa.TableValuedAlias) -> sa.Select[Any]:
        columns = (of.c[name] for name in list(_COLUMNS)[:4])
        asked = (~_has_left(of.c.scheduled_at), ~_is_paused(of.c.scheduled_at))
        return sa.select(Participant.id.label("participant_id"), *columns).where(*takes_part, *asked)

    for_all = _relation("for_all", moments.for_all, 4)
    by_date = _relation("by_date", moments.by_date, 6)
    everybody = wanted(for_all).join_from(Participant, for_all, sa.true())
    dated = sa.and_(
        InterventionDate.intervention_id == by_date.c.intervention_id,
        InterventionDate.happens_on == by_date.c.happens_on,
    )
    some = (
        wanted(by_date)
        .join_from(Participant, InterventionDate, InterventionDate.participant_id == Participant.id)
        .join(by_date, dated)
    )
    return everybody.union_all(some).cte("wanted")


def _has_left(at: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """The participant no longer takes part at that moment (CLAR-35)."""
    return sa.exists().where(Departure.participant_id == Participant.id, at >= Departure.ends_at)


def _is_paused(at: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """The moment falls into a pause of the participant (CLAR-36)."""
    is_within = sa.and_(at >= Pause.starts_at, sa.or_(Pause.ends_at.is_(None), at < Pause.ends_at))
    return sa.exists().where(Pause.participant_id == Participant.id, is_within)


def _removal(wanted: sa.CTE, in_scope: list[sa.ColumnElement[bool]], is_stopped: bool) -> sa.Delete:
    """Events by hand have no schedule and stay as long as their survey is asked. Rows are locked in one order."""
    is_wanted = sa.exists().where(
        wanted.c.schedule_id == ScheduledEvent.schedule_id,
        wanted.c.participant_id == ScheduledEvent.participant_id,
        wanted.c.scheduled_at == ScheduledEvent.scheduled_at,
    )
    by_hand: sa.ColumnElement[bool] = sa.false()
    if not is_stopped:
        offered = sa.select(Survey.id).where(offered_surveys())
        by_hand = sa.and_(ScheduledEvent.schedule_id.is_(None), ScheduledEvent.survey_id.in_(offered))
    unwanted = sa.select(ScheduledEvent.id).where(*in_scope, ~is_wanted, ~by_hand)
    locked = unwanted.order_by(ScheduledEvent.id).with_for_update(of=ScheduledEvent)
    return sa.delete(ScheduledEvent).where(ScheduledEvent.id.in_(locked)).execution_options(synchronize_session=False)


def _creation(wanted: sa.CTE, now: datetime) -> sa.Insert:
    """A new event that was sent already, with success, is done at once: the same time is never sent twice."""
    exists_already = sa.exists().where(
        ScheduledEvent.schedule_id == wanted.c.schedule_id,
        ScheduledEvent.participant_id == wanted.c.participant_id,
        ScheduledEvent.scheduled_at == wanted.c.scheduled_at,
    )
    was_sent = sa.exists().where(
        NotificationAttempt.participant_id == wanted.c.participant_id,
        NotificationAttempt.scheduled_at == wanted.c.scheduled_at,
        NotificationAttempt.status == SUCCESS,
        NotificationAttempt.survey_version_id == SurveyVersion.id,
        SurveyVersion.survey_id == wanted.c.survey_id,
    )
    may_be_sent = wanted.c.scheduled_at <= now + MOST_BETWEEN_ZONES
    missing = sa.select(
        wanted.c.survey_id,
        wanted.c.participant_id,
        wanted.c.schedule_id,
        wanted.c.scheduled_at,
        sa.case((sa.and_(may_be_sent, was_sent), EventState.DONE.value), else_=EventState.PENDING.value),
    ).where(wanted.c.is_created, ~exists_already)
    in_one_order = missing.order_by(wanted.c.participant_id, wanted.c.schedule_id, wanted.c.scheduled_at)
    names = ["survey_id", "participant_id", "schedule_id", "scheduled_at", "state"]
    return insert(ScheduledEvent).from_select(names, in_one_order).on_conflict_do_nothing()
