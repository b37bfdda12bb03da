"""Deletes old rows of the ledger, the sender's looks and the keys of used forms, which otherwise grow for ever.

The ledger serves what is on its way, the figures of the last days, and the watch. The history of a participant, with
its attempts and receipts, is in other tables and stays.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.models import MessageState, PushMessage, SenderPass, UsedForm

BATCH_ROWS = 10_000


def count_old_messages(session: Session, kept_days: int, now: datetime) -> dict[str, int]:
    """How many rows `prune_messages` would delete, by table; those of a message's events are not counted."""
    counts = {}
    for model, is_old in _old(kept_days, now):
        counts[model.__tablename__] = session.scalar(sa.select(sa.func.count()).select_from(model).where(is_old)) or 0
    session.commit()
    return counts


def prune_messages(session: Session, kept_days: int, now: datetime) -> Iterator[tuple[str, int]]:
    """Deletes rows older than so many days, oldest first, at most 10,000 in a transaction; commits.

    Messages on their way stay. Yields table name and number of rows after each commit. Raises ClockLooksWrong, before
    it deletes anything.
    """
    check_clock(session)
    for model, is_old in _old(kept_days, now):
        time = _TIMES[model]
        key = sa.inspect(model).primary_key[0]
        oldest = sa.select(key).where(is_old).order_by(time).limit(BATCH_ROWS).scalar_subquery()
        count = BATCH_ROWS
        while count == BATCH_ROWS:
            deleted = sa.delete(model).where(key.in_(oldest)).execution_options(synchronize_session=False)
            count = session.execute(deleted).rowcount  # type: ignore[attr-defined]
            session.commit()
            if count:
                yield model.__tablename__, count


_TIMES: dict[type[Any], sa.orm.InstrumentedAttribute[Any]] = {
    PushMessage: PushMessage.written_at,
    SenderPass: SenderPass.began_at,
    UsedForm: UsedForm.used_at,
}


def _old(kept_days: int, now: datetime) -> list[tuple[type[Any], sa.ColumnElement[bool]]]:
    before = now - timedelta(days=kept_days)
    is_settled = PushMessage.state != MessageState.PENDING.value
    return [
        (PushMessage, sa.and_(PushMessage.written_at < before, is_settled)),
        (SenderPass, SenderPass.began_at < before),
        (UsedForm, UsedForm.used_at < before),
    ]
