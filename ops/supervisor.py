"""Runs the processes of `make run`; one that ends is started again, after growing pauses (OPS-23)."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import FrameType

from core.config import REPOSITORY

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 60.0  # a part that ran for this long starts again with the shortest pause
STOP_SECONDS = 20.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Part:
    """One process; its output lines are shown with `name`. `is_kept`: it is started again when it ends."""

    name: str
    command: list[str]
    environment: dict[str, str]
    is_kept: bool = True
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    ends_in_a_row: int = 0
    starts_at: float | None = None
    reader: threading.Thread | None = None
    last_line: str = field(default="", repr=False)

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Starts processes, prints when they start and end, and stops them on SIGINT, SIGTERM and SIGHUP.

    Every part has its own process session, so that Ctrl-C in a terminal reaches only this process. A signal may come
    twice, from the terminal and from `make`; stopping takes some seconds in any case.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.is_stopping = threading.Event()
        self._ended: SimpleQueue[Part | None] = SimpleQueue()
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)

    def add(self, part: Part) -> None:
        """Starts a part, unless a stop was requested."""
        if not self.is_stopping.is_set():
            self.parts.append(part)
            self._start(part)

    def run(self) -> None:
        """Keeps the parts running until a signal requests the end."""
        while not self.is_stopping.is_set():
            due = [part.starts_at for part in self.parts if part.starts_at is not None]
            pause = max(0.0, min(due) - time.monotonic()) if due else None
            with suppress(Empty):
                ended = self._ended.get(timeout=pause)
                if ended is not None and not self.is_stopping.is_set():
                    self._plan_restart(ended)
            for part in self.parts:
                if part.starts_at is not None and part.starts_at <= time.monotonic() and not self.is_stopping.is_set():
                    self._start(part)

    def stop(self, names: list[str]) -> None:
        """Stops these parts with all processes of their sessions; kills those that take longer than ten seconds."""
        parts = [part for part in self.parts if part.name in names and part.process is not None]
        for part in parts:
            _signal_group(part, signal.SIGTERM, only_leader=True)
        end = time.monotonic() + STOP_SECONDS
        for part in parts:
            assert part.process is not None
            with suppress(subprocess.TimeoutExpired):
                part.process.wait(max(0.0, end - time.monotonic()))
            _signal_group(part, signal.SIGKILL)
            part.process.wait()

    def _start(self, part: Part) -> None:
        part.starts_at, part.started_at = None, time.monotonic()
        part.process = subprocess.Popen(
            part.command,
            cwd=REPOSITORY,
            env=part.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        part.reader = threading.Thread(target=_print_lines, args=(part, part.process), daemon=True)
        part.reader.start()
        threading.Thread(target=self._wait_for_end, args=(part, part.process), daemon=True).start()

    def _wait_for_end(self, part: Part, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._ended.put(part)

    def _plan_restart(self, part: Part) -> None:
        process = part.process
        assert process is not None and process.returncode is not None
        _signal_group(part, signal.SIGKILL)  # the processes that it started itself
        if not part.is_kept:
            return
        if time.monotonic() - part.started_at > CALM_SECONDS:
            part.ends_in_a_row = 0
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**part.ends_in_a_row)
        part.ends_in_a_row += 1
        part.starts_at = time.monotonic() + pause
        status = process.returncode
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        say(f"{part.name} {how}; it is started again in {pause:.0f} s")

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.is_stopping.set()
        self._ended.put(None)


def say(line: str, name: str = "run") -> None:
    """Prints one line with the time; ignores a closed terminal."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {name:8} | {line}\n")
        sys.stdout.flush()


def _print_lines(part: Part, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            part.last_line = line.decode(errors="replace").rstrip()
            say(part.last_line, part.name)


def _signal_group(part: Part, number: int, *, only_leader: bool = False) -> None:
    if part.process is None:
        return
    with suppress(ProcessLookupError, PermissionError):
        if only_leader:
            part.process.send_signal(number)
        else:
            os.killpg(part.process.pid, number)
