"""Phones that upload, the queue they fill, and what processing makes of it: all as times and counts."""

import math
from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from core.chunks.model import DropReason
from core.processing.report import ProcessingReport
from core.storage import StoreUnavailable
from core.streams import UnknownStream, stream_of_path

STUDIES = ("Qm4vT8sZc1Lw9yBn2Xk6RpHd", "f7Jt3WqYb5Nz0KxVg8Sc4MeA")
PATIENTS = tuple(f"{first}{second}x7kq2m" for first in "abcdefgh" for second in "13579")
ROUNDS_A_MINUTE = ((7, 0.12), (9, 0.3), (18, 0.42), (22, 0.5), (24, 0.2))
"""Rounds of uploads of all phones, each until that hour (UTC)."""
SECONDS_BETWEEN_FILES = 0.5
SECONDS_A_TASK, SECONDS_A_FILE = 0.3, 0.06
MOST_OF_A_TASK = 400
STORE_TRIES_SECONDS = 41.0  # a worker's four tries of ten seconds
LONGEST_PAUSE = timedelta(hours=6)
MOST_ATTEMPTS = 10


@dataclass(frozen=True, order=True)
class Arrival:
    """An uploaded file is queued, or tried again: its participant, and why it cannot be used."""

    at: datetime
    participant: int
    path: str = ""
    problem: str = ""
    tries: int = 0


@dataclass
class Phones:
    """Everybody's phones and their queue. Files leave it first come, first served."""

    dice: Random
    outage: tuple[datetime, datetime]
    """The store does not answer between these."""
    lost: tuple[datetime, datetime]
    """Files that come between these are not in the store."""
    arrivals: list[Arrival] = field(default_factory=list)
    taken: list[tuple[datetime, datetime, int]] = field(default_factory=list)
    """Begin and end of each task, and how many files had left the queue by it."""

    def live(self, start: datetime, end: datetime) -> None:
        """Makes what the phones upload in that time."""
        at = start
        while at < end:
            rate = next(rate for until, rate in ROUNDS_A_MINUTE if at.hour < until)
            at += timedelta(minutes=self.dice.expovariate(rate))
            self.upload(self._after_outage(at), self.dice.randrange(len(PATIENTS)), self.dice.randint(3, 24))

    def upload(self, at: datetime, participant: int, files: int) -> None:
        """A phone's round of uploads, which begins then."""
        for number in range(files):
            insort(self.arrivals, Arrival(at + timedelta(seconds=number * SECONDS_BETWEEN_FILES), participant))

    def add_useless(self, at: datetime) -> None:
        """A file that no stream is named in: it fails at each try."""
        path = f"{STUDIES[0]}/{PATIENTS[3]}/voiceMemo/1714550400000.bin"
        try:
            stream_of_path("voiceMemo/1714550400000.bin")
        except UnknownStream as error:
            insort(self.arrivals, Arrival(at, 3, path, str(error)))

    def waiting(self, at: datetime) -> int:
        """Files in the queue at that time."""
        number = bisect_right(self.taken, at, key=lambda task: task[0])
        gone = self.taken[number - 1][2] if number else 0
        return bisect_right(self.arrivals, at, key=lambda arrival: arrival.at) - gone

    def work(self, at: datetime) -> tuple[float, ProcessingReport | StoreUnavailable | None]:
        """A task of `process-participants` that begins then: its seconds, and what comes of it (None: nobody waits)."""
        gone = self.taken[-1][2] if self.taken else 0
        waiting = bisect_right(self.arrivals, at, key=lambda arrival: arrival.at) - gone
        if waiting <= 0:
            return 0.01, None
        files = self.arrivals[gone : gone + min(math.ceil(waiting / 2), MOST_OF_A_TASK)]
        if self.outage[0] <= at < self.outage[1]:
            key = f"{STUDIES[0]}/{PATIENTS[files[0].participant]}/gps/{files[0].at.timestamp() * 1000:.0f}.csv.zst"
            return STORE_TRIES_SECONDS, StoreUnavailable(f"{key}: ConnectTimeoutError")
        seconds = SECONDS_A_TASK + SECONDS_A_FILE * len(files)
        ends = at + timedelta(seconds=seconds)
        self.taken.append((max(at, self.taken[-1][0] if self.taken else at), ends, gone + len(files)))
        for file in files:
            self._postpone(file, ends)
        return seconds, self._report(files)

    def forget(self, at: datetime) -> None:
        """Drops work that was not finished at that time: its process was killed."""
        self.taken = [task for task in self.taken if task[1] <= at]

    def _after_outage(self, at: datetime) -> datetime:
        """Phones keep their files while the store is away; what came in its first minute is queued already."""
        begin, end = self.outage
        if begin + timedelta(minutes=1) <= at < end:
            return end + timedelta(seconds=self.dice.uniform(0, 900))
        return at

    def _postpone(self, file: Arrival, now: datetime) -> None:
        if file.problem and file.tries + 1 < MOST_ATTEMPTS:
            tries = file.tries + 1
            again = now + min(timedelta(minutes=2**tries), LONGEST_PAUSE)
            insort(self.arrivals, Arrival(again, file.participant, file.path, file.problem, tries))

    def _report(self, files: list[Arrival]) -> ProcessingReport:
        participants = {file.participant for file in files}
        failures = {file.path: file.problem for file in files if file.problem}
        missing = sum(self.lost[0] <= file.at < self.lost[1] for file in files)
        good = len(files) - len(failures) - missing
        dropped = {DropReason.OUTSIDE_LIMITS.value: self.dice.randint(1, 60)} if self.dice.random() < 0.02 else {}
        return ProcessingReport(
            participants,
            batches=len(participants),
            files=len(files),
            missing=missing,
            failures=failures,
            size_bytes=sum(self.dice.randint(8_000, 90_000) for _ in range(good)),
            chunks_written=math.ceil(good * 0.8),
            rows_kept=good * self.dice.randint(900, 2_400),
            rows_dropped=Counter(dropped),
        )
