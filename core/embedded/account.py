"""The account that PostgreSQL runs under, since PostgreSQL refuses to run as root (CLAR-3)."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.embedded.errors import EmbeddedDatabaseError

NAME = "pgserver"


@dataclass(frozen=True)
class Account:
    """An account by user and group id; `environment` is the whole environment of PostgreSQL's programs."""

    uid: int
    gid: int

    @property
    def process_options(self) -> dict[str, Any]:
        """Arguments of subprocess.Popen for programs that run under this account."""
        common = {"umask": 0o077, "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}}
        if os.geteuid() != 0:
            return common
        return common | {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(data: Path) -> Account:
    """This process's own account; for root, the owner of the data, or else `pgserver`, created if missing.

    Raises EmbeddedDatabaseError where it cannot be made.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = _entry() or _make()
    return Account(entry.pw_uid, entry.pw_gid)


def _entry() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _make() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", NAME]
    reason = ""
    try:
        reason = subprocess.run(command, capture_output=True, text=True).stderr.strip()
    except OSError as error:
        reason = str(error)
    if entry := _entry():  # another process may have made it just now
        return entry
    raise EmbeddedDatabaseError(
        f"PostgreSQL does not run as root, and the account {NAME} cannot be made ({reason}): "
        "make it, run as an ordinary user, or set DATABASE_URL"
    )
