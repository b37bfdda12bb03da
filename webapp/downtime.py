"""Downtime (OPS-30, PHONE-16): while the switch is on, all but a few requests hear 503; phones keep their data then."""

import time
from threading import Lock

from flask import Flask, abort, request
from sqlalchemy.exc import SQLAlchemyError

from core.database import db
from core.models import SwitchName
from core.switches import is_on

CACHE_SECONDS = 20
RETRY_AFTER_SECONDS = 300
# Load balancers, and what a site administrator needs to turn the switch off again.
ALWAYS_SERVED = frozenset({
    "health.healthz", "health.readyz", "metrics.metrics", "static", "portal.sign_in", "portal.validate_login",
    "portal.logout", "portal.downtime", "portal.set_downtime", "portal.manage_credentials",
    "portal.self_change_password",
})  # fmt: skip


class DowntimeSwitch:
    """The switch as this process last saw it, looked at every 20 seconds."""

    def __init__(self) -> None:
        self._is_on = False
        self._look_at = 0.0
        self._lock = Lock()

    def is_on(self) -> bool:
        """As it was a moment ago, also while the database cannot tell."""
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + CACHE_SECONDS
                try:
                    with db.engine.connect() as connection:  # apart from the request's own transaction
                        self._is_on = is_on(connection, SwitchName.DOWNTIME)
                except SQLAlchemyError:
                    pass
            return self._is_on

    def forget(self) -> None:
        """Looks anew at the next request."""
        self._look_at = 0.0


def init_downtime(app: Flask) -> None:
    """Puts the switch before every request."""
    switch = DowntimeSwitch()
    app.extensions["beiwe_downtime"] = switch

    @app.before_request
    def refuse_in_downtime() -> None:
        if request.endpoint not in ALWAYS_SERVED and switch.is_on():
            abort(503, "down for maintenance", retry_after=RETRY_AFTER_SECONDS)
