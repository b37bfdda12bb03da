"""Pushes that a researcher sends: a survey to one participant now, a text to chosen ones (NOTIF-70).

Each is written into the ledger and the audit trail; a text itself is kept nowhere.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.bulk import is_one_of
from core.models import (
    MessageKind,
    NotificationAttempt,
    Participant,
    ParticipantActivity,
    PushService,
    PushToken,
    Study,
    Survey,
)
from core.models.audit_record import Action
from core.models.schedule import SUCCESS, AttemptKind
from core.notifications.delivering import Delivered, OpenSender, deliver
from core.notifications.due import Recipient
from core.notifications.ledger import Entry, newest_versions
from core.notifications.messages import BUILT_IN, survey_message, text_message
from core.notifications.rules.bundling import collapse_key
from core.notifications.rules.receipts import reports_receipts
from core.notifications.service_states import configured_services
from core.notifications.wording import wording_of
from core.streams import Platform
from core.surveys.expiry import own_expiry

LONGEST_TEXT = 500
TEXT_LIVES = timedelta(hours=24)
"""How long the services try to deliver a text."""


class NotSent(Exception):
    """Nothing was sent; the message says why, and can be shown."""


class TextRefused(ValueError):
    """The text cannot be sent; the message says what is allowed."""


@dataclass(frozen=True)
class TextPreview:
    """Whom a text would reach, by platform, and how many it would not reach, by reason."""

    reached: dict[str, int]
    missed: dict[str, int]


def send_survey_now(
    session: Session,
    engine: sa.Engine,
    open_sender: OpenSender,
    participant: Participant,
    survey: Survey,
    clock: Callable[[], datetime],
    *,
    actor: Actor,
) -> str | None:
    """Sends the survey at once, whatever its schedules say; commits. Returns None, or why the service refused.

    It is an attempt of kind manual with the actor's name (PORTAL-137). Raises NotSent where nothing could be tried.
    """
    study = session.get_one(Study, participant.study_id)
    now = clock()
    if study.is_stopped(now):
        raise NotSent("The study is stopped: no survey is sent.")
    if survey.study_id != study.id or survey.deleted_at or survey.published_at is None:
        raise NotSent("The study asks no such survey.")
    recipient, reason = recipients_of(session, [participant.id])[participant.id]
    record(session, actor, Action.NOTIFICATION_SEND, study=study, participant=participant, survey=survey.object_id)
    if recipient is None:
        _write_attempt(session, participant, survey, reason, actor.name, now)
        session.commit()
        raise NotSent(reason)
    until = now + timedelta(minutes=own_expiry(session, survey) or study.survey_expiry_minutes)
    is_android = recipient.platform is Platform.ANDROID
    key = survey.object_id if is_android else collapse_key(recipient.patient_id, [survey.object_id])
    wording = wording_of(session, [participant.id]).get(participant.id, BUILT_IN)
    message = survey_message(recipient.platform, {survey.object_id: []}, now, wording).until(until, key, now)
    session.commit()
    done = deliver(engine, open_sender, [Entry(recipient, MessageKind.MANUAL, message, now)], clock)
    status = SUCCESS if done.accepted else _said(done)
    _write_attempt(session, participant, survey, status, actor.name, clock())
    session.commit()
    return None if done.accepted else status


def preview_text(session: Session, participants: Sequence[Participant], text: str) -> TextPreview:
    """Whom the text would reach; nothing is sent. Raises TextRefused."""
    checked_text(text)
    reached: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for recipient, reason in recipients_of(session, [each.id for each in participants]).values():
        if recipient is None:
            missed[reason] += 1
        else:
            reached[recipient.platform.value] += 1
    return TextPreview(dict(reached), dict(missed))


def send_text(
    session: Session,
    engine: sa.Engine,
    open_sender: OpenSender,
    study: Study,
    participants: Sequence[Participant],
    text: str,
    clock: Callable[[], datetime],
    *,
    actor: Actor,
) -> Delivered:
    """Sends the text to these participants of the study; commits. The audit trail holds how many, not the text.

    Raises TextRefused, and NotSent where the study is stopped.
    """
    text, now = checked_text(text), clock()
    if study.is_stopped(now):
        raise NotSent("The study is stopped: nothing is sent.")
    chosen = [each.id for each in participants if each.study_id == study.id]
    wording = wording_of(session, chosen)
    entries = []
    for recipient, _ in recipients_of(session, chosen).values():
        if recipient is not None:
            title = wording.get(recipient.participant_id, BUILT_IN).title
            key = collapse_key(recipient.patient_id, [text], about="text")
            message = text_message(recipient.platform, text, title).until(now + TEXT_LIVES, key, now)
            entries.append(Entry(recipient, MessageKind.TEXT, message, now))
    record(session, actor, Action.NOTIFICATION_TEXT, study=study, chosen=len(chosen), sent_to=len(entries))
    session.commit()
    return deliver(engine, open_sender, entries, clock)


def checked_text(text: str) -> str:
    """The text without white space around it. Raises TextRefused for an empty or a long one."""
    text = text.strip()
    if not text or len(text) > LONGEST_TEXT:
        raise TextRefused(f"A message has 1 to {LONGEST_TEXT} characters.")
    return text


def recipients_of(session: Session, participant_ids: Sequence[int]) -> dict[int, tuple[Recipient | None, str]]:
    """Who can be reached, or why not; two queries."""
    configured = configured_services(session)
    query = (
        sa.select(Participant, ParticipantActivity, PushToken)
        .join(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .outerjoin(PushToken, sa.and_(PushToken.participant_id == Participant.id, PushToken.retired_at.is_(None)))
        .where(is_one_of(Participant.id, participant_ids))
        .order_by(Participant.id, PushToken.service.desc())  # Apple's is looked at last, and counts
    )
    found: dict[int, tuple[Recipient | None, str]] = {}
    for participant, activity, token in session.execute(query):
        known = found.get(participant.id)
        new = _recipient(participant, activity, token, configured)
        found[participant.id] = new if known is None or new[0] else known
    return found


def _recipient(
    participant: Participant,
    activity: ParticipantActivity,
    token: PushToken | None,
    configured: dict[PushService, datetime],
) -> tuple[Recipient | None, str]:
    if participant.retired_at or participant.is_locked_out:
        return None, "The participant is retired."
    if participant.os_type is None:
        return None, "The phone has not registered, so its platform is not known."
    if token is None:
        return None, "The phone has told this server no push token."
    if PushService(token.service) not in configured:
        return None, "This server has no credentials for sending push notifications."
    reports = reports_receipts(participant.os_type, activity.last_version_code, activity.last_version_name)
    recipient = Recipient(
        participant.id,
        participant.patient_id,
        Platform(participant.os_type),
        activity.last_version_name or activity.last_version_code,
        PushService(token.service),
        token.id,
        token.token,
        token.failures,
        reports,
    )
    return recipient, ""


def _write_attempt(
    session: Session, participant: Participant, survey: Survey, status: str, author_name: str, now: datetime
) -> None:
    session.add(
        NotificationAttempt(
            survey_version_id=newest_versions(session, {survey.id})[survey.id],
            participant_id=participant.id,
            kind=AttemptKind.MANUAL.value,
            scheduled_at=now,
            status=status,
            researcher_name=author_name,
            attempted_at=now,
        )
    )


def _said(done: Delivered) -> str:
    if done.not_tried:
        return "The push service is not asked at the moment."
    fate = next(iter(done.outcomes))[2]
    return f"The push service did not take it ({fate})."
