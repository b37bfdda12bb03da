"""Lanes: kinds of requests that have threads of their own; and the queue of downloads (CLAR-9, CLAR-73)."""

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
    """A kind of request that has its own threads."""

    PROBES = auto()
    PHONES = auto()
    PORTAL = auto()
    PROGRAMS = auto()
    DOWNLOADS = auto()


# Threads of each lane in one process; phones have WEB_THREADS.
THREADS = {Lane.PROBES: 1, Lane.PORTAL: 4, Lane.PROGRAMS: 2, Lane.DOWNLOADS: 4}


def threads_of_a_process(phones: int) -> int:
    """How many threads run the application in one process, `phones` of them for phones."""
    return phones + sum(THREADS.values())


_PHONES = re.compile(
    r"/+(upload|register_user|set_password|download_surveys|get_latest_device_settings|mobile-heartbeat|set_fcm_token"
    r"|test_notification|send_survey_notification|graph)(/ios)?/?"
)
_ZIPS_BY_KEY = re.compile(r"/+get-data/v\d/?")
_OBJECTS_BY_KEY = re.compile(r"/+get-data/v3/objects/.*")
_DOWNLOADS_OF_PORTAL = re.compile(
    r"/+(data_access_web_form/\d+/(download|exports/\d+/file)|(view_study/\d+/)?audit/\w+\.csv)/?"
)
_PROGRAMS = re.compile(r"/+(get-|check-my-credentials|tableau/|api/).*")
_PROBES = re.compile(r"/+healthz/?")


def path_of(request: Request) -> str:
    """The decoded path, as the application will see it: `/uplo%61d` becomes `/upload`."""
    return unquote(request.path)


def lane_of(path: str) -> Lane:
    """The lane of a decoded path. Unknown paths belong to the portal, which answers them with its error page."""
    for lane, pattern in (
        (Lane.PHONES, _PHONES),
        (Lane.DOWNLOADS, _ZIPS_BY_KEY),
        (Lane.DOWNLOADS, _OBJECTS_BY_KEY),
        (Lane.DOWNLOADS, _DOWNLOADS_OF_PORTAL),
        (Lane.PROGRAMS, _PROGRAMS),
        (Lane.PROBES, _PROBES),
    ):
        if pattern.fullmatch(path):
            return lane
    return Lane.PORTAL


def takes_api_key(path: str) -> bool:
    """Whether the senders of requests to this decoded path are programs with an API key."""
    return bool(_ZIPS_BY_KEY.fullmatch(path) or _PROGRAMS.fullmatch(path))


def is_download_by_key(path: str) -> bool:
    """Whether this decoded path is that of a download by a program, which may send a large registry."""
    return bool(_ZIPS_BY_KEY.fullmatch(path))


@dataclass
class FairQueue(Generic[Job]):
    """A queue in which owners take turns. At most `most` jobs run at once, and at most `most_each` of one owner.

    Not thread-safe: use it from one thread only.
    """

    most: int
    most_each: int
    waiting: int = 0
    _jobs: dict[Hashable, deque[Job]] = field(default_factory=dict)
    _running: Counter[Hashable] = field(default_factory=Counter)

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits."""
        return not self.waiting and not self._running

    def add(self, owner: Hashable, job: Job) -> None:
        """Appends a job to those of its owner."""
        self._jobs.setdefault(owner, deque()).append(job)
        self.waiting += 1

    def waiting_of(self, owner: Hashable) -> int:
        """How many jobs of this owner wait."""
        return len(self._jobs.get(owner, ()))

    def start_next(self) -> tuple[Hashable, Job] | None:
        """Returns the next job that may run, with its owner, and counts it as running until `end`. None if none may."""
        if self._running.total() >= self.most:
            return None
        owner = next((owner for owner in self._jobs if self._running[owner] < self.most_each), None)
        if owner is None:
            return None
        jobs = self._jobs.pop(owner)
        job = jobs.popleft()
        if jobs:
            self._jobs[owner] = jobs  # after all other owners
        self._running[owner] += 1
        self.waiting -= 1
        return owner, job

    def end(self, owner: Hashable) -> None:
        """Counts one of the owner's running jobs as ended."""
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
