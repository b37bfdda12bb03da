"""One run: list, compare, download what is missing or has changed, verify it, and put it into its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event

import urllib3

from beiwe_sync.folder import Folder, UnsafeName
from beiwe_sync.server import Busy, FileBroken, FileChanged, NothingBehind, Refused, RemoteFile, Server, waiting_seconds

MOST_AHEAD = 200  # files that wait for a thread
ROUNDS = 3  # a file that changes while it is downloaded is listed again

Report = Callable[[int, int], None]


@dataclass
class Outcome:
    """What a run did: numbers of files, bytes received, and by file what went wrong.

    `gone` are files on this machine that the server no longer lists for the same query; they are left alone.
    """

    listed: int = 0
    listed_bytes: int = 0
    fetched: int = 0
    received_bytes: int = 0
    unchanged: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether every listed file is there and verified."""
        return not self.problems


class Stopped(Exception):
    """The run was stopped from outside; the bytes received so far are kept."""


def sync(
    server: Server,
    folder: Folder,
    query: list[tuple[str, str]],
    *,
    report: Report = lambda listed, received: None,
    is_checked: bool = False,
) -> Outcome:
    """Brings the folder up to date with the query (parameters of the manifest) and returns what was done.

    `report` is told bytes: how many more are listed for download, and how many more were received. With `is_checked`
    every file of the folder is read and compared. Raises Refused and Unreachable where listing fails.
    """
    outcome = Outcome()
    names: set[str] = set()
    for number in range(ROUNDS):
        is_last = number == ROUNDS - 1
        changed = _round(server, folder, query, outcome, names, report, is_checked=is_checked and number == 0)
        if not changed:
            break
        if is_last:
            outcome.problems.update(dict.fromkeys(changed, "it changed while it was downloaded, again and again"))
    folder.remove_old_parts(names)
    outcome.gone = sorted(name for name in folder.names() - names if _is_asked_for(name, query))
    return outcome


def listing(server: Server, folder: Folder, query: list[tuple[str, str]]) -> Outcome:
    """What a run would do, without doing it: `fetched` and `received_bytes` are what would be downloaded."""
    outcome = Outcome()
    for file in server.files(query):
        outcome.listed += 1
        outcome.listed_bytes += file.size or 0
        if folder.has(file):
            outcome.unchanged += 1
        else:
            outcome.fetched += 1
            outcome.received_bytes += file.size or 0
    return outcome


def _round(
    server: Server,
    folder: Folder,
    query: list[tuple[str, str]],
    outcome: Outcome,
    names: set[str],
    report: Report,
    *,
    is_checked: bool,
) -> list[str]:
    """Lists everything once and downloads what differs. Returns the names of files that changed meanwhile."""
    changed: list[str] = []
    outcome.listed = outcome.listed_bytes = outcome.unchanged = 0
    stop = Event()
    running: dict[Future[int], RemoteFile] = {}

    def settle(done: Iterable[Future[int]]) -> None:
        for future in done:
            file = running.pop(future)
            try:
                outcome.received_bytes += future.result()
            except FileChanged:
                changed.append(file.name)
            except Refused:
                raise
            except (OSError, FileBroken, Busy, urllib3.exceptions.HTTPError) as error:
                outcome.problems[file.name] = str(error)
            else:
                outcome.fetched += 1
                outcome.problems.pop(file.name, None)
                folder.remember(file)

    pool = ThreadPoolExecutor(server.connections)
    waits = True
    try:
        for file in server.files(query):
            outcome.listed += 1
            outcome.listed_bytes += file.size or 0
            names.add(file.name)
            try:
                is_there = folder.has(file, is_checked=is_checked)
            except UnsafeName as unsafe:
                outcome.problems[file.name] = str(unsafe)
                continue
            if is_there:
                outcome.unchanged += 1
                continue
            report(file.size or 0, 0)
            running[pool.submit(_fetch, server, folder, file, report, stop)] = file
            while len(running) >= MOST_AHEAD:
                settle(_done(running))
        while running:
            settle(_done(running))
    except BaseException as error:
        stop.set()
        # A thread may wait for the server for a minute; a part of a file can be gone on with from any byte.
        waits = not isinstance(error, KeyboardInterrupt)
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)
    return changed


def _done(running: Iterable[Future[int]]) -> Iterable[Future[int]]:
    """Those that have ended, perhaps none: on Windows Ctrl-C cannot end a wait without a time limit."""
    return wait(running, timeout=1, return_when=FIRST_COMPLETED).done


def _fetch(server: Server, folder: Folder, file: RemoteFile, report: Report, stop: Event) -> int:
    """Downloads, verifies and places one file; goes on behind what is there after each broken connection.

    Returns the bytes received. Raises FileChanged, FileBroken, Refused, and the last error of the connection.
    """
    received = 0
    is_fresh = False
    tried = 0
    part = folder.part(file)
    while True:
        start = part.stat().st_size if part.exists() else 0
        if file.size is not None and start > file.size:
            part.unlink()
            start = 0
        try:
            if start == 0 or start != file.size:
                # "wb" where nothing is there: an empty file has no range to ask for.
                with part.open("ab" if start else "wb") as opened:
                    for piece in server.contents(file, start):
                        if stop.is_set():
                            raise Stopped
                        opened.write(piece)
                        received += len(piece)
                        tried = 0
                        report(0, len(piece))
        except NothingBehind:
            pass  # of unknown size, and stopped before it was put into its place
        except (OSError, urllib3.exceptions.HTTPError, Busy) as error:
            tried += 1
            if tried >= server.tries:
                raise
            seconds = error.seconds if isinstance(error, Busy) else 0.0
            stop.wait(max(seconds, waiting_seconds(tried)))
            if stop.is_set():
                raise Stopped from None
            continue
        if folder.has_contents(part, file):
            folder.finish(file, part)
            return received
        part.unlink()
        if is_fresh:
            raise FileBroken("its bytes do not have the hash that the server lists")
        is_fresh = True  # an old part may have been damaged by a power cut: once more from the beginning


def _is_asked_for(name: str, query: list[tuple[str, str]]) -> bool:
    """Whether a file of the folder belongs to this query, as far as its name tells: not its times."""
    wanted: dict[str, set[str]] = {}
    for parameter, value in query:
        wanted.setdefault(parameter, set()).add(value)
    if "time_start" in wanted or "time_end" in wanted:
        return False
    pieces = name.split("/")
    participants, streams = wanted.get("participant_ids"), wanted.get("data_streams")
    return (not participants or pieces[0] in participants) and (not streams or pieces[1] in streams)
