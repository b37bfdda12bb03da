"""The Flask-SQLAlchemy `db`, and sessions outside Flask for flows, commands and scripts."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm

from core import embedded
from core.config import Settings, get_settings
from core.crypto.secrets import open_secret, seal_secret
from core.embedded import EmbeddedDatabaseError

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# Both ends notice within a minute that the other is gone: the database frees a lost machine's claims (STORE-11), and a
# process whose database has vanished gives up on it.
CLIENT_NOTICES = {
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
SESSION_SETTINGS = {
    "lock_timeout": "8s",
    "timezone": "UTC",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "50000",
}


class _Base(orm.DeclarativeBase):
    metadata = sa.MetaData(naming_convention=NAMING)


# Objects stay readable after a commit, so that no transaction is open while a file is decrypted and stored (PHONE-17).
db = SQLAlchemy(model_class=_Base, disable_autonaming=True, session_options={"expire_on_commit": False})

if TYPE_CHECKING:

    class Model(orm.DeclarativeBase):
        """Base of all models, as a type checker sees it."""
else:
    Model = db.Model


class SealedText(sa.types.TypeDecorator[str]):
    """Text that is sealed in the database with the server's secret and plain in Python (MODEL-65)."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, purpose: str) -> None:
        super().__init__()
        self.purpose = purpose

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        if value is None:
            return None
        return seal_secret(value, server_secret=get_settings().secret_key, purpose=self.purpose)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> str | None:
        if value is None:
            return None
        return open_secret(value, server_secret=get_settings().secret_key, purpose=self.purpose)


URL = "postgresql+psycopg2://"
MORE_WHEN_NEEDED = 4
"""Connections that an engine opens above its pool's size, and closes after use."""
CONNECTIONS_OF_TREE = 2
"""A Forest task has one for its session and, now and then, one that extends its claim."""
TREES_UNSET = 8


# SQLAlchemy names a pool's logger after its class, and logs each disposal.
logging.getLogger(f"{__name__}.TriedAfterPause").setLevel(logging.WARNING)


class TriedAfterPause(sa.pool.QueuePool):
    """A pool that tests a connection before use if it was idle for some seconds, and not if it was just in use."""

    SECONDS = 5.0

    @staticmethod
    def note(_: Any, record: Any) -> None:
        """Records when a connection was returned to the pool."""
        record.info["used_at"] = time.monotonic()

    @classmethod
    def test(cls, connection: Any, record: Any, _: Any) -> None:
        """Tests a connection that was idle, with a query. Raises DisconnectionError if it is broken."""
        if time.monotonic() - record.info.get("used_at", math.inf) < cls.SECONDS:
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.rollback()
        except psycopg2.Error as error:
            raise sa.exc.DisconnectionError from error  # the pool makes a new one


# Listeners on the class apply to every pool of it, also to those that SQLAlchemy creates as replacements.
sa.event.listen(TriedAfterPause, "checkin", TriedAfterPause.note)
sa.event.listen(TriedAfterPause, "checkout", TriedAfterPause.test)


def engine_options(settings: Settings, pool_size: int) -> dict[str, Any]:
    """Options of every engine of `URL`. The database address is determined at the first connection, not before.

    Idle connections are tested before use, so that a restart of the database causes no errors; time-outs are short.
    """

    session = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())

    def connect() -> Any:
        options = {"connect_timeout": 5, "options": session} | CLIENT_NOTICES
        try:
            return psycopg2.connect(database_url(settings), **options)
        except EmbeddedDatabaseError as error:
            raise psycopg2.OperationalError(str(error)) from error
        except psycopg2.OperationalError:
            if settings.configured_database_url:
                raise
            _embedded.cache_clear()  # the embedded server has ended: a process that uses it starts it again
            return psycopg2.connect(database_url(settings), **options)

    return {
        "creator": connect,
        "poolclass": TriedAfterPause,
        "pool_size": pool_size,
        "max_overflow": MORE_WHEN_NEEDED,
        "pool_timeout": 8,
        "executemany_mode": "values_plus_batch",
        "hide_parameters": True,  # values of a statement that fails may be secrets, and errors are logged
    }


def database_url(settings: Settings) -> str:
    """The address of the database; starts the embedded PostgreSQL under VAR_DIR when none is configured.

    The embedded server runs as long as a process that asked for it here lives. Raises EmbeddedDatabaseError.
    """
    return settings.configured_database_url or _embedded(settings.var_dir)


@lru_cache
def _embedded(var_dir: Path) -> str:
    return embedded.use(var_dir)


@lru_cache
def get_engine() -> sa.Engine:
    """The process's engine outside Flask."""
    settings = get_settings()
    return sa.create_engine(URL, **engine_options(settings, pool_size(settings)))


def pool_size(settings: Settings) -> int:
    """How many connections the engine outside Flask keeps once they were used; enough for FOREST_TASKS trees at once.

    Without that setting for ten, with those that it opens when needed.
    """
    return max(settings.web_threads, CONNECTIONS_OF_TREE * (settings.forest_tasks or TREES_UNSET))


@contextmanager
def open_session() -> Iterator[orm.Session]:
    """A session outside Flask. The caller commits; leaving the block rolls back uncommitted changes."""
    with orm.Session(get_engine(), expire_on_commit=False) as session:
        yield session
