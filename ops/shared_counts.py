"""Counts of several web server processes as one, through files that each writes and all read (prometheus_client).

A file's space is reserved before it is used; otherwise, on a full disk, the first count would kill the process. Files
of ended processes are added up in one, so that there are never more files than processes.
"""

import fcntl
import os
import shutil
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
ADDED_UP = ("counter", "histogram")
OF_THE_LIVING = ("gauge_liveall",)
ENDED = "ended"
FILE_BYTES = 1 << 17  # several times the space for all counts of a process


def share_counts(folder: Path) -> None:
    """Makes child processes count in files in this folder. Call it before prometheus_client is imported."""
    os.environ[VARIABLE] = str(folder)


def count_alone() -> None:
    """Makes a child process, before it loads the application, count in its memory instead."""
    from prometheus_client import values

    values.ValueClass = values.MutexValue


def start_anew(folder: Path) -> None:
    """Empties the folder when a server starts. Raises OSError if the disk is full."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for kind in ADDED_UP:
        _reserve(_file(folder, kind, ENDED))


def reserve_files(folder: Path, process_id: int) -> None:
    """Reserves the space for a process's counts before it counts anything. Raises OSError if the disk is full."""
    for kind in ADDED_UP + OF_THE_LIVING:
        _reserve(_file(folder, kind, process_id))


def add_up_ended(folder: Path, process_id: int) -> None:
    """Adds the counts of an ended process to the file of all ended ones, under a lock that readers also take.

    Raises OSError, ValueError or RuntimeError if that fails; the process's files then stay and still count.
    """
    from prometheus_client.mmap_dict import MmapedDict

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for kind in ADDED_UP:
            own, ended = _file(folder, kind, process_id), _file(folder, kind, ENDED)
            if own.exists():
                if ended.stat().st_size < FILE_BYTES:
                    raise OSError(f"{ended} has no space")
                values = list(MmapedDict.read_all_values_from_file(str(own)))
                total = MmapedDict(str(ended))
                for key, value, _, _ in values:
                    total.write_value(key, total.read_value(key)[0] + value, 0.0)
                total.close()
                own.unlink()
        for kind in OF_THE_LIVING:
            _file(folder, kind, process_id).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _file(folder: Path, kind: str, owner: int | str) -> Path:
    return folder / f"{kind}_{owner}.db"


def _reserve(file: Path) -> None:
    with file.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, FILE_BYTES)
