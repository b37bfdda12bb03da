"""Use of the embedded PostgreSQL by a process: it holds the users' lock, and starts a keeper if no server listens."""

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.embedded.errors import EmbeddedDatabaseError, ServerHasEnded, files_explained
from core.embedded.folder import READY, Folder
from core.embedded.locks import is_free, take_lock
from core.private_files import make_private_folder

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 360.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05
NOT_YET = "the database system is"  # … starting up, in recovery mode, shutting down

_one_at_a_time = threading.RLock()
_held: dict[Path, int] = {}
_keepers: list[subprocess.Popen[bytes]] = []


def use(var_dir: Path) -> str:
    """Returns the address of the embedded database and keeps it running until this process ends or calls `release`.

    Starts the server if none listens, so call it again after a lost connection. Any number of processes and
    threads may call it at once. Raises EmbeddedDatabaseError.
    """
    folder = Folder(var_dir)
    with _one_at_a_time:
        hold(var_dir)
        for is_last_try in (False, False, True):
            with files_explained(var_dir):
                if not _is_kept(folder):
                    _start(folder)
            try:
                wait_until_ready(folder)
                break
            except ServerHasEnded:  # a killed server's socket accepts connections for a moment longer
                if is_last_try:
                    raise
        return folder.url


def hold(var_dir: Path) -> None:
    """Keeps a running server from being stopped until this process ends or calls `release`. Starts nothing.

    Makes VAR_DIR where it is missing. Raises EmbeddedDatabaseError.
    """
    with _one_at_a_time, files_explained(var_dir):
        if var_dir not in _held:
            make_private_folder(var_dir)
            lock = take_lock(Folder(var_dir).users_lock, shared=True)
            assert lock is not None
            _held[var_dir] = lock


def release(var_dir: Path) -> bool:
    """Ends this process's use. Returns whether the server is stopped now, because nobody else uses it."""
    folder = Folder(var_dir)
    with _one_at_a_time:
        lock = _held.pop(var_dir, None)
        if lock is not None:
            os.close(lock)
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        if is_free(folder.keeper_lock):
            return not folder.is_listening()
        # While the keeper stops the server, neither lock can be taken.
        if not is_free(folder.users_lock) and is_free(folder.users_lock, shared=True):
            return False
        time.sleep(POLL_SECONDS)
    return False


@contextmanager
def running(var_dir: Path) -> Iterator[str]:
    """The database's address for the block; leaving the block ends this process's use."""
    try:
        yield use(var_dir)
    finally:
        release(var_dir)


def wait_until_ready(folder: Folder) -> None:
    """Waits until the listening server answers queries: after a crash it has to recover first.

    Raises EmbeddedDatabaseError where that takes longer than some minutes, or the server has ended meanwhile.
    """
    import psycopg2  # not at the top, since the keeper does without it

    end = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg2.connect(folder.url, connect_timeout=10).close()
            return
        except psycopg2.OperationalError as error:
            is_listening = folder.is_listening()
            if is_listening and NOT_YET not in str(error):
                return  # it answers, even if with a temporary refusal such as too many connections
            if not is_listening or time.monotonic() > end:
                reason = str(error).strip().splitlines()[-1]
                kind = EmbeddedDatabaseError if is_listening else ServerHasEnded
                raise kind(f"PostgreSQL in {folder.data} does not answer: {reason}") from error
        time.sleep(POLL_SECONDS)


def _is_kept(folder: Folder) -> bool:
    """Whether a server listens and a keeper is alive to stop it."""
    return folder.is_listening() and not is_free(folder.keeper_lock)


def _start(folder: Folder) -> None:
    """Starts a keeper, which starts the server or takes it over; one process at a time."""
    lock = take_lock(folder.starting_lock)
    assert lock is not None
    try:
        if _is_kept(folder):
            return
        keeper = subprocess.Popen(
            [sys.executable, "-m", "core.embedded.keeper", str(folder.var_dir)],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=keeper_environment(),
        )
        _keepers.append(keeper)  # ended ones are waited for by subprocess itself
        said = _first_line(keeper)
        if said != READY:
            raise EmbeddedDatabaseError(said or f"The embedded PostgreSQL in {folder.data} does not start")
    finally:
        os.close(lock)


def _first_line(keeper: subprocess.Popen[bytes]) -> str:
    assert keeper.stdout is not None
    with keeper.stdout as output:
        if not select.select([output], [], [], START_SECONDS)[0]:
            return ""
        return output.readline().decode(errors="replace").strip()


def keeper_environment() -> dict[str, str]:
    """The part of this process's environment that a keeper gets: nothing secret, and no locale."""
    names = ("PATH", "HOME", "XDG_RUNTIME_DIR", "PYTHONPATH", "SYSTEMROOT")
    return {name: value for name in names if (value := os.environ.get(name)) is not None}
