"""Writing messages down, in the caller's transaction. Delivering them is the web processes' work (`delivering`)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import OutgoingMessage
from core.models.outgoing_message import Channel


def queue_mail(
    session: Session, to: str, subject: str, text: str, *, about: str, now: datetime, **of: int | None
) -> bool:
    """Writes a mail to one address. Returns whether it is new: one about the same thing may have been written before.

    Neither subject nor text may hold what a participant answered (CLAR-58). `of` are columns of the row that name what
    it is about: `study_id`, `answer_alert_id`, `researcher_id`.
    """
    return _queue(session, Channel.MAIL, to.strip().lower(), {"subject": subject, "text": text}, about, now, **of)


def queue_webhook(
    session: Session,
    address: str,
    contents: Mapping[str, Any],
    *,
    about: str,
    now: datetime,
    signing_key: str | None = None,
    **of: int | None,
) -> bool:
    """Writes a JSON object that is posted to the address, signed if there is a key. Returns whether it is new."""
    return _queue(session, Channel.WEBHOOK, address, contents, about, now, signing_key=signing_key, **of)


@dataclass(frozen=True)
class StudyMessage:
    """What a study's webhook is told: `data` are ids, numbers and times of something that happened `at` that moment.

    `study` is the study's object id. It is not tried before `first_try_at`.
    """

    webhook_id: int
    study_id: int
    participant_id: int | None
    study: str
    kind: str
    data: Mapping[str, Any]
    at: datetime
    about: str
    first_try_at: datetime


def queue_study_messages(session: Session, messages: Sequence[StudyMessage], now: datetime) -> int:
    """Writes messages to webhooks of studies, whose addresses are looked up at each try; one statement (CLAR-75).

    Returns how many there are. One that was written before about the same thing is not written again.
    """
    if not messages:
        return 0
    rows = []
    for each in messages:
        uuid = uuid4()
        contents = {
            "id": str(uuid),
            "type": each.kind,
            "timestamp": each.at.isoformat(),
            "study_id": each.study,
            "data": dict(each.data),
        }
        of = {"webhook_id": each.webhook_id, "study_id": each.study_id, "participant_id": each.participant_id}
        about = {"about": each.about, "once_key": _once_key(Channel.WEBHOOK, "", each.about)}
        times = {"created_at": now, "next_try_at": max(each.first_try_at, now)}
        rows.append(
            {
                "uuid": uuid,
                "channel": Channel.WEBHOOK.value,
                "address": "",
                "contents": contents,
                **of,
                **about,
                **times,
            }
        )
    session.execute(insert(OutgoingMessage).on_conflict_do_nothing(index_elements=["once_key"]), rows)
    return len(rows)


def queue_prefect_event(
    session: Session, event: str, resource: str, payload: Mapping[str, Any], *, about: str, now: datetime
) -> bool:
    """Writes an event for Prefect's server, where automations act on it. Returns whether it is new.

    `event` is its name, such as `beiwe.trouble.began`, and `resource` what it happened to.
    """
    contents = {
        "event": event,
        "occurred": now.isoformat(),
        "id": str(uuid4()),
        "resource": {"prefect.resource.id": resource},
        "related": [],
        "payload": dict(payload),
    }
    return _queue(session, Channel.PREFECT, "", contents, about, now)


def _queue(
    session: Session,
    channel: Channel,
    address: str,
    contents: Mapping[str, Any],
    about: str,
    now: datetime,
    **columns: Any,
) -> bool:
    row = insert(OutgoingMessage).values(
        uuid=uuid4(),
        channel=channel.value,
        address=address,
        contents=dict(contents),
        about=about,
        once_key=_once_key(channel, address, about),
        created_at=now,
        next_try_at=now,
        **columns,
    )
    written = session.scalar(row.on_conflict_do_nothing(index_elements=["once_key"]).returning(OutgoingMessage.id))
    return written is not None


def _once_key(channel: Channel, address: str, about: str) -> bytes:
    """What is the same for two messages of one address about the same thing.

    The address is sealed anew each time, so that the database cannot compare it itself.
    """
    return hashlib.sha256("\0".join((channel.value, address, about)).encode()).digest()
