"""Files below VAR_DIR are for the account that the server runs under, and for nobody else (CLAR-3)."""

import os
import stat
from pathlib import Path

# Names that the server gives to files and folders of its own below VAR_DIR begin like this.
OURS = (
    ".postgres",
    ".run",
    "postgres",
    "objects",
    "prefect",
    "secret_key",
    "spool",
    "tmp",
    "web_counts",
    "demo",
)


class FolderShared(OSError):
    """A folder that everybody may write to, or that holds other things, cannot be VAR_DIR."""


def make_private_folder(var_dir: Path) -> None:
    """Makes VAR_DIR, and closes it and what is in it to other users; new files of this process are private, too.

    As root VAR_DIR stays passable (0711), since PostgreSQL runs under an account of its own below it; else it is 0700.
    The folders above are made where missing, and otherwise left as they are. Raises OSError.
    """
    os.umask(0o077)
    var_dir.mkdir(parents=True, exist_ok=True)
    own = os.geteuid()
    found = var_dir.stat()
    if found.st_mode & stat.S_ISVTX:
        raise FolderShared(0, "it is a folder that all users share; VAR_DIR must be a folder of its own", str(var_dir))
    names = [entry.name for entry in var_dir.iterdir()]
    if names and not any(name.startswith(OURS) for name in names):
        raise FolderShared(0, "it holds other things; VAR_DIR must be a folder of its own", str(var_dir))
    _set_mode(var_dir, found, 0o711 if own == 0 else 0o700)
    with os.scandir(var_dir) as entries:
        for entry in entries:
            if not entry.is_symlink():
                found = entry.stat(follow_symlinks=False)
                _set_mode(Path(entry.path), found, stat.S_IMODE(found.st_mode) & ~0o077)


def _set_mode(path: Path, found: os.stat_result, mode: int) -> None:
    if os.geteuid() in (0, found.st_uid) and stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)
