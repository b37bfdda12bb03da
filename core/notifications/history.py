"""What happened to a participant's notifications: asked, sent, received, opened, answered (NOTIF-24, NOTIF-40).

Android's pushes are at most "accepted": only iOS apps from 2024.27 on report what they received (CLAR-62).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    EventState,
    NotificationAttempt,
    Participant,
    PushReceipt,
    ScheduledEvent,
    Study,
    Survey,
    SurveyVersion,
    UploadRecord,
)
from core.models.schedule import SUCCESS
from core.notifications.answered import ANSWER_STREAMS
from core.notifications.due import Ended
from core.streams import SPECS, BadFileTime, DataStream
from core.streams.paths import file_time, survey_of_path
from core.surveys.expiry import expiries_of
from core.surveys.rules.answerable import answerable_until
from core.surveys.schedules import counts_as
from core.zones import known_zone

TIMINGS = SPECS[DataStream.SURVEY_TIMINGS].number
UPLOADED_WITHIN = timedelta(days=14)
"""Answers are looked for in uploads until so long after the span that is shown."""


class Step(StrEnum):
    """The last thing that is known of a notification."""

    SCHEDULED = "scheduled"
    ACCEPTED = "accepted"
    RECEIVED = "received"
    REFUSED = "refused"
    EXPIRED = "expired"
    BY_ITSELF = "answered before it was sent"


class Answer(StrEnum):
    """Whether the survey was answered (CLAR-51)."""

    IN_TIME = "answered"
    LATE = "late"
    MISSED = "missed"
    OPEN = "can be answered"


@dataclass(frozen=True)
class Notification:
    """A survey at a time, with all attempts to notify of it. Times are UTC, null where it did not happen."""

    survey_id: str
    survey_number: int
    survey_name: str
    kind: str
    scheduled_at: datetime
    counts_at: datetime
    answerable_until: datetime
    step: Step
    sent_at: datetime | None
    received_at: datetime | None
    opened_at: datetime | None
    answered_at: datetime | None
    answer: Answer
    resends: int
    reason: str
    will_be_tried: bool
    researcher_name: str | None


def notifications_of(
    session: Session, participant: Participant, since: datetime, until: datetime, now: datetime
) -> list[Notification]:
    """The participant's notifications scheduled in a span, newest first; at most seven queries."""
    study = session.get_one(Study, participant.study_id)
    expiries = expiries_of(session, study)
    attempts = _attempts(session, participant, since, until)
    receipts = _receipts(session, participant, [a.uuid for _, a in attempts if a.uuid])
    asked = _asked(session, participant, since, until)
    opened, answered = _uploads(session, participant, since, until, now)
    zone = known_zone(participant.timezone_name) or study.zone
    times: dict[int, set[datetime]] = {}
    for survey_id, attempt in attempts:
        times.setdefault(survey_id, set()).add(attempt.scheduled_at)
    for event in asked:
        times.setdefault(event.survey_id, set()).add(event.scheduled_at)
    surveys = session.scalars(sa.select(Survey).where(Survey.id.in_(list(times))))
    found = []
    for survey in surveys:
        counting = sorted({counts_as(at, study.zone, zone) for at in times[survey.id]})
        for at in times[survey.id]:
            counts_at = counts_as(at, study.zone, zone)
            next_at = next((later for later in counting if later > counts_at), None)
            span = _Span(at, counts_at, next_at, answerable_until(counts_at, next_at, expiries[survey.id]))
            theirs = [a for survey_id, a in attempts if survey_id == survey.id and a.scheduled_at == at]
            is_pending = any(
                e.survey_id == survey.id and e.scheduled_at == at and e.state == EventState.PENDING.value for e in asked
            )
            opened_at = _first(opened.get(survey.object_id, ()), span)
            answered_at = _first(answered.get(survey.object_id, ()), span)
            received = [receipts[a.uuid] for a in theirs if a.uuid in receipts]
            found.append(_row(survey, span, theirs, received, opened_at, answered_at, now, is_pending=is_pending))
    return sorted(found, key=lambda each: (each.counts_at, each.survey_id), reverse=True)


@dataclass(frozen=True)
class _Span:
    """The time of one notification: submissions until the next one are answers to it."""

    scheduled_at: datetime
    counts_at: datetime
    next_at: datetime | None
    answerable_until: datetime


