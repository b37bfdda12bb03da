"""Deletes mails, webhooks and Prefect events that were delivered long ago, which otherwise grow for ever.

They name participants and people. What was not delivered stays, since somebody may still have to act; of a study's
webhook, whose log it is, what was given up goes as well.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.models import OutgoingMessage

BATCH_ROWS = 10_000


def count_old_outgoing(session: Session, kept_days: int, now: datetime) -> dict[str, int]:
    """How many rows `prune_outgoing` would delete, by table."""
    count = session.scalar(sa.select(sa.func.count()).select_from(OutgoingMessage).where(_is_old(kept_days, now)))
    session.commit()
    return {OutgoingMessage.__tablename__: count or 0}


def prune_outgoing(session: Session, kept_days: int, now: datetime) -> Iterator[tuple[str, int]]:
    """Deletes delivered messages that were written before so many days, at most 10,000 in a transaction; commits.

    Yields table name and number of rows after each commit. Raises ClockLooksWrong, before it deletes anything.
    """
    check_clock(session)
    oldest = sa.select(OutgoingMessage.id).where(_is_old(kept_days, now)).order_by(OutgoingMessage.created_at)
    deleted = sa.delete(OutgoingMessage).where(OutgoingMessage.id.in_(oldest.limit(BATCH_ROWS).scalar_subquery()))
    count = BATCH_ROWS
    while count == BATCH_ROWS:
        count = session.execute(deleted.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined]
        session.commit()
        if count:
            yield OutgoingMessage.__tablename__, count


def _is_old(kept_days: int, now: datetime) -> sa.ColumnElement[bool]:
    before = now - timedelta(days=kept_days)
    is_settled = sa.or_(
        OutgoingMessage.delivered_at.is_not(None),
        sa.and_(OutgoingMessage.webhook_id.is_not(None), OutgoingMessage.given_up_at.is_not(None)),
    )
    return sa.and_(OutgoingMessage.created_at < before, is_settled)
