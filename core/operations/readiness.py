"""The state of the database, for readiness checks (OPS-32)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from core.config import Settings
from core.database import URL, engine_options
from core.models import ProcessingStatus


@dataclass(frozen=True)
class DatabaseState:
    """The schema revision, or None without tables; and the end of the last processing run (UTC)."""

    revision: str | None
    last_run_at: datetime | None


def database_state(settings: Settings) -> DatabaseState:
    """Reads the state over a separate connection, so that a busy pool does not look like a database that is down.

    Raises the database's errors, after a few seconds if it does not answer.
    """
    engine = sa.create_engine(URL, creator=engine_options(settings, 1)["creator"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        return DatabaseState(
            _scalar(connection, sa.text("SELECT version_num FROM alembic_version")),
            _scalar(connection, sa.select(ProcessingStatus.last_run_at)),
        )


def _scalar(connection: sa.Connection, statement: sa.Executable) -> Any:
    """The value that the statement selects, or None if the table does not exist yet."""
    try:
        return connection.scalar(statement)
    except ProgrammingError:
        connection.rollback()
        return None
