"""Heartbeats: a push to phones that have been silent for a while, so that their app goes on (NOTIF-60)."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.models import (
    MessageKind,
    MessageState,
    Participant,
    ParticipantActivity,
    ParticipantEvent,
    PushMessage,
    PushService,
    PushToken,
)
from core.models.phone_history import EventKind
from core.notifications.answer_log import answer_log, settle_left_answers
from core.notifications.delivering import OpenSender, by_words, deliver, utc_now
from core.notifications.due import Recipient
from core.notifications.due_rows import ACTIVE_FOR
from core.notifications.ledger import Entry
from core.notifications.messages import BUILT_IN, Wording, text_message
from core.notifications.rules.bundling import collapse_key
from core.notifications.rules.quiet_hours import is_quiet
from core.notifications.rules.receipts import reports_receipts
from core.notifications.running_studies import RunningStudy, running_studies
from core.notifications.service_states import configured_services, resting_services
from core.notifications.wording import wording_of
from core.streams import Platform

LEAST_MINUTES = 30
NOTED_WITHIN = timedelta(hours=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Heartbeats:
    """What a run pushed: how many phones were silent, and the messages by service, platform and outcome."""

    silent: int = 0
    accepted: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


def send_heartbeats(
    engine: sa.Engine, open_sender: OpenSender, *, clock: Callable[[], datetime] = utc_now
) -> Heartbeats:
    """Pushes a heartbeat to each phone that is silent; commits as it goes. One run at a time, as `send_due`."""
    with Session(engine) as session:
        settle_left_answers(session, clock())
        _note_accepted(session, clock())
        entries = silent_phones(session, clock())
        session.commit()
    with answer_log() if entries else nullcontext() as answers:
        done = deliver(engine, open_sender, entries, clock, answers)
    with Session(engine) as session:
        _note_accepted(session, clock())
        session.commit()
    return Heartbeats(len(entries), done.accepted, by_words(done.outcomes))


def silent_phones(session: Session, now: datetime) -> list[Entry]:
    """The heartbeats that are to be pushed at this moment; at most eight queries.

    To participants active within seven days of running studies, with a token, silent for the study's minutes less one,
    and not pushed one since. Not in quiet hours (CLAR-54).
    """
    configured = configured_services(session)
    services = set(configured) - set(resting_services(session, configured, now))
    studies = running_studies(session, now)
    if not services or not studies:
        return []
    rows = session.execute(_silent(studies, services, now)).all()
    wording = wording_of(session, [row.participant_id for row in rows])
    found: dict[int, Entry] = {}
    for row in rows:
        study = studies[row.study_id]
        if is_quiet(now, study.zone_of(row.timezone_name), study.study.quiet_from, study.study.quiet_until):
            continue
        if row.participant_id not in found or row.service == PushService.APNS:
            found[row.participant_id] = _entry(row, study, wording.get(row.participant_id, BUILT_IN), now)
    return list(found.values())


def _silent(studies: dict[int, RunningStudy], services: set[PushService], now: datetime) -> sa.Select[Any]:
    activity = ParticipantActivity
    limits = {number: now - timedelta(minutes=_minutes(study) - 1) for number, study in studies.items()}
    newest = sa.func.greatest(activity.last_activity_at, activity.last_heartbeat_push_at)
    limit = sa.case(
        *((Participant.study_id == number, sa.literal(at, sa.DateTime(timezone=True))) for number, at in limits.items())
    )
    in_use = sa.and_(
        PushToken.participant_id == Participant.id,
        PushToken.retired_at.is_(None),
        PushToken.service.in_([service.value for service in services]),
        sa.or_(PushToken.next_try_at.is_(None), PushToken.next_try_at <= now),
    )
    is_pending = sa.exists().where(
        PushMessage.participant_id == Participant.id,
        PushMessage.kind == MessageKind.HEARTBEAT.value,
        PushMessage.state == MessageState.PENDING.value,
    )
    return (
        sa.select(
            Participant.id.label("participant_id"),
            Participant.patient_id,
            Participant.study_id,
            Participant.os_type,
            Participant.timezone_name,
            activity.last_version_code,
            activity.last_version_name,
            PushToken.id.label("token_id"),
            PushToken.service,
            PushToken.token,
            PushToken.failures,
        )
        .join(activity, activity.participant_id == Participant.id)
        .join(PushToken, in_use)
        .where(
            Participant.study_id.in_(list(studies)),
            Participant.retired_at.is_(None),
            Participant.purge_asked_at.is_(None),
            Participant.os_type.is_not(None),
            activity.last_activity_at >= now - ACTIVE_FOR,
            newest < limit,
            ~is_pending,
        )
    )


def _minutes(study: RunningStudy) -> int:
    return max(LEAST_MINUTES, study.heartbeat_timer_minutes)


def _entry(row: Any, study: RunningStudy, wording: Wording, now: datetime) -> Entry:
    platform = Platform(row.os_type)
    recipient = Recipient(
        row.participant_id,
        row.patient_id,
        platform,
        row.last_version_name or row.last_version_code,
        PushService(row.service),
        row.token_id,
        row.token,
        row.failures,
        reports_receipts(row.os_type, row.last_version_code, row.last_version_name),
    )
    key = collapse_key(row.patient_id, about="heartbeat")
    text = wording.heartbeat or study.heartbeat_message
    message = text_message(platform, text, wording.title).until(now + timedelta(minutes=_minutes(study)), key, now)
    return Entry(recipient, MessageKind.HEARTBEAT, message, now)


def _note_accepted(session: Session, now: datetime) -> None:
    """Stores when heartbeats were pushed, and a row in each participant's history.

    Reads the ledger: also what a run had sent that was killed before it noted so.
    """
    activity = ParticipantActivity
    accepted = dict(
        session.execute(
            sa.select(PushMessage.participant_id, sa.func.max(PushMessage.written_at))
            .join(activity, activity.participant_id == PushMessage.participant_id)
            .where(
                PushMessage.kind == MessageKind.HEARTBEAT.value,
                PushMessage.state == MessageState.ACCEPTED.value,
                PushMessage.written_at >= now - NOTED_WITHIN,
                PushMessage.written_at > sa.func.coalesce(activity.last_heartbeat_push_at, LONG_AGO),
            )
            .group_by(PushMessage.participant_id)
        )
        .tuples()
        .all()
    )
    if not accepted:
        return
    of = activity.participant_id == sa.any_(sa.cast(sorted(accepted), ARRAY(sa.BigInteger())))
    session.execute(sa.update(activity).where(of).values(last_heartbeat_push_at=now))
    rows = [{"participant_id": number, "at": now, "kind": EventKind.HEARTBEAT_PUSHED.value} for number in accepted]
    session.execute(sa.insert(ParticipantEvent), rows)
