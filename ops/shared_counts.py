"""Counts of several web server processes as one: files that each writes and all read (prometheus_client's way).

A file is given its space before it is written to: on a full disk a process would be killed by the first count
otherwise. Files of processes that have ended are added up in one, so that there are never more than processes.
"""

import fcntl
import os
import shutil
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
ADDED_UP = ("counter", "histogram")
OF_THE_LIVING = ("gauge_liveall",)
ENDED = "ended"
FILE_BYTES = 1 << 17  # several times what all counts of a process need


def share_counts(folder: Path) -> None:
    """Makes children count in files there; prometheus_client looks once, so it must not be imported yet."""
    os.environ[VARIABLE] = str(folder)


def count_alone() -> None:
    """Takes that back in a child whose application is not loaded yet: it counts in its memory."""
    from prometheus_client import values

    values.ValueClass = values.MutexValue


def start_anew(folder: Path) -> None:
    """An empty folder, for a server that starts. Raises OSError where there is no space."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for kind in ADDED_UP:
        _reserve(_file(folder, kind, ENDED))


def reserve_files(folder: Path, process_id: int) -> None:
    """Space for a process's counts, before it counts anything. Raises OSError where there is none."""
    for kind in ADDED_UP + OF_THE_LIVING:
        _reserve(_file(folder, kind, process_id))


def add_up_ended(folder: Path, process_id: int) -> None:
    """Adds the counts of a process that has ended to those of all that have. Nobody reads meanwhile.

    Raises OSError, ValueError or RuntimeError where that cannot be done; its files stay then, and count on.
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
