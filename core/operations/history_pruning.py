"""Prunes histories that a deployment keeps for a number of months (MODEL-107); without a setting, for ever."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.clock import check_clock
from core.config import Settings
from core.models import Heartbeat, Participant, RefusedUpload, StatusReport

BATCH_ROWS = 10_000
PAGE_PARTICIPANTS = 1_000


def kept_months(settings: Settings) -> dict[sa.Column[datetime], int]:
    """The time columns of tables to prune, each with the number of months to keep."""
    months: dict[Any, int | None] = {
        Heartbeat.at: settings.retention_heartbeats_months,
        StatusReport.at: settings.retention_status_reports_months,
        RefusedUpload.last_at: settings.retention_refused_uploads_months,
    }
    return {column: kept for column, kept in months.items() if kept is not None}


def count_old_rows(session: Session, settings: Settings, now: datetime) -> dict[str, int]:
    """How many rows `prune_rows` would delete, by table."""
    counts = {}
    for column, months in kept_months(settings).items():
        query = sa.select(sa.func.count()).select_from(column.table).where(column < _cutoff(now, months))
        counts[_name(column)] = session.scalar(query) or 0
    session.commit()
    return counts


def prune_rows(session: Session, settings: Settings, now: datetime) -> Iterator[tuple[str, int]]:
    """Deletes old rows, one participant at a time along the index, at most 10,000 in a transaction; commits.

    Yields table name and number of rows after each commit. Raises ClockLooksWrong, before it deletes anything.
    """
    check_clock(session)
    columns = kept_months(settings)
    if not columns:
        return
    for participant_id in _participants(session):
        for column, months in columns.items():
            table = column.table
            old = sa.select(sa.text("ctid")).select_from(table).limit(BATCH_ROWS)
            old = old.where(table.c.participant_id == participant_id, column < _cutoff(now, months))
            statement = sa.delete(table).where(sa.text("ctid IN (SELECT ctid FROM old)")).add_cte(old.cte("old"))
            count = BATCH_ROWS
            while count == BATCH_ROWS:
                count = session.execute(statement).rowcount  # type: ignore[attr-defined]
                session.commit()
                if count:
                    yield _name(column), count


def _participants(session: Session) -> Iterator[int]:
    last = 0
    while True:
        query = sa.select(Participant.id).where(Participant.id > last).order_by(Participant.id)
        page = session.scalars(query.limit(PAGE_PARTICIPANTS)).all()
        session.commit()
        yield from page
        if len(page) < PAGE_PARTICIPANTS:
            return
        last = page[-1]


def _cutoff(now: datetime, months: int) -> sa.ColumnElement[datetime]:
    return sa.literal(now, sa.DateTime(timezone=True)) - sa.func.make_interval(0, months)


def _name(column: sa.Column[datetime]) -> str:
    table = column.table
    assert isinstance(table, sa.Table)
    return table.name