def _row(
    survey: Survey,
    span: _Span,
    attempts: Sequence[NotificationAttempt],
    received: Sequence[datetime],
    opened_at: datetime | None,
    answered_at: datetime | None,
    now: datetime,
    *,
    is_pending: bool,
) -> Notification:
    return Notification(
        survey_id=survey.object_id,
        survey_number=survey.id,
        survey_name=survey.name,
        kind=attempts[0].kind if attempts else "",
        scheduled_at=span.scheduled_at,
        counts_at=span.counts_at,
        answerable_until=span.answerable_until,
        step=_step(attempts, bool(received)),
        sent_at=next((a.attempted_at for a in attempts if a.status == SUCCESS), None),
        received_at=min(received, default=None),
        opened_at=min((at for at in (opened_at, answered_at) if at), default=None),
        answered_at=answered_at,
        answer=_answer(answered_at, span.answerable_until, now),
        resends=sum(a.was_resend and a.status == SUCCESS for a in attempts),
        reason=attempts[-1].status if attempts and attempts[-1].status != SUCCESS else "",
        will_be_tried=is_pending,
        researcher_name=next((a.researcher_name for a in attempts if a.researcher_name), None),
    )


def _step(attempts: Sequence[NotificationAttempt], is_received: bool) -> Step:
    if is_received or any(a.is_confirmed for a in attempts):
        return Step.RECEIVED
    if any(a.status == SUCCESS for a in attempts):
        return Step.ACCEPTED
    if not attempts:
        return Step.SCHEDULED
    ended = {Ended.EXPIRED.value: Step.EXPIRED, Ended.ANSWERED.value: Step.BY_ITSELF}
    return ended.get(attempts[-1].status, Step.REFUSED)


def _answer(answered_at: datetime | None, answerable: datetime, now: datetime) -> Answer:
    if answered_at is None:
        return Answer.OPEN if now < answerable else Answer.MISSED
    return Answer.IN_TIME if answered_at < answerable else Answer.LATE


def _first(moments: Iterable[datetime], span: _Span) -> datetime | None:
    within = (at for at in moments if span.counts_at <= at and (span.next_at is None or at < span.next_at))
    return min(within, default=None)


def _attempts(
    session: Session, participant: Participant, since: datetime, until: datetime
) -> list[tuple[int, NotificationAttempt]]:
    query = (
        sa.select(SurveyVersion.survey_id, NotificationAttempt)
        .join(SurveyVersion, SurveyVersion.id == NotificationAttempt.survey_version_id)
        .where(
            NotificationAttempt.participant_id == participant.id,
            NotificationAttempt.scheduled_at >= since,
            NotificationAttempt.scheduled_at < until,
        )
        .order_by(NotificationAttempt.attempted_at, NotificationAttempt.id)
    )
    return [(survey_id, attempt) for survey_id, attempt in session.execute(query)]


def _asked(session: Session, participant: Participant, since: datetime, until: datetime) -> list[ScheduledEvent]:
    query = sa.select(ScheduledEvent).where(
        ScheduledEvent.participant_id == participant.id,
        ScheduledEvent.scheduled_at >= since,
        ScheduledEvent.scheduled_at < until,
    )
    return list(session.scalars(query))


def _receipts(session: Session, participant: Participant, uuids: Sequence[object]) -> dict[object, datetime]:
    if not uuids:
        return {}
    query = sa.select(PushReceipt.uuid, PushReceipt.received_at)
    rows = session.execute(query.where(PushReceipt.participant_id == participant.id, PushReceipt.uuid.in_(uuids)))
    return dict(rows.tuples().all())


def _uploads(
    session: Session, participant: Participant, since: datetime, until: datetime, now: datetime
) -> tuple[dict[str, list[datetime]], dict[str, list[datetime]]]:
    """By survey id, when it was opened and when it was answered, by the names of files."""
    query = sa.select(UploadRecord.path, UploadRecord.stream, UploadRecord.received_at).where(
        UploadRecord.participant_id == participant.id,
        UploadRecord.received_at >= since - timedelta(days=1),
        UploadRecord.received_at < until + UPLOADED_WITHIN,
        UploadRecord.stream.in_([*ANSWER_STREAMS, TIMINGS]),
    )
    opened: dict[str, list[datetime]] = {}
    answered: dict[str, list[datetime]] = {}
    for path, stream, received_at in session.execute(query):
        try:
            at = file_time(path, now)
        except BadFileTime:
            at = received_at
        if survey := survey_of_path(path):
            (opened if stream == TIMINGS else answered).setdefault(survey, []).append(at)
    return opened, answered
