"""Finds participants from whom nothing comes, and those who are heard again (CLAR-62, CLAR-75).

It runs in the web processes, so that it works with Prefect stopped.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.config import Settings
from core.models import (
    Participant,
    ParticipantActivity,
    Study,
    Webhook,
    WebhookEventType,
    WebhookSilence,
)
from core.outgoing.queueing import StudyMessage, queue_study_messages
from core.participants.states import Show, conditions
from core.webhooks.telling import link_to, message_of, webhooks_that_are_on


def watch_silence(session: Session, settings: Settings, now: datetime) -> int:
    """Writes messages of participants who fell silent, and of those who uploaded again; returns how many.

    Told of are registered participants of running studies who are neither retired nor test participants, and neither
    paused nor gone, when their silence becomes too long while the webhook is on. One query where no webhook wants to
    know it, otherwise at most five. The caller commits. Several processes may call it: each silence is told once.
    """
    webhooks = {webhook.id: (webhook, study) for webhook, study in webhooks_that_are_on(session)}
    wanted = {
        number: each
        for number, each in webhooks.items()
        if WebhookEventType.PARTICIPANT_SILENT in each[0].events and not each[1].is_stopped(now)
    }
    if not wanted:
        return 0
    messages = []
    for row in _heard_again(session):
        if row.webhook_id in wanted:
            data = {"silent_since": row.since.isoformat(), "last_upload_at": row.last_upload_at.isoformat()}
            kind = WebhookEventType.PARTICIPANT_HEARD_AGAIN
            messages.append(_message(settings, *wanted[row.webhook_id], row, kind, data, now))
    for row in _fallen_silent(session, list(wanted), now):
        webhook, study = wanted[row.webhook_id]
        data = {"silent_since": row.since.isoformat(), "silent_after_hours": webhook.silent_after_hours}
        messages.append(_message(settings, webhook, study, row, WebhookEventType.PARTICIPANT_SILENT, data, now))
    return queue_study_messages(session, messages, now)


def _message(
    settings: Settings,
    webhook: Webhook,
    study: Study,
    row: Any,
    kind: WebhookEventType,
    data: dict[str, Any],
    now: datetime,
) -> StudyMessage:
    link = link_to(settings, study.id, f"participant/{row.patient_id}")
    told = {"participant_id": row.patient_id, **data, "link": link}
    what = f"{kind} {row.participant_id} {row.since.isoformat()}"
    return message_of(webhook, study, kind.value, told, now, what, participant_id=row.participant_id)


def _heard_again(session: Session) -> Sequence[sa.Row[Any]]:
    """Ends silences that an upload ended."""
    ended = (
        sa.delete(WebhookSilence)
        .where(
            ParticipantActivity.participant_id == WebhookSilence.participant_id,
            Participant.id == WebhookSilence.participant_id,
            ParticipantActivity.last_upload_at > WebhookSilence.since,
        )
        .returning(
            WebhookSilence.webhook_id,
            WebhookSilence.participant_id,
            WebhookSilence.since,
            ParticipantActivity.last_upload_at,
            Participant.patient_id,
        )
    )
    return session.execute(ended, execution_options={"synchronize_session": False}).all()


def _fallen_silent(session: Session, webhook_ids: Sequence[int], now: datetime) -> Sequence[sa.Row[Any]]:
    """Notes silences that are new, and gives them."""
    since = sa.func.greatest(ParticipantActivity.last_upload_at, ParticipantActivity.last_registered_at)
    told_at = since + sa.func.make_interval(0, 0, 0, 0, Webhook.silent_after_hours)
    is_in = conditions(now)
    query = (
        sa.select(Webhook.id, Participant.id, since, sa.literal(now, sa.DateTime(timezone=True)))
        .join(Participant, Participant.study_id == Webhook.study_id)
        .join(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .where(
            is_one_of(Webhook.id, webhook_ids),
            Participant.device_id != "",
            Participant.is_test.is_(False),
            sa.not_(is_in[Show.RETIRED]),
            sa.not_(is_in[Show.PAUSED]),
            sa.not_(is_in[Show.LEFT]),
            told_at <= now,
            told_at >= Webhook.on_since,
        )
    )
    columns = ["webhook_id", "participant_id", "since", "raised_at"]
    new = insert(WebhookSilence).from_select(columns, query).on_conflict_do_nothing()
    new_rows = new.returning(WebhookSilence.webhook_id, WebhookSilence.participant_id, WebhookSilence.since)
    found = session.execute(new_rows).all()
    if not found:
        return []
    named = sa.select(
        WebhookSilence.webhook_id, WebhookSilence.participant_id, WebhookSilence.since, Participant.patient_id
    )
    pairs = sa.tuple_(WebhookSilence.webhook_id, WebhookSilence.participant_id)
    joined = named.join(Participant, Participant.id == WebhookSilence.participant_id)
    return session.execute(joined.where(pairs.in_([(row.webhook_id, row.participant_id) for row in found]))).all()
