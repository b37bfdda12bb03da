"""The web process's threads: one watches over the sending of notifications, one delivers mails and webhooks (CLAR-62).

They run in the web processes so that alerts arrive also where no flow and no sender runs. Each process has both: a
trouble is written and told by the first that finds it, a message is tried by the first that claims it.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.config import Settings
from core.notifications.watch import watch
from core.operations.telling import tell_of_trouble
from core.outgoing.delivering import deliver_waiting

WATCH_SECONDS = 30.0
DELIVER_SECONDS = 5.0
log = logging.getLogger(__name__)


class Repeated(Thread):
    """Does something again and again until it is stopped. A database that does not answer is only logged."""

    def __init__(self, name: str, work: Callable[[], object], seconds: float) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._seconds = work, seconds
        self.stopping = Event()

    def run(self) -> None:
        """The thread's work."""
        while not self.stopping.wait(self._seconds):
            try:
                self._work()
            except SQLAlchemyError as error:
                log.warning("%s: the database fails (%s)", self.name, type(error).__name__)


def watcher(engine: sa.Engine, settings: Settings, seconds: float = WATCH_SECONDS) -> Repeated:
    """The thread that finds troubles of sending."""

    def look() -> None:
        with Session(engine) as session:
            watch(session, datetime.now(UTC), lambda *about: tell_of_trouble(about[0], settings, *about[1:]))
            session.commit()

    return Repeated("watch over notifications", look, seconds)


def deliverer(engine: sa.Engine, settings: Settings, seconds: float = DELIVER_SECONDS) -> Repeated:
    """The thread that delivers mails, webhooks and Prefect events."""

    def deliver() -> None:
        while deliver_waiting(engine, settings):
            pass

    return Repeated("delivery of mails and webhooks", deliver, seconds)
