"""How a study's notifications are delivered: rates, delays, lost tokens, and who got none (CLAR-62).

Test participants are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core.models import (
    MessageKind,
    MessageState,
    NotificationAttempt,
    Participant,
    PushMessage,
    PushMessageEvent,
    PushReceipt,
    PushToken,
    Study,
    Survey,
    SurveyVersion,
)
from core.models.schedule import SUCCESS
from core.notifications.due import Ended


@dataclass(frozen=True)
class Rate:
    """Messages of one platform and app version. `received` counts those with a receipt, null where apps report none."""

    platform: str
    app_version: str | None
    messages: int
    accepted: int
    received: int | None
    median_delay_seconds: float | None
    p95_delay_seconds: float | None


@dataclass(frozen=True)
class LostTokens:
    """How many tokens the services no longer knew on one day of UTC."""

    day: date
    count: int


@dataclass(frozen=True)
class NotReached:
    """A survey at a time that was not sent to a participant, and why."""

    patient_id: str
    survey_id: str
    survey_name: str
    scheduled_at: datetime
    reason: str


@dataclass(frozen=True)
class Missed:
    """How many surveys were not sent to a participant, and the newest of them."""

    patient_id: str
    count: int
    survey_name: str
    scheduled_at: datetime
    reason: str


def delivery_rates(session: Session, study: Study, since: datetime, until: datetime) -> list[Rate]:
    """Survey messages written in the span, by platform and app version; one query.

    The delay is from when an event was due to when its message was accepted.
    """
    is_accepted = PushMessage.state == MessageState.ACCEPTED.value
    delay = sa.extract("epoch", PushMessage.settled_at - PushMessage.due_at)
    reports = sa.exists().where(PushMessageEvent.message_id == PushMessage.id, PushMessageEvent.is_reported)
    has_receipt = sa.exists().where(
        PushMessageEvent.message_id == PushMessage.id,
        PushReceipt.participant_id == PushMessageEvent.participant_id,
        PushReceipt.uuid == PushMessageEvent.uuid,
    )
    query = (
        sa.select(
            PushMessage.platform,
            PushMessage.app_version,
            sa.func.count(),
            sa.func.count().filter(is_accepted),
            sa.func.count().filter(is_accepted, has_receipt),
            sa.func.percentile_cont(0.5).within_group(delay).filter(is_accepted),
            sa.func.percentile_cont(0.95).within_group(delay).filter(is_accepted),
            sa.func.bool_or(reports),
        )
        .join(Participant, Participant.id == PushMessage.participant_id)
        .where(*_of_study(study, since, until))
        .group_by(PushMessage.platform, PushMessage.app_version)
        .order_by(PushMessage.platform, PushMessage.app_version)
    )
    return [_rate(row) for row in session.execute(query)]


def lost_tokens(session: Session, study: Study, since: datetime, until: datetime) -> list[LostTokens]:
    """Tokens that the services no longer knew, by day; days without any are left out. One query."""
    day = sa.cast(sa.func.timezone("UTC", PushToken.retired_at), sa.Date)
    query = (
        sa.select(day, sa.func.count())
        .join(Participant, Participant.id == PushToken.participant_id)
        .where(
            Participant.study_id == study.id,
            Participant.is_test.is_(False),
            PushToken.retired_because.is_not(None),
            PushToken.retired_at >= since,
            PushToken.retired_at < until,
        )
        .group_by(day)
        .order_by(day)
    )
    return [LostTokens(*row) for row in session.execute(query)]


def not_reached(session: Session, study: Study, since: datetime, until: datetime) -> list[NotReached]:
    """Surveys of times in the span that were tried or expired, and never accepted, by participant; one query.

    The reason is the newest refusal, or that it expired where nothing was tried. What was answered by itself is left
    out.
    """
    ours, again = NotificationAttempt, aliased(NotificationAttempt)
    was_sent = sa.exists().where(
        again.participant_id == ours.participant_id,
        again.scheduled_at == ours.scheduled_at,
        again.status.in_([SUCCESS, Ended.ANSWERED.value]),
        again.survey_version_id.in_(
            sa.select(SurveyVersion.id).where(SurveyVersion.survey_id == Survey.id).correlate(Survey)
        ),
    )
    query = (
        sa.select(Participant.patient_id, Survey.object_id, Survey.name, ours.scheduled_at, ours.status)
        .distinct(Participant.patient_id, Survey.object_id, ours.scheduled_at)
        .join(Participant, Participant.id == ours.participant_id)
        .join(SurveyVersion, SurveyVersion.id == ours.survey_version_id)
        .join(Survey, Survey.id == SurveyVersion.survey_id)
        .where(
            Participant.study_id == study.id,
            Participant.is_test.is_(False),
            ours.scheduled_at >= since,
            ours.scheduled_at < until,
            ours.status.not_in([SUCCESS, Ended.ANSWERED.value]),
            ~was_sent,
        )
        .order_by(
            Participant.patient_id,
            Survey.object_id,
            ours.scheduled_at,
            ours.status == Ended.EXPIRED.value,
            ours.attempted_at.desc(),
        )
    )
    return [NotReached(*row) for row in session.execute(query)]


def missed_by_participant(rows: Sequence[NotReached]) -> list[Missed]:
    """The surveys that were not sent, a row for each participant, those with the most first."""
    found: dict[str, list[NotReached]] = {}
    for row in rows:
        found.setdefault(row.patient_id, []).append(row)
    missed = []
    for patient_id, theirs in found.items():
        newest = max(theirs, key=lambda row: row.scheduled_at)
        missed.append(Missed(patient_id, len(theirs), newest.survey_name, newest.scheduled_at, newest.reason))
    return sorted(missed, key=lambda each: (-each.count, each.patient_id))


def _of_study(study: Study, since: datetime, until: datetime) -> Sequence[sa.ColumnElement[bool]]:
    return (
        Participant.study_id == study.id,
        Participant.is_test.is_(False),
        PushMessage.kind == MessageKind.SURVEYS.value,
        PushMessage.state != MessageState.PENDING.value,
        PushMessage.written_at >= since,
        PushMessage.written_at < until,
    )


def _rate(row: Any) -> Rate:
    platform, version, messages, accepted, received, median, p95, reports = row
    as_number = [None if delay is None else float(delay) for delay in (median, p95)]
    return Rate(platform, version, messages, accepted, received if reports else None, *as_number)
