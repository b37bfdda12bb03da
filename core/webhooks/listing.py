"""Webhooks and their logs, ready to show (CLAR-75)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.crypto.secrets import SecretUnreadable
from core.models import Channel, OutgoingMessage, Study, Webhook

PAGE = 50


class MessageState(StrEnum):
    """What became of a message to a webhook."""

    WAITING = "waiting"
    FAILED = "failed"
    """The last try failed; it is tried again."""
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class WebhookLine:
    """A webhook in the list. `host` is None where the address cannot be read with this server's secret."""

    webhook: Webhook
    host: str | None
    last_delivered_at: datetime | None
    given_up: int


@dataclass(frozen=True)
class LoggedMessage:
    """A message in the log, with the contents that are posted."""

    id: int
    uuid: str
    kind: str
    state: MessageState
    contents: Mapping[str, Any]
    created_at: datetime
    tries: int
    next_try_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    problem: str | None


def webhooks_of(session: Session, study: Study) -> list[WebhookLine]:
    """The study's webhooks, by name; three queries."""
    query = sa.select(Webhook).where(Webhook.study_id == study.id).order_by(sa.func.lower(Webhook.name), Webhook.id)
    webhooks = session.scalars(query).all()
    numbers = [each.id for each in webhooks]
    of = (OutgoingMessage.webhook_id == Webhook.id, OutgoingMessage.channel == Channel.WEBHOOK.value)
    newest = (
        sa.select(OutgoingMessage.delivered_at)
        .where(*of, OutgoingMessage.delivered_at.is_not(None))
        .order_by(OutgoingMessage.id.desc())
        .limit(1)
        .correlate(Webhook)
        .scalar_subquery()
    )
    given_up = (
        sa.select(sa.func.count())
        .select_from(OutgoingMessage)
        .where(*of, *_IS[MessageState.GIVEN_UP])
        .correlate(Webhook)
        .scalar_subquery()
    )
    rows = session.execute(sa.select(Webhook.id, newest, given_up).where(Webhook.id.in_(numbers)))
    figures = {number: (at, count) for number, at, count in rows}
    return [WebhookLine(each, host_of(each), *figures[each.id]) for each in webhooks]


def webhook_of(session: Session, study: Study, number: int) -> Webhook | None:
    """A webhook of the study, or None."""
    webhook = session.get(Webhook, number)
    return webhook if webhook and webhook.study_id == study.id else None


def host_of(webhook: Webhook) -> str | None:
    """The host of the address, which alone is shown; None where the address cannot be read."""
    try:
        return urlsplit(webhook.address).netloc
    except SecretUnreadable:
        return None


def given_up_count(session: Session, webhook: Webhook) -> int:
    """How many messages were given up, which can be sent again; one query by index."""
    query = sa.select(sa.func.count()).select_from(OutgoingMessage)
    return session.scalar(query.where(*_of(webhook), *_IS[MessageState.GIVEN_UP])) or 0


def messages_of(
    session: Session, webhook: Webhook, state: MessageState | None = None, *, before: int | None = None
) -> tuple[list[LoggedMessage], bool]:
    """The newest messages, of one state or of all, and whether there are older ones; `before` is the last one's id."""
    query = (
        sa.select(OutgoingMessage)
        .options(sa.orm.defer(OutgoingMessage.address), sa.orm.defer(OutgoingMessage.signing_key))
        .where(*_of(webhook), *(_IS[state] if state else ()))
    )
    if before is not None:
        query = query.where(OutgoingMessage.id < before)
    rows = session.scalars(query.order_by(OutgoingMessage.id.desc()).limit(PAGE + 1)).all()
    return [_logged(row) for row in rows[:PAGE]], len(rows) > PAGE


def message_of_webhook(session: Session, webhook: Webhook, number: int) -> OutgoingMessage | None:
    """A message of this webhook; None for others, and for participants whom the person may not see (PERM-95)."""
    return session.scalar(sa.select(OutgoingMessage).where(OutgoingMessage.id == number, *_of(webhook)))


_IS: dict[MessageState, tuple[sa.ColumnElement[bool], ...]] = {
    MessageState.WAITING: (
        OutgoingMessage.delivered_at.is_(None),
        OutgoingMessage.next_try_at.is_not(None),
        OutgoingMessage.problem.is_(None),
    ),
    MessageState.FAILED: (
        OutgoingMessage.delivered_at.is_(None),
        OutgoingMessage.next_try_at.is_not(None),
        OutgoingMessage.problem.is_not(None),
    ),
    MessageState.DELIVERED: (OutgoingMessage.delivered_at.is_not(None),),
    MessageState.GIVEN_UP: (OutgoingMessage.delivered_at.is_(None), OutgoingMessage.given_up_at.is_not(None)),
}


def _of(webhook: Webhook) -> tuple[sa.ColumnElement[bool], ...]:
    return (OutgoingMessage.webhook_id == webhook.id, OutgoingMessage.channel == Channel.WEBHOOK.value)


def _logged(row: OutgoingMessage) -> LoggedMessage:
    if row.delivered_at:
        state = MessageState.DELIVERED
    elif row.given_up_at:
        state = MessageState.GIVEN_UP
    else:
        state = MessageState.FAILED if row.problem else MessageState.WAITING
    return LoggedMessage(
        row.id,
        str(row.uuid),
        str(row.contents.get("type", "")),
        state,
        row.contents,
        row.created_at,
        row.tries,
        row.next_try_at,
        row.delivered_at,
        row.given_up_at,
        row.problem,
    )
