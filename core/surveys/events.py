"""Updates scheduled events after changes of surveys, schedules, intervention dates, participants and zones (NOTIF-7).

What should exist is compared with what does in three statements, whatever the number of participants: the moments are
computed here, once for each schedule and date, and multiplied by the participants in the database.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from core.answers.outcomes import bring_outcomes_up_to_date
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
from core.surveys.moments import EVERYBODY, Moments, moments_for
from core.surveys.same_uuids import take_sent_uuids

# Clocks of two zones differ by less: no event counts, and so none was sent, longer before its scheduled time.
MOST_BETWEEN_ZONES = timedelta(hours=26)
FEW_PARTICIPANTS = 10


@dataclass(frozen=True)
class Rebuilt:
    """How many events a rebuild removed and created."""

    removed: int
    created: int


def rebuild_events(
    session: Session,
    study: Study,
    now: datetime,
    *,
    participant_ids: Collection[int] | None = None,
    survey_id: int | None = None,
    asked_at: datetime | None = None,
) -> Rebuilt:
    """Creates the events that are missing and removes those that are unwanted; the caller commits (NOTIF-7).

    Of all of the study's participants and surveys, or of these only. Nobody has events in a stopped study, of a
    deleted survey, once retired or purged (NOTIF-3), after the last day of taking part, or within a pause. Reads the
    schedules so that none of them can vanish before the caller's commit, and waits for a transaction that is removing
    one. What has counted until `asked_at`, the moment of the change, or now, is written down before it can be removed
    (NOTIF-24).
    """
    session.flush()
    bring_outcomes_up_to_date(
        session,
        min(asked_at or now, now),
        study_id=study.id,
        participant_ids=participant_ids,
        survey_id=survey_id,
        waits_for_rebuild=False,
    )
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
    if created.rowcount:  # type: ignore[attr-defined]
        take_sent_uuids(session, now)
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
) -> Moments:
    if study.is_stopped(now):
        return Moments()
    query = sa.select(Schedule).join(Survey, Survey.id == Schedule.survey_id)
    query = query.where(Survey.study_id == study.id, offered_surveys())
    if survey_id is not None:
        query = query.where(Schedule.survey_id == survey_id)
    schedules = session.scalars(query.with_for_update(read=True, key_share=True, of=Schedule)).all()
    return moments_for(session, study, schedules, now, participant_ids)


_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "schedule_id": sa.BigInteger(),
    "survey_id": sa.BigInteger(),
    "scheduled_at": sa.DateTime(timezone=True),
    "is_created": sa.Boolean(),
    "group_number": sa.BigInteger(),
    "intervention_id": sa.BigInteger(),
    "happens_on": sa.Date(),
    "at_second": sa.BigInteger(),
    "participant_id": sa.BigInteger(),
}
_ON_DATES = ("schedule_id", "survey_id", "scheduled_at", "is_created", "group_number")
_BY_DATE = (*_ON_DATES, "intervention_id", "happens_on")
_DRAWN = ("schedule_id", "survey_id", "at_second", "is_created", "participant_id")
_MEMBERS = ("participant_id", "group_number")


def _relation(name: str, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> sa.TableValuedAlias:
    """Rows of our own as a table of a statement, with these columns."""
    types = [_COLUMNS[column] for column in columns]
    values = list(zip(*rows, strict=True)) or [() for _ in columns]
    arrays = [
        sa.cast(sa.literal(_array_text(v), sa.Text), ARRAY(type_)) for v, type_ in zip(values, types, strict=True)
    ]
    named = [sa.column(column, type_) for column, type_ in zip(columns, types, strict=True)]
    return sa.func.unnest(*arrays).table_valued(*named, name=name).render_derived()


def _array_text(values: Iterable[Any]) -> str:
    """An array as PostgreSQL reads it: one text is sent many times faster than a list of values."""
    return "{" + ",".join(v.isoformat() if isinstance(v, date) else str(v) for v in values) + "}"


def _wanted_events(study: Study, moments: Moments, participant_ids: Collection[int] | None) -> sa.CTE:
    """Every event that should exist: participant, schedule, survey, moment, and whether it is created if missing."""
    takes_part = [
        Participant.study_id == study.id,
        Participant.retired_at.is_(None),
        Participant.purge_asked_at.is_(None),
        Participant.purged_at.is_(None),
    ]
    if participant_ids is not None:
        takes_part.append(Participant.id.in_(participant_ids))
    members = _relation("members", moments.members, _MEMBERS)

    def wanted(of: sa.TableValuedAlias, at: sa.ColumnElement[datetime]) -> sa.Select[Any]:
        named = (Participant.id.label("participant_id"), of.c.schedule_id, of.c.survey_id, at.label("scheduled_at"))
        return sa.select(*named, of.c.is_created).where(*takes_part, ~_has_left(at), ~_is_paused(at))

    def of_group(of: sa.TableValuedAlias) -> sa.ColumnElement[bool]:
        return sa.and_(members.c.participant_id == Participant.id, members.c.group_number == of.c.group_number)

    parts = []
    for is_grouped in (False, True):
        if rows := [row for row in moments.on_dates if (row[4] != EVERYBODY) == is_grouped]:
            of = _relation("on_dates", rows, _ON_DATES)
            everybody = wanted(of, of.c.scheduled_at)
            if is_grouped:
                everybody = everybody.join_from(Participant, members, members.c.participant_id == Participant.id)
                parts.append(everybody.join(of, of_group(of)))
            else:
                parts.append(everybody.join_from(Participant, of, sa.true()))
        if dated := [row for row in moments.by_date if (row[4] != EVERYBODY) == is_grouped]:
            of = _relation("by_date", dated, _BY_DATE)
            has_date = sa.and_(
                InterventionDate.intervention_id == of.c.intervention_id, InterventionDate.happens_on == of.c.happens_on
            )
            some = wanted(of, of.c.scheduled_at)
            some = some.join_from(Participant, InterventionDate, InterventionDate.participant_id == Participant.id)
            some = some.join(of, has_date)
            parts.append(some.join(members, of_group(of)) if is_grouped else some)
    if moments.drawn or not parts:
        of = _relation("drawn", moments.drawn, _DRAWN)
        each = wanted(of, sa.func.to_timestamp(of.c.at_second, type_=sa.DateTime(timezone=True)))
        parts.append(each.join_from(Participant, of, of.c.participant_id == Participant.id))
    return sa.union_all(*parts).cte("wanted")


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
