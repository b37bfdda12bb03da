"""The web process's threads: they watch over sending and silent phones, and deliver mails and webhooks (CLAR-62).

They run in the web processes so that alerts arrive also where no flow and no sender runs. Each process has all: a
trouble is written and told by the first that finds it, a message is tried by the first that claims it.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event, Thread

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.answer_alerts.telling import refuse_message, tell_of_alerts
from core.config import Settings
from core.models import OutgoingMessage
from core.models.outgoing_message import Channel
from core.notifications.watch import watch
from core.operations.telling import tell_of_trouble
from core.outgoing.delivering import Destination, deliver_waiting
from core.outgoing.transports import NotDelivered
from core.webhooks.results import note_results, refuse_study_message
from core.webhooks.silence import watch_silence
from core.webhooks.telling import tell_of_events

WATCH_SECONDS = 30.0
SILENCE_SECONDS = 60.0
DELIVER_SECONDS = 5.0
log = logging.getLogger(__name__)


class Repeated(Thread):
    """Does something again and again until it is stopped. What fails is logged, and tried again next time."""

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
            except Exception:  # a thread that ends would be a quiet failure
                log.exception("%s: a round failed in an unforeseen way", self.name)


def watcher(engine: sa.Engine, settings: Settings, seconds: float = WATCH_SECONDS) -> Repeated:
    """The thread that finds troubles of sending."""

    def look() -> None:
        with Session(engine) as session:
            watch(session, datetime.now(UTC), lambda *about: tell_of_trouble(about[0], settings, *about[1:]))
            session.commit()

    return Repeated("watch over notifications", look, seconds)


def teller(engine: sa.Engine, settings: Settings, seconds: float = DELIVER_SECONDS) -> Repeated:
    """The thread that writes the messages of alerts on answers."""

    def tell() -> None:
        is_done = False
        while not is_done:
            with Session(engine) as session:
                is_done = not tell_of_alerts(session, settings, datetime.now(UTC))
                session.commit()

    return Repeated("telling of alerts", tell, seconds)


def webhook_teller(engine: sa.Engine, settings: Settings, seconds: float = DELIVER_SECONDS) -> Repeated:
    """The thread that writes the messages of studies' webhooks (CLAR-75)."""

    def tell() -> None:
        is_done = False
        while not is_done:
            with Session(engine) as session:
                is_done = not tell_of_events(session, settings, datetime.now(UTC))
                session.commit()

    return Repeated("telling webhooks", tell, seconds)


def silence_watcher(engine: sa.Engine, settings: Settings, seconds: float = SILENCE_SECONDS) -> Repeated:
    """The thread that finds silent participants for webhooks."""

    def look() -> None:
        with Session(engine) as session:
            watch_silence(session, settings, datetime.now(UTC))
            session.commit()

    return Repeated("watch over silent participants", look, seconds)


def refuse(session: Session, message: OutgoingMessage) -> str | Destination | None:
    """Why a message is not sent now, or where it goes, by what it is about."""
    return refuse_message(session, message) or refuse_study_message(session, message)


def deliverers(engine: sa.Engine, settings: Settings, seconds: float = DELIVER_SECONDS) -> list[Repeated]:
    """The threads that deliver mails, webhooks and Prefect events; none waits for the servers of another."""

    def note(session: Session, results: Sequence[tuple[int, NotDelivered | None]], now: datetime) -> None:
        note_results(session, settings, results, now)

    def deliverer(channel: Channel) -> Repeated:
        def deliver() -> None:
            while deliver_waiting(engine, settings, refuse=refuse, channels=[channel], note_results=note):
                pass

        return Repeated(f"delivery by {channel}", deliver, seconds)

    return [deliverer(channel) for channel in Channel]


def start_threads(engine: sa.Engine, settings: Settings) -> None:
    """Starts all of them in this process."""
    watchers = (watcher(engine, settings), silence_watcher(engine, settings))
    tellers = (teller(engine, settings), webhook_teller(engine, settings))
    for thread in (*watchers, *tellers, *deliverers(engine, settings)):
        thread.start()
