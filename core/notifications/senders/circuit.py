"""Stops a run's sending to a service that refuses, is overloaded, or does not answer (NOTIF-42, NOTIF-43)."""

from threading import Lock

from core.notifications.outcomes import Fate, Outcome
from core.notifications.rules.judging import UNREACHABLE_IN_A_ROW


class Circuit:
    """Open while the service may be asked. Threads share it.

    It closes at the first quota or refusal of the credentials, and after ten answers in a row that nobody got.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._in_a_row = 0
        self.is_open = True

    def note(self, outcome: Outcome) -> None:
        """Takes one outcome into account."""
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if outcome.fate is Fate.UNREACHABLE else 0
            if outcome.fate in (Fate.QUOTA, Fate.CREDENTIALS) or self._in_a_row >= UNREACHABLE_IN_A_ROW:
                self.is_open = False
