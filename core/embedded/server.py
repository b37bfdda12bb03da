"""Prepares, starts, watches and stops the PostgreSQL server process. Only the keeper uses this."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from core.embedded.account import Account, account_for
from core.embedded.errors import EmbeddedDatabaseError, disk_full
from core.embedded.folder import SOCKET, Folder
from core.embedded.locks import take_lock
from core.embedded.programs import MAJOR, package_for, package_for_initdb, program

START_SECONDS = 300.0  # recovery after a crash may take a while
LEFTOVERS_SECONDS = 20.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
FULL_DISK_BYTES = 24 << 20  # a segment of the write-ahead log has 16 MiB
LOG_BYTES = 16 << 20
# The builtin locale needs none of the machine's, which may lack the one that LC_ALL names.
INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-instructions",
)
# "." is the data directory, where each of PostgreSQL's processes works: a path that is never too long for a socket.
SERVER = ("-h", "", "-k", ".", "-c", "unix_socket_permissions=0700", "-c", "max_connections=200")


class Server:
    """A running server, started by this process or found running."""

    def __init__(self, pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.process = process
        self.was_stopped = False
        self._handle = None if process or not hasattr(os, "pidfd_open") else os.pidfd_open(pid)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the server to end, for so many seconds if given. Returns whether it has ended."""
        if self.process:
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        if self._handle is not None:
            return bool(select.select([self._handle], [], [], seconds)[0])
        end = time.monotonic() + seconds if seconds is not None else None
        while _exists(self.pid):
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def stop(self) -> None:
        """Stops the server cleanly, or by force after half a minute. Data is safe in both cases."""
        self.was_stopped = True
        for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            if self.wait(seconds):
                return

    @property
    def how_it_ended(self) -> str:
        """A description of how the server ended."""
        status = self.process.returncode if self.process else None
        if status is None:
            return "PostgreSQL has ended"
        return f"PostgreSQL was killed by signal {-status}" if status < 0 else f"PostgreSQL ended with status {status}"


def find_or_start(folder: Folder) -> Server:
    """The server that listens, or else a new one that is ready for queries.

    Makes the data directory where there is none. Needs the keeper's lock. Raises EmbeddedDatabaseError, OSError.
    """
    pid = folder.server_pid()
    if pid is None:
        lock = _wait_for_the_last_process(folder)
        if lock is not None:
            try:
                return _start(folder, lock)
            finally:
                os.close(lock)  # the server has its own copy
        pid = folder.server_pid()
    if not pid:
        raise EmbeddedDatabaseError(
            f"A PostgreSQL that this machine cannot see, as in another container, uses {folder.data}: stop it, "
            "or set VAR_DIR to another folder"
        )
    return Server(pid)


def _start(folder: Folder, lock: int) -> Server:
    account = account_for(folder.data)
    package = package_for(account)
    _make_data(folder, account, package)
    # Nothing of an earlier server lives, so these are stale, whatever process their contents may name.
    for name in ("postmaster.pid", SOCKET, f"{SOCKET}.lock"):
        (folder.data / name).unlink(missing_ok=True)
    log = _log(folder)
    read_from = log.stat().st_size
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program("postgres", package), "-D", _working_folder(folder.data), *SERVER],
            cwd=folder.data,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            start_new_session=True,
            **account.process_options,
        )
    end = time.monotonic() + START_SECONDS
    while not _is_ready(folder.data, process.pid):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            with log.open("rb") as output:
                output.seek(read_from)
                raise _why(folder, output.read().decode(errors="replace"))
        time.sleep(POLL_SECONDS)
    return Server(process.pid, process)


def _is_ready(data: Path, pid: int) -> bool:
    """Whether the server with this process id reports in `postmaster.pid` that it is ready (as pg_ctl checks it)."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _make_data(folder: Folder, account: Account, package: Path) -> None:
    """Creates the data directory unless a complete one exists. If killed, the next call starts over."""
    data, draft = folder.data, folder.var_dir / "postgres.draft"
    if (data / "global" / "pg_control").exists():
        version = (data / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise EmbeddedDatabaseError(f"{data} is of PostgreSQL {version}, and ours is {MAJOR}: move it with pg_dump")
        return
    if data.exists() and any(data.iterdir()):  # left by a start that was killed: there is no data in it
        data.rename(folder.var_dir / f"postgres.unfinished-{time.time_ns()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(draft, account.uid, account.gid)
    with package_for_initdb(package) as programs:
        done = subprocess.run(
            [program("initdb", programs), "-D", _working_folder(draft), *INITDB],
            cwd=draft,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            **account.process_options,
        )
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise _why(folder, done.stdout + done.stderr)
    with suppress(FileNotFoundError):
        data.rmdir()
    draft.rename(data)
    for path in (data, folder.var_dir):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _working_folder(path: Path) -> str:
    """A working folder for a program, named so that its account needs no access to the folders above."""
    return "/proc/self/cwd" if os.geteuid() == 0 else str(path)


def _log(folder: Folder) -> Path:
    """The path of PostgreSQL's log; renames a large one to `log.old`."""
    log = folder.data / "log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.rename(log.with_name("log.old"))
    log.touch(mode=0o600)
    return log


def _why(folder: Folder, output: str) -> EmbeddedDatabaseError:
    """The error for a PostgreSQL that did not start, made from its output."""
    if "No space left on device" in output or shutil.disk_usage(folder.var_dir).free < FULL_DISK_BYTES:
        return disk_full(folder.var_dir)
    lines = [line for line in output.splitlines() if any(w in line for w in ("FATAL", "PANIC", "error", "could not"))]
    reason = (lines or output.splitlines() or ["it said nothing"])[-1].strip()
    return EmbeddedDatabaseError(f"The embedded PostgreSQL in {folder.data} does not start: {reason}")


def _wait_for_the_last_process(folder: Folder) -> int | None:
    """Takes the server's lock once no process of an earlier server is left; None if a server listens by then.

    Processes of a server that was killed see it and end within moments. Raises EmbeddedDatabaseError where they do not.
    """
    end = time.monotonic() + LEFTOVERS_SECONDS
    while True:
        lock = take_lock(folder.server_lock, wait=False)
        left = list(processes_in(folder.data))
        if lock is not None and not left:
            return lock
        if lock is not None:
            os.close(lock)
        if folder.is_listening():
            return None
        if time.monotonic() > end:
            named = f", such as process {left[0]}," if left else ""
            raise EmbeddedDatabaseError(
                f"Processes of an earlier PostgreSQL{named} still use {folder.data}, and nobody can connect to it: "
                "end them, or restart the machine"
            )
        time.sleep(POLL_SECONDS)


def processes_in(data: Path) -> Iterator[int]:
    """Ids of PostgreSQL's processes that work in this data directory, on systems with /proc."""
    try:
        wanted = data.stat()
    except FileNotFoundError:
        return
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() != "postgres":
                continue
            found = (entry / "cwd").stat()
        except OSError:  # it has ended, or is another user's
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            yield int(entry.name)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
