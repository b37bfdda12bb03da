"""Finds a participant's rows through the tables' foreign keys, so that new tables are included automatically.

A purge deletes rows of every table that refers to participants, except those named in `KEPT`.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import db
from core.models import Participant, ParticipantEvent, Purge, StoredObject

KEPT = frozenset((Purge.__tablename__, ParticipantEvent.__tablename__))
BATCH_ROWS = 10_000


def tables_of_participants() -> dict[sa.Table, list[sa.Column[int]]]:
    """Every table that refers to participants and is not kept, with its referring columns; children before parents."""
    found = {}
    for table in reversed(db.metadata.sorted_tables):
        columns = [c for c in table.columns if any(key.references(_participants()) for key in c.foreign_keys)]
        if columns and table.name not in KEPT:
            found[table] = columns
    return found


def delete_rows(session: Session, participant_id: int, prefixes: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Deletes the participant's rows in batches, and rows without participant of objects under `prefixes`.

    Yields table name and number of rows after each batch; the caller commits then.
    """
    for table, columns in tables_of_participants().items():
        batch = sa.select(sa.text("ctid")).select_from(table).where(_belongs(table, columns, participant_id, prefixes))
        statement = sa.delete(table).where(sa.text("ctid IN (SELECT ctid FROM batch)"))
        statement = statement.add_cte(batch.limit(BATCH_ROWS).cte("batch"))
        while count := session.execute(statement).rowcount:  # type: ignore[attr-defined]
            yield table.name, count


def rows_left(session: Session, participant_id: int, prefixes: Sequence[str]) -> list[str]:
    """Names of tables that still hold rows of the participant."""
    return [
        table.name
        for table, columns in tables_of_participants().items()
        if session.scalar(sa.select(sa.exists().where(_belongs(table, columns, participant_id, prefixes))))
    ]


def _belongs(
    table: sa.Table, columns: Sequence[sa.Column[int]], participant_id: int, prefixes: Sequence[str]
) -> sa.ColumnElement[bool]:
    owned = [column == participant_id for column in columns]
    if table.name == StoredObject.__tablename__:
        path = table.c.path
        owned += [sa.and_(path >= p, path < p[:-1] + chr(ord(p[-1]) + 1)) for p in prefixes]
    return sa.or_(*owned)


def _participants() -> sa.Table:
    return db.metadata.tables[Participant.__tablename__]
