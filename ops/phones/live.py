"""The live part of a fleet's run: new files, uploaded at a rate or as fast as the server takes them."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ops.phones.data import HEADERS
from ops.phones.history import Habit
from ops.phones.load import collect_accelerometer, longest_ms
from ops.phones.member import FleetOptions, Member, for_each, upload

FILES_PER_PHONE = 10
DEFAULT_FILE_BYTES = 94_000
PREPARED_BYTES = 256 * 1024 * 1024
# The apps' timers, seconds.
HEARTBEAT_SECONDS = 300
SETTINGS_SECONDS = 1800


def live_members(members: list[Member]) -> list[Member]:
    """The phones that still report."""
    return [member for member in members if member.habit is not Habit.STOPPED]


def run_live(options: FleetOptions, members: list[Member], stop: threading.Event, say: Callable[[str], None]) -> float:
    """Collects and uploads until files or seconds are used up or `stop` is set; returns the seconds that it took.

    With a number of files and no rate, the files are made before the clock starts.
    """
    files, file_bytes = options.files, options.file_bytes
    if files is None and options.seconds is None and options.rate is None:
        files = 0 if options.backfill_days else FILES_PER_PHONE * len(members)
    if not members or files == 0 or stop.is_set():
        return 0.0
    if file_bytes is None and not options.backfill_days:
        file_bytes = DEFAULT_FILE_BYTES
    now_ms = time.time_ns() // 1_000_000
    for member in members:
        member.collected_until_ms = now_ms - (60_000 if file_bytes is None else _room_ms(files, members, file_bytes))
    if files is not None and options.rate is None and options.seconds is None:
        return _all_at_once(options, members, files, file_bytes, stop, say)
    return _paced(options, members, files, file_bytes, stop, say)


def _room_ms(files: int | None, members: list[Member], file_bytes: int) -> int:
    """Milliseconds before now at which files of a given size begin, so that none ends after now; a day if unknown."""
    if files is None:
        return 86_400_000
    return -(-files // len(members)) * longest_ms(file_bytes) + 60_000


def _all_at_once(
    options: FleetOptions,
    members: list[Member],
    files: int,
    file_bytes: int | None,
    stop: threading.Event,
    say: Callable[[str], None],
) -> float:
    """Repeatedly makes files up to a bounded size in memory and uploads them from all phones at once."""
    seconds, batch = 0.0, max(len(members), PREPARED_BYTES // (file_bytes or DEFAULT_FILE_BYTES))
    for first in range(0, files, batch):
        for number in range(first, min(first + batch, files)):
            if stop.is_set():
                return seconds
            collect_next(members[number % len(members)], number // len(members), file_bytes)
        begin = time.monotonic()
        for_each(options, members, lambda member: upload(member, stop))
        seconds += time.monotonic() - begin
        say(f"{min(first + batch, files)} of {files} files sent")
    return seconds


def _paced(
    options: FleetOptions,
    members: list[Member],
    files: int | None,
    file_bytes: int | None,
    stop: threading.Event,
    say: Callable[[str], None],
) -> float:
    """Uploads one file after the other at a rate, from the phones in turn; each also sends its waiting files."""
    begin = time.monotonic()
    ends = begin + options.seconds if options.seconds is not None else float("inf")
    counter, lock = itertools.count(), threading.Lock()

    def worker(_: int) -> None:
        while not stop.is_set():
            with lock:
                number = next(counter)
            due = begin + number / options.rate if options.rate else time.monotonic()
            if (files is not None and number >= files) or due >= ends or stop.wait(max(0.0, due - time.monotonic())):
                return
            member = members[number % len(members)]
            with member.phone.lock:
                _run_timers(member)
                collect_next(member, number // len(members), file_bytes)
                answers = member.phone.upload_round(stop)
            if number and number % 100 == 0:
                say(f"{number} files, {len(members)} phones")
            if any(answer.status is None or answer.status >= 500 for answer in answers):
                stop.wait(options.pause_seconds)

    with ThreadPoolExecutor(options.threads) as pool:
        for _ in pool.map(worker, range(options.threads)):
            pass
    return time.monotonic() - begin


def _run_timers(member: Member) -> None:
    """Sends heartbeats and fetches settings and surveys at the apps' intervals; fetched surveys are answered."""
    now, phone = time.monotonic(), member.phone
    if now - member.heartbeat_at >= HEARTBEAT_SECONDS:
        member.heartbeat_at = now
        phone.heartbeat()
    if now - member.settings_at >= SETTINGS_SECONDS:
        member.settings_at = now
        phone.update_settings()
    if now - member.surveys_at >= phone.settings.get("check_for_new_surveys_frequency_seconds", 21_600):
        member.surveys_at = now
        phone.download_surveys()
        phone.answer_surveys(time.time_ns() // 1_000_000 - 30_000)


def collect_next(member: Member, turn: int, file_bytes: int | None) -> None:
    """Collects one more file: an accelerometer file of a given size, or the phone's next stream since its last file.

    The first turn answers the surveys as well.
    """
    phone, now_ms = member.phone, time.time_ns() // 1_000_000
    if turn == 0:
        phone.answer_surveys(now_ms - 30_000)
    if file_bytes is not None:
        pending = collect_accelerometer(phone, member.collected_until_ms, file_bytes)
        member.collected_until_ms = pending.recipe.end_ms if pending.recipe else now_ms
        return
    aliases = [alias for alias in HEADERS[phone.platform] if phone.writes(alias)]
    alias = aliases[turn % len(aliases)]
    start_ms = min(member.collected_until_ms, now_ms - 1_000)
    phone.collect(alias, start_ms, now_ms, period_ms=10_000, burst_rows=20, row_ms=1_000 if alias == "gps" else 200)
    member.collected_until_ms = now_ms
