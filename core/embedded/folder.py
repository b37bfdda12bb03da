"""The paths of the embedded PostgreSQL of one VAR_DIR: data, locks and socket."""

import hashlib
import os
import socket
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from core.embedded.errors import EmbeddedDatabaseError

SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 100  # bytes; the kernels take 103 to 107
CONNECT_SECONDS = 5.0
READY = "ready"  # what a keeper says once the server answers


@dataclass(frozen=True)
class Folder:
    """The embedded PostgreSQL's paths below `var_dir`, which is an absolute path."""

    var_dir: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; its socket is in it as well."""
        return self.var_dir / "postgres"

    @property
    def users_lock(self) -> Path:
        """Held shared by each process that uses the server, exclusively by the keeper that stops it."""
        return self.var_dir / ".postgres-users"

    @property
    def starting_lock(self) -> Path:
        """Held by a process while it starts the server through a keeper."""
        return self.var_dir / ".postgres-starting"

    @property
    def keeper_lock(self) -> Path:
        """Held by the keeper for as long as it lives."""
        return self.var_dir / ".postgres-keeper"

    @property
    def server_lock(self) -> Path:
        """Held by PostgreSQL's own processes, all of which inherit it: free only when the last has ended."""
        return self.var_dir / ".postgres-server"

    @property
    def url(self) -> str:
        """The database's address, for libpq and SQLAlchemy. Raises EmbeddedDatabaseError as `socket_folder` does."""
        return f"postgresql://postgres@/postgres?host={quote(str(socket_folder(self.data)), safe='')}"

    def is_listening(self) -> bool:
        """Whether a server accepts connections on the socket; it may still be starting up."""
        return self.server_pid() is not None

    def server_pid(self) -> int | None:
        """Process id of the listening server, as the kernel gives it (0 if it cannot), or None if none listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_SECONDS)
            try:
                connection.connect(str(socket_folder(self.data) / SOCKET))
            except TimeoutError:  # its queue of connections is full: it is alive
                return 0
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                return None
            if not hasattr(socket, "SO_PEERCRED"):
                return 0
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", credentials)[0])


def socket_folder(data: Path) -> Path:
    """The data directory, or a link to it if its path is too long for a socket address.

    The link is in a folder that belongs to this user alone, named by a hash, so that each process finds or makes the
    same one. Raises EmbeddedDatabaseError if there can be no such folder.
    """
    if len(os.fsencode(data / SOCKET)) <= LONGEST_SOCKET_PATH and "," not in str(data):  # libpq splits hosts at commas
        return data
    link = _private_folder(data) / hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    with suppress(OSError):
        if link.readlink() == data:
            return link
        link.unlink()
    with suppress(FileExistsError):  # another process was faster; its link is the same
        link.symlink_to(data)
    return link


def _private_folder(data: Path) -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # not TMPDIR, which may be below VAR_DIR
    for parent in (Path(runtime) if runtime else None, Path("/tmp")):  # noqa: S108
        if parent is None or len(os.fsencode(parent)) > LONGEST_SOCKET_PATH // 2:
            continue
        folder = parent / f"beiwe-sockets-{os.geteuid()}"
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
                return folder
    raise EmbeddedDatabaseError(
        f"The path of VAR_DIR is too long for a socket, and there is no private folder for a shorter one: {data}. "
        "Set VAR_DIR to a folder with a path of at most 75 bytes"
    )
