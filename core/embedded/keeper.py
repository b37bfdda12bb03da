"""`python -m core.embedded.keeper [--standby] VAR_DIR`: a process that keeps the embedded PostgreSQL for its users.

It starts the server, or takes over a running one, prints `ready`, and ends when the server ends. When no process
holds the users' lock any more, it stops the server. With `--standby` it waits until another keeper ends.
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from core.embedded.errors import EmbeddedDatabaseError, files_explained
from core.embedded.folder import READY, Folder
from core.embedded.locks import is_free, take_lock
from core.embedded.server import POLL_SECONDS, Server, find_or_start

OTHER_KEEPER_SECONDS = 60.0


def main() -> int:
    """Exit status 0 where the server was stopped on purpose or another keeper has it; 1 with a line that says why."""
    folder = Folder(Path(sys.argv[-1]))
    for number in (signal.SIGINT, signal.SIGHUP):  # meant for the starting process, whose lock shows its end
        signal.signal(number, signal.SIG_IGN)
    try:
        with files_explained(folder.var_dir):
            if not _take_keepers_place(folder, is_standby="--standby" in sys.argv):
                _say(READY)
                return 0
            if is_free(folder.users_lock):  # a stand-by keeper that takes over when no user is left
                return 0
            server = find_or_start(folder)
    except EmbeddedDatabaseError as error:
        _say(str(error))
        return 1
    _stop_on_request(server)
    threading.Thread(target=_stop_when_unused, args=(folder, server), daemon=True).start()
    _say(READY)
    server.wait()
    if server.was_stopped:
        return 0
    _say(server.how_it_ended)
    return 1


def _take_keepers_place(folder: Folder, *, is_standby: bool) -> bool:
    """Takes the keeper's lock. Returns False if another keeper holds it and the server runs, unless `is_standby`.

    The lock is held until the process ends.
    """
    end = time.monotonic() + OTHER_KEEPER_SECONDS
    while take_lock(folder.keeper_lock, wait=is_standby) is None:
        if folder.is_listening():
            return False
        if time.monotonic() > end:
            raise EmbeddedDatabaseError(f"Another process has been starting the PostgreSQL in {folder.data} for long")
        time.sleep(POLL_SECONDS)
    return True


def _stop_when_unused(folder: Folder, server: Server) -> None:
    """Waits for the users' lock, then stops the server. New users wait until this process has ended."""
    take_lock(folder.users_lock)
    server.stop()


def _stop_on_request(server: Server) -> None:
    """SIGTERM stops the server even while it is used: the machine shuts down, or an operator wants it."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.stop, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)


def _say(line: str) -> None:
    """Writes one line to the process that started this one, if it still reads."""
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
