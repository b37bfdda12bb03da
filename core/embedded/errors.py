"""What can go wrong with the embedded PostgreSQL."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmbeddedDatabaseError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one line that says why and what to do."""


class ServerHasEnded(EmbeddedDatabaseError):
    """The server ended while it was waited for."""


@contextmanager
def files_explained(var_dir: Path) -> Iterator[None]:
    """Raises EmbeddedDatabaseError in place of OSError from files below VAR_DIR."""
    try:
        yield
    except PermissionError as error:
        raise EmbeddedDatabaseError(
            f"VAR_DIR {var_dir} belongs to another user ({error.filename}: {error.strerror}); "
            "run as its owner, or set VAR_DIR to a folder of your own"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(var_dir) from error
        raise EmbeddedDatabaseError(f"VAR_DIR {var_dir} cannot be used: {error.strerror} ({error.filename})") from error


def disk_full(var_dir: Path) -> EmbeddedDatabaseError:
    """The error for a disk without space."""
    return EmbeddedDatabaseError(
        f"The disk of VAR_DIR {var_dir} is full: the embedded PostgreSQL cannot start. "
        "Make space there, or set VAR_DIR to a folder on another disk"
    )
