"""Writes down the events whose time has come, so that rates outlive them (NOTIF-24, CLAR-51).

Scheduled events age out and are removed when schedules change; what counted stays counted. The exact time on the
participant's clock is computed here for each different scheduled time and pair of zones, the rest in one statement.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.bulk import is_one_of, value_table
from core.models import (
    CountedEvent,
    EventRebuild,
    Participant,
    ParticipantActivity,
    ScheduledEvent,
    Study,
    SurveyExpiry,
)
from core.surveys.schedules import counts_as
from core.zones import known_zone

# Events older than this were looked at before; those that are made later than they could be answered never count.
LOOK_BACK = timedelta(days=60)
# Clocks of two zones differ by less.
MOST_BETWEEN_ZONES = timedelta(hours=26)


@dataclass(frozen=True)
class Touched:
    """The events of a participant and survey, from this moment on, whose outcomes have to be looked at."""

    participant_id: int
    survey_id: int
    since: datetime


def record_counted_events(
    session: Session,
    now: datetime,
    *,
    study_id: int | None = None,
    participant_ids: Collection[int] | None = None,
    survey_id: int | None = None,
    looks_back: timedelta | None = LOOK_BACK,
    waits_for_rebuild: bool = True,
) -> list[Touched]:
    """Writes the events that have counted by now and are not written yet; returns what they touch. Two queries.

    Of all studies, or of this study, these participants, this survey. Events of people without a phone, or who got it
    when the event could no longer be answered, do not count, nor do events that were made so late. With
    `waits_for_rebuild` studies are left out whose events are about to change (CLAR-14). The caller settles outcomes
    and commits.
    """
    scope = _scope(study_id, participant_ids, survey_id)
    if waits_for_rebuild:
        scope.append(~sa.exists().where(EventRebuild.study_id == Participant.study_id))
    scope.append(ScheduledEvent.scheduled_at <= now + MOST_BETWEEN_ZONES)
    if looks_back is not None:
        scope.append(ScheduledEvent.scheduled_at >= now - looks_back)
    moments = _moments(session, scope, now)
    if not moments:
        return []
    return [Touched(*row) for row in session.execute(_recording(moments, scope)).tuples()]


def _scope(
    study_id: int | None, participant_ids: Collection[int] | None, survey_id: int | None
) -> list[sa.ColumnElement[bool]]:
    is_known = sa.exists().where(
        CountedEvent.participant_id == ScheduledEvent.participant_id,
        CountedEvent.survey_id == ScheduledEvent.survey_id,
        CountedEvent.scheduled_at == ScheduledEvent.scheduled_at,
    )
    scope: list[sa.ColumnElement[bool]] = [Participant.os_type.is_not(None), ~is_known]
    if study_id is not None:
        scope.append(Participant.study_id == study_id)
    if participant_ids is not None:
        scope.append(is_one_of(ScheduledEvent.participant_id, participant_ids))
    if survey_id is not None:
        scope.append(ScheduledEvent.survey_id == survey_id)
    return scope


_MOMENTS: dict[str, sa.types.TypeEngine[Any]] = {
    "study_id": sa.BigInteger(),
    "zone": sa.Text(),
    "scheduled_at": sa.DateTime(timezone=True),
    "counts_at": sa.DateTime(timezone=True),
    "on_day": sa.Date(),
}
_Moment = tuple[int, str, datetime, datetime, date]


def _moments(session: Session, scope: Sequence[sa.ColumnElement[bool]], now: datetime) -> list[_Moment]:
    """The different scheduled times by study and zone of the phone, with when they count; those that have by now."""
    zone = sa.func.coalesce(Participant.timezone_name, "")
    query = sa.select(Study.id, Study.timezone_name, zone, ScheduledEvent.scheduled_at).distinct()
    query = query.join_from(ScheduledEvent, Participant, Participant.id == ScheduledEvent.participant_id)
    found = []
    for number, study_zone, name, at in session.execute(query.join(Study).where(*scope)).tuples():
        of_study = Study(timezone_name=study_zone).zone
        counts_at = counts_as(at, of_study, known_zone(name))
        if counts_at <= now:
            found.append((number, name, at, counts_at, at.astimezone(of_study).date()))
    return found


def _recording(moments: Sequence[_Moment], scope: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    at = value_table("moments", _MOMENTS, moments)
    minutes = sa.func.coalesce(SurveyExpiry.minutes, Study.survey_expiry_minutes)
    expires_at = at.c.counts_at + sa.func.make_interval(0, 0, 0, 0, 0, minutes)
    columns = {
        "participant_id": ScheduledEvent.participant_id,
        "survey_id": ScheduledEvent.survey_id,
        "scheduled_at": ScheduledEvent.scheduled_at,
        "counts_at": at.c.counts_at,
        "expires_at": expires_at,
        "on_day": at.c.on_day,
    }
    is_of_moment = sa.and_(
        at.c.study_id == Participant.study_id,
        at.c.zone == sa.func.coalesce(Participant.timezone_name, ""),
        at.c.scheduled_at == ScheduledEvent.scheduled_at,
    )
    first = ParticipantActivity.first_registered_at
    events = (
        sa.select(*columns.values())
        .select_from(ScheduledEvent)
        .join(Participant, Participant.id == ScheduledEvent.participant_id)
        .join(Study, Study.id == Participant.study_id)
        .join(at, is_of_moment)
        .outerjoin(SurveyExpiry, SurveyExpiry.survey_id == ScheduledEvent.survey_id)
        .outerjoin(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .where(*scope, ScheduledEvent.created_at < expires_at, sa.or_(first.is_(None), first < expires_at))
        .order_by(ScheduledEvent.participant_id, ScheduledEvent.survey_id, ScheduledEvent.scheduled_at)
    )
    written = (
        insert(CountedEvent)
        .from_select(list(columns), events)
        .on_conflict_do_nothing()
        .returning(CountedEvent.participant_id, CountedEvent.survey_id, CountedEvent.counts_at)
        .cte("written")
    )
    pair = (written.c.participant_id, written.c.survey_id)
    return sa.select(*pair, sa.func.min(written.c.counts_at)).group_by(*pair)
