"""Troubles of the site and what was sent about them, for the page Alerts (CLAR-62)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import OutgoingMessage, SystemEvent
from core.models.outgoing_message import Channel

MOST_SHOWN = 50


@dataclass(frozen=True)
class Sent:
    """A mail, webhook or Prefect event: to whom (None for addresses that may hold a secret), and its state."""

    id: int
    uuid: str
    channel: Channel
    to: str | None
    about: str
    subject: str
    created_at: datetime
    tries: int
    next_try_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    problem: str | None


def newest_troubles(session: Session) -> list[SystemEvent]:
    """The troubles of the site, those that last first, then the newest; one query."""
    order = (SystemEvent.ended_at.is_not(None), SystemEvent.began_at.desc())
    return list(session.scalars(sa.select(SystemEvent).order_by(*order).limit(MOST_SHOWN)))


def newest_messages(session: Session) -> list[Sent]:
    """The newest messages to the site's administrators, those that wait or were given up first; one query."""
    is_settled = OutgoingMessage.delivered_at.is_not(None)
    query = (
        sa.select(OutgoingMessage)
        .where(OutgoingMessage.study_id.is_(None))
        .order_by(is_settled, OutgoingMessage.created_at.desc(), OutgoingMessage.id.desc())
        .limit(MOST_SHOWN)
    )
    return described_messages(session.scalars(query).all())


def described_messages(rows: Sequence[OutgoingMessage]) -> list[Sent]:
    """Messages as pages show them. Addresses of webhooks may hold a secret: only their host is shown."""
    return [
        Sent(
            row.id,
            str(row.uuid),
            Channel(row.channel),
            _to(row),
            row.about,
            str(row.contents.get("subject") or row.contents.get("text") or row.contents.get("event") or ""),
            row.created_at,
            row.tries,
            row.next_try_at,
            row.delivered_at,
            row.given_up_at,
            row.problem,
        )
        for row in rows
    ]


def _to(row: OutgoingMessage) -> str | None:
    if row.channel == Channel.WEBHOOK:
        return row.address.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return row.address or None
