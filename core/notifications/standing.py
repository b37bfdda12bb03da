"""The standing sender: one process that looks every few seconds, until it is stopped (CLAR-61, OPS-22).

A flow run each minute costs about four seconds of CPU to start, a look of a standing process a few milliseconds. The
lock of the database lets one process look at a time; several share the work, and what one leaves the next one does.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from core.clock import ClockLooksWrong
from core.notifications.delivering import OpenSender, utc_now
from core.notifications.heartbeats import Heartbeats, send_heartbeats
from core.notifications.sending import Look, send_due, sole_sender

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
TROUBLE_SECONDS = 10.0
HEARTBEATS_EVERY = timedelta(minutes=5)


@dataclass
class Stand:
    """A sender that looks again and again. `on_look` and `on_heartbeats` are told what each look did."""

    engine: sa.Engine
    open_sender: OpenSender
    most_failures: int
    on_look: Callable[[Look], None] = lambda look: None
    on_heartbeats: Callable[[Heartbeats], None] = lambda heartbeats: None
    stopping: Event = field(default_factory=Event)

    def run(self, until: datetime | None = None) -> None:
        """Looks until then, or until it is stopped.

        The lock is taken anew for each look, since a database that restarts forgets it. A database that does not
        answer, and a wrong clock, are logged, and it goes on.
        """
        heartbeats_at: datetime | None = None
        while not self._is_over(until):
            pause = LOOK_SECONDS
            try:
                with sole_sender(self.engine) as is_sole:
                    if is_sole:
                        self.on_look(send_due(self.engine, self.open_sender, self.most_failures))
                        if heartbeats_at is None or utc_now() >= heartbeats_at:
                            self.on_heartbeats(send_heartbeats(self.engine, self.open_sender))
                            heartbeats_at = utc_now() + HEARTBEATS_EVERY
            except ClockLooksWrong as error:
                log.error("notifications are not sent: %s", error)
                pause = TROUBLE_SECONDS
            except SQLAlchemyError as error:
                log.error("notifications are not sent: the database fails (%s)", type(error).__name__)
                pause = TROUBLE_SECONDS
            self.stopping.wait(pause)

    def _is_over(self, until: datetime | None) -> bool:
        return self.stopping.is_set() or (until is not None and utc_now() >= until)
