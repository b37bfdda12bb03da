"""Retires push tokens that the services no longer know, or that failed too often (NOTIF-41, NOTIF-42)."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.models import ParticipantEvent, PushToken
from core.models.phone_history import EventKind

UNREGISTERED = "The push service no longer knows this token."


def retire_unregistered(session: Session, token_ids: Collection[int], now: datetime) -> int:
    """Retires these tokens, if they are still in use; returns how many were. The caller commits."""
    if not token_ids:
        return 0
    theirs = PushToken.id == sa.any_(sa.cast(sorted(token_ids), ARRAY(sa.BigInteger())))
    return _retire(session, theirs, UNREGISTERED, now)


def retire_failing(session: Session, most_failures: int, now: datetime) -> int:
    """Retires tokens that failed so often in a row; returns how many. The caller commits."""
    too_often = PushToken.failures >= most_failures
    return _retire(session, too_often, f"{most_failures} tries in a row failed.", now)


def _retire(session: Session, which: sa.ColumnElement[bool], reason: str, now: datetime) -> int:
    retired = (
        sa.update(PushToken)
        .where(which, PushToken.retired_at.is_(None))
        .values(retired_at=now, retired_because=reason)
        .returning(PushToken.participant_id, PushToken.service)
    )
    rows = session.execute(retired).all()
    if rows:
        events = [
            {
                "participant_id": row.participant_id,
                "at": now,
                "kind": EventKind.TOKEN_RETIRED.value,
                "detail": {"service": row.service, "reason": reason},
            }
            for row in rows
        ]
        session.execute(sa.insert(ParticipantEvent), events)
    return len(rows)
