"""The web process's thread that watches over the sending of notifications (CLAR-62).

Each process watches; a trouble is written and logged by the first that finds it.
"""

import logging
from datetime import UTC, datetime
from threading import Event, Thread

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.notifications.watch import watch

EVERY_SECONDS = 30.0
log = logging.getLogger(__name__)


class Watcher(Thread):
    """Looks every half minute until it is stopped. A database that does not answer is no trouble of sending."""

    def __init__(self, engine: sa.Engine, seconds: float = EVERY_SECONDS) -> None:
        super().__init__(name="watch over notifications", daemon=True)
        self._engine, self._seconds = engine, seconds
        self.stopping = Event()

    def run(self) -> None:
        """The thread's work."""
        while not self.stopping.wait(self._seconds):
            try:
                with Session(self._engine) as session:
                    watch(session, datetime.now(UTC))
                    session.commit()
            except SQLAlchemyError as error:
                log.warning("nobody watches over notifications: the database fails (%s)", type(error).__name__)
