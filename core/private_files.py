"""Makes files below VAR_DIR private to the account that the server runs under (CLAR-3)."""

import os
import stat
from pathlib import Path

# Prefixes of the server's own files and folders below VAR_DIR.
OURS = (
    ".postgres",
    ".run",
    "postgres",
    "forest",
    "objects",
    "prefect",
    "push_answers",
    "secret_key",
    "spool",
    "tmp",
    "web_counts",
    "demo",
)


class FolderShared(OSError):
    """VAR_DIR cannot be a folder that everybody may write to, or one that holds other files."""


def make_private_folder(var_dir: Path) -> None:
    """Creates VAR_DIR and removes other users' access to it and its contents; new files of this process are private.

    As root, VAR_DIR gets mode 0711, since PostgreSQL runs below it under an account of its own; otherwise mode 0700.
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
