"""What the database says of itself, for a process that asks whether it can serve (OPS-32)."""

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
    """The revision of its tables, None where there are none; when processing last ended a run, UTC."""

    revision: str | None
    last_run_at: datetime | None


def database_state(settings: Settings) -> DatabaseState:
    """Asks over a connection of its own, so that a busy pool does not look like a database that is down.

    Raises the database's errors, after a few seconds at the most where it does not answer.
    """
    engine = sa.create_engine(URL, creator=engine_options(settings, 1)["creator"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        return DatabaseState(
            _scalar(connection, sa.text("SELECT version_num FROM alembic_version")),
            _scalar(connection, sa.select(ProcessingStatus.last_run_at)),
        )


def _scalar(connection: sa.Connection, statement: sa.Executable) -> Any:
    """The value; None where there is no such table yet."""
    try:
        return connection.scalar(statement)
    except ProgrammingError:
        connection.rollback()
        return None
