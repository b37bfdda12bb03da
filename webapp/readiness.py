"""Whether this process can serve: database, store, migrations (OPS-32).

Each check runs in its own thread, so that a caller waits at most two seconds even if a check hangs.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock, Thread
from typing import Generic, TypeVar

from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy.exc import OperationalError

from core.config import REPOSITORY, Settings
from core.operations.readiness import DatabaseState, database_state
from core.storage.errors import StoreError
from webapp.stores import object_store

log = logging.getLogger(__name__)
MOST_SECONDS = 2.0
DATABASE_KEPT_SECONDS = 1.0
STORE_KEPT_SECONDS = 10.0
OK = "ok"
Answer = TypeVar("Answer")


class CachedCheck(Generic[Answer]):
    """A check that may hang or fail. One thread runs it; all callers get its answer for `kept_seconds`."""

    def __init__(self, run: Callable[[], Answer], kept_seconds: float) -> None:
        self._check = run
        self._kept_seconds = kept_seconds
        self._lock = Lock()
        self._latest: Future[Answer] | None = None
        self._answered_at = 0.0

    def answer(self) -> Answer:
        """The check's answer. Raises TimeoutError after two seconds without one, and what the check raises."""
        with self._lock:
            is_stale = time.monotonic() - self._answered_at > self._kept_seconds
            if self._latest is None or (self._latest.done() and is_stale):
                self._latest = Future()
                Thread(target=self._run, args=(self._latest,), daemon=True).start()
            latest = self._latest
        return latest.result(MOST_SECONDS)

    def _run(self, future: "Future[Answer]") -> None:
        try:
            answer = self._check()
        except Exception as error:
            why = error.__cause__ or error
            log.warning("not ready: %s: %s", type(why).__name__, str(why).partition("\n")[0])
            self._answered_at = time.monotonic()
            future.set_exception(error)
        else:
            self._answered_at = time.monotonic()
            future.set_result(answer)


@dataclass(frozen=True)
class ReadinessReport:
    """For each part `ok` or a short reason; whole seconds since a processing run last ended, None if none ever did."""

    database: str
    store: str
    migrations: str
    seconds_since_processing: int | None

    @property
    def is_ready(self) -> bool:
        """Whether all parts are `ok`. Late processing does not count: the process can still take uploads."""
        return self.database == self.store == self.migrations == OK


class Readiness:
    """The readiness of one process."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._database = CachedCheck(lambda: database_state(settings), DATABASE_KEPT_SECONDS)
        self._store = CachedCheck(self._probe_store, STORE_KEPT_SECONDS)
        self._was_at_head = False

    def report(self) -> ReadinessReport:
        """Runs or reuses all checks. Raises nothing. Reasons contain no names or addresses; the log has these."""
        try:
            state = self._database.answer()
        except TimeoutError:
            return ReadinessReport(f"no answer within {MOST_SECONDS:.0f} s", self._of_store(), "unknown", None)
        except Exception as error:
            reason = "no answer" if isinstance(error, OperationalError) else f"failed ({type(error).__name__})"
            return ReadinessReport(reason, self._of_store(), "unknown", None)
        last_run = state.last_run_at
        seconds = max(0, int((datetime.now(UTC) - last_run).total_seconds())) if last_run else None
        return ReadinessReport(OK, self._of_store(), self._of_migrations(state), seconds)

    def _of_migrations(self, state: DatabaseState) -> str:
        """`ok`, or at which revision the tables are.

        Once a process was `ok`, newer tables are accepted: an update migrates the database before it restarts the
        processes (OPS-43).
        """
        if state.revision is None:
            return "no tables yet"
        head, known = self._revisions
        is_newer = self._was_at_head and state.revision not in known
        if state.revision != head and not is_newer:
            return f"at {state.revision}, not at {head}"
        self._was_at_head = True
        return OK

    def _of_store(self) -> str:
        try:
            self._store.answer()
        except TimeoutError:
            return f"no answer within {MOST_SECONDS:.0f} s"
        except Exception as error:
            return str(error) if isinstance(error, NotUsable) else f"failed ({type(error).__name__})"
        return OK

    def _probe_store(self) -> None:
        with self._app.app_context():
            try:
                store = object_store()
            except StoreError as error:
                raise NotUsable("cannot be opened") from error
            try:
                store.probe()
            except StoreError as error:
                raise NotUsable(str(error)) from error

    @cached_property
    def _revisions(self) -> tuple[str | None, frozenset[str]]:
        """The newest revision that this code knows, and all of them."""
        scripts = ScriptDirectory(str(REPOSITORY / "migrations"))
        return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


class NotUsable(Exception):
    """The store cannot be used; the message may be shown to anybody."""
