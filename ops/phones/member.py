"""A fleet's members and options."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ops.phones.history import Habit
from ops.phones.phone import Phone
from ops.phones.platforms import Platform


@dataclass(frozen=True)
class FleetOptions:
    """How a fleet runs. `participants` are pairs of patient id and password; `platform_of` holds those that are known.

    `files` is for the whole fleet, `rate` in files per second of the whole fleet (None: as fast as it goes),
    `seconds` the length of the live part (infinity: until stopped), `file_bytes` the encrypted size of
    accelerometer files (None: small files of every stream in turn). With neither files, seconds nor days of
    history, every phone uploads ten files. `pause_seconds` lies between two rounds of a phone that must try again,
    `drain_seconds` is how long the end waits for files that were not taken yet.
    """

    server: str
    participants: Sequence[tuple[str, str]]
    files: int | None = None
    rate: float | None = None
    file_bytes: int | None = None
    seconds: float | None = None
    backfill_days: int = 0
    platforms: str = "mixed"
    platform_of: Mapping[str, Platform] = field(default_factory=dict)
    seed: int = 0
    zone: str = "America/New_York"
    ledger_path: Path | None = None
    threads: int = 8
    pause_seconds: float = 1.0
    drain_seconds: float = 30.0


@dataclass
class Member:
    """A phone of the fleet, its habit, and the last times of its timers (monotonic seconds)."""

    phone: Phone
    habit: Habit
    collected_until_ms: int = 0
    heartbeat_at: float = 0.0
    settings_at: float = 0.0
    surveys_at: float = 0.0

    def fetch_all(self) -> None:
        """Fetches what an app asks for after registering."""
        self.phone.update_settings()
        self.phone.download_surveys()
        self.phone.set_push_token()
        self.phone.heartbeat()
        self.heartbeat_at = self.settings_at = self.surveys_at = time.monotonic()


def for_each(options: FleetOptions, members: Sequence[Member], work: Callable[[Member], None]) -> None:
    """Calls a function for every member, in threads; raises the first exception."""
    with ThreadPoolExecutor(options.threads) as pool:
        for _ in pool.map(work, members):
            pass


def upload(member: Member, stop: threading.Event) -> None:
    """One upload round of a member."""
    with member.phone.lock:
        member.phone.upload_round(stop)
