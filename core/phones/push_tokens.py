"""Stores the push tokens that phones send (PHONE-60)."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, PushService, PushToken

MOST_CHARACTERS = 1_000  # an index takes no more; real ones have about 160


def take_push_tokens(session: Session, participant: Participant, fields: Mapping[str, str], now: datetime) -> None:
    """Stores the tokens of a request; the caller commits. A known token is renewed, a new one replaces the old.

    Without an `apns_token`, a blank or missing `fcm_token` retires the FCM token in use; with one, only a
    new `fcm_token` (NOTIF-34). A token that another participant's phone had moves here: the phone changed hands.
    """
    if "apns_token" in fields:
        _take(session, participant.id, PushService.APNS, fields["apns_token"].strip(), now)
    fcm = fields.get("fcm_token", "").strip()
    if fcm or "apns_token" not in fields:
        _take(session, participant.id, PushService.FCM, fcm, now)


def _take(session: Session, participant_id: int, service: PushService, token: str, now: datetime) -> None:
    if len(token) > MOST_CHARACTERS:
        return
    # Concurrent requests for one token or participant wait for each other, so that they cannot violate a unique index.
    for key in sorted({f"{service}:{token}", f"{service}:{participant_id}"}):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))
    in_use = sa.and_(PushToken.service == service.value, PushToken.retired_at.is_(None))
    mine = sa.and_(in_use, PushToken.participant_id == participant_id)
    renewed = sa.update(PushToken).where(mine, PushToken.token == token).values(renewed_at=now).returning(PushToken.id)
    if token and session.scalar(renewed):
        return
    others = sa.and_(in_use, PushToken.token == token)
    session.execute(sa.update(PushToken).where(sa.or_(mine, others)).values(retired_at=now))
    if token:
        session.execute(
            sa.insert(PushToken).values(
                participant_id=participant_id, service=service.value, token=token, renewed_at=now
            )
        )
