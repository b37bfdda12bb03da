"""Kinds of requests that have threads of their own, and how downloads take turns (CLAR-9, CLAR-73)."""

import re
from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar
from urllib.parse import unquote

from gunicorn.http.message import Request

Job = TypeVar("Job")


class Lane(Enum):
    """A kind of request."""

    PROBES = auto()
    PHONES = auto()
    PORTAL = auto()
    PROGRAMS = auto()
    DOWNLOADS = auto()


# How many threads a process has for each; phones have WEB_THREADS.
THREADS = {Lane.PROBES: 1, Lane.PORTAL: 4, Lane.PROGRAMS: 2, Lane.DOWNLOADS: 4}


def threads_of_a_process(phones: int) -> int:
    """All threads that run the application in a process, of which phones have so many."""
    return phones + sum(THREADS.values())


_PHONES = re.compile(
    r"/+(upload|register_user|set_password|download_surveys|get_latest_device_settings|mobile-heartbeat|set_fcm_token"
    r"|test_notification|send_survey_notification|graph)(/ios)?/?"
)
_DOWNLOADS = re.compile(r"/+get-data/v\d/?")
_PROGRAMS = re.compile(r"/+(get-|check-my-credentials|tableau/|api/).*")
_PROBES = re.compile(r"/+healthz/?")


def path_of(request: Request) -> str:
    """The path that the application will go by: without escapes, of which `/uplo%61d` has one."""
    return unquote(request.path)


def lane_of(path: str) -> Lane:
    """The lane of a decoded path; what is not known belongs to the portal, which answers it."""
    for lane, pattern in (
        (Lane.PHONES, _PHONES),
        (Lane.DOWNLOADS, _DOWNLOADS),
        (Lane.PROGRAMS, _PROGRAMS),
        (Lane.PROBES, _PROBES),
    ):
        if pattern.fullmatch(path):
            return lane
    return Lane.PORTAL


@dataclass
class FairQueue(Generic[Job]):
    """Jobs that wait for their turn. `most` run at once, of one owner `most_each`; owners take turns.

    For one thread only.
    """

    most: int
    most_each: int
    waiting: int = 0
    _jobs: dict[Hashable, deque[Job]] = field(default_factory=dict)
    _running: Counter[Hashable] = field(default_factory=Counter)

    def add(self, owner: Hashable, job: Job) -> None:
        """Puts a job behind the others of its owner."""
        self._jobs.setdefault(owner, deque()).append(job)
        self.waiting += 1

    def start_next(self) -> tuple[Hashable, Job] | None:
        """The next job that may run now, which counts as running until `end`; None while none may."""
        if self._running.total() >= self.most:
            return None
        owner = next((owner for owner in self._jobs if self._running[owner] < self.most_each), None)
        if owner is None:
            return None
        jobs = self._jobs.pop(owner)
        job = jobs.popleft()
        if jobs:
            self._jobs[owner] = jobs  # behind all other owners
        self._running[owner] += 1
        self.waiting -= 1
        return owner, job

    def end(self, owner: Hashable) -> None:
        """One of the owner's jobs has ended."""
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
