"""Downtime (OPS-30, PHONE-16): while the switch is on, most endpoints answer 503, and phones keep their data."""

import logging
import time
from threading import Lock

from flask import Flask, abort, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from core.database import db
from core.models import SwitchName
from core.operations.switches import is_on

CACHE_SECONDS = 20
log = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = 300
# For load balancers, and for a site administrator who turns the switch off.
ALWAYS_SERVED = frozenset(
    {
        "health.healthz",
        "health.readyz",
        "metrics.metrics",
        "static",
        "access.sign_in",
        "access.validate_login",
        "access.sign_out",
        "site.downtime",
        "site.set_downtime",
        "account.page",
        "account.change_password",
    }
)


class DowntimeSwitch:
    """The state of the switch, read from the database at most every 20 seconds in each process."""

    def __init__(self) -> None:
        self._is_on = False
        self._look_at = 0.0
        self._lock = Lock()

    def is_on(self) -> bool:
        """Whether downtime is on, as last read; the old value stays while the database cannot be reached."""
        if time.monotonic() >= self._look_at and self._lock.acquire(blocking=False):  # one thread reads, none waits
            try:
                with db.engine.connect() as connection:  # apart from the request's own transaction
                    self._is_on = is_on(connection, SwitchName.DOWNTIME)
            except SQLAlchemyError as error:
                log.warning("the downtime switch cannot be read: %s", type(error).__name__)
            finally:
                self._look_at = time.monotonic() + CACHE_SECONDS
                self._lock.release()
        return self._is_on

    def forget(self) -> None:
        """Makes the next request read the switch from the database."""
        self._look_at = 0.0


def is_down() -> bool:
    """Whether downtime is on, as this process last read it."""
    switch: DowntimeSwitch = current_app.extensions["beiwe_downtime"]
    return switch.is_on()


def init_downtime(app: Flask) -> None:
    """Checks the switch before every request."""
    switch = DowntimeSwitch()
    app.extensions["beiwe_downtime"] = switch

    @app.before_request
    def refuse_in_downtime() -> None:
        if request.endpoint not in ALWAYS_SERVED and switch.is_on():
            abort(503, "down for maintenance", retry_after=RETRY_AFTER_SECONDS)
