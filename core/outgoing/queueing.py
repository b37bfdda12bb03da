"""Writing messages down, in the caller's transaction. Delivering them is the web processes' work (`delivering`)."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import OutgoingMessage
from core.models.outgoing_message import Channel


def queue_mail(
    session: Session, to: str, subject: str, text: str, *, about: str, now: datetime, study_id: int | None = None
) -> bool:
    """Writes a mail to one address. Returns whether it is new: one about the same thing may have been written before.

    Neither subject nor text may hold what a participant answered (CLAR-58).
    """
    contents = {"subject": subject, "text": text}
    return _queue(session, Channel.MAIL, to.strip().lower(), contents, about, now, study_id=study_id)


def queue_webhook(
    session: Session,
    address: str,
    contents: Mapping[str, Any],
    *,
    about: str,
    now: datetime,
    signing_key: str | None = None,
    study_id: int | None = None,
) -> bool:
    """Writes a JSON object that is posted to the address, signed if there is a key. Returns whether it is new."""
    return _queue(session, Channel.WEBHOOK, address, contents, about, now, signing_key=signing_key, study_id=study_id)


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
    *,
    signing_key: str | None = None,
    study_id: int | None = None,
) -> bool:
    # The address is sealed anew each time, so that the database cannot compare it itself.
    once_key = hashlib.sha256("\0".join((channel.value, address, about)).encode()).digest()
    row = insert(OutgoingMessage).values(
        uuid=uuid4(),
        channel=channel.value,
        address=address,
        signing_key=signing_key,
        contents=dict(contents),
        about=about,
        once_key=once_key,
        study_id=study_id,
        created_at=now,
        next_try_at=now,
    )
    written = session.scalar(row.on_conflict_do_nothing(index_elements=["once_key"]).returning(OutgoingMessage.id))
    return written is not None
