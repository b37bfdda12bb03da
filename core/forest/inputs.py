"""A tree's input folder (FOREST-1): which chunks the tree can read. Runs in the tree's process: it uses pandas."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from core.forest.job import Job, LeftOut, NoData
from core.forest.trees import NUMBERS, STREAMS
from core.streams import DataStream


def clean_input(job: Job) -> list[LeftOut]:
    """Links the readable chunks of the tree's streams into `job.clean_dir`, and returns the others with the reason.

    A chunk that the library cannot parse would end the whole run, or the day would be lost without a word.
    Raises NoData if there is no chunk at all.
    """
    left_out = []
    found = 0
    for stream in STREAMS[job.tree]:
        folder = job.input_dir / job.patient_id / stream
        for file in _chunks_below(folder):
            found += 1
            name = file.relative_to(job.input_dir)
            reason = _why_unreadable(file, stream)
            if reason is not None:
                left_out.append(LeftOut(str(name), reason))
                continue
            link = job.clean_dir / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
    if found == 0:
        raise NoData
    if job.has_later_data:
        _tell_of_later_data(job)
    return left_out


def _tell_of_later_data(job: Job) -> None:
    """Adds an empty stream whose one hour is after the range: the library takes the newest name of all streams."""
    end = datetime.combine(job.after_end, time(), ZoneInfo(job.zone)).astimezone(UTC)
    folder = job.clean_dir / job.patient_id / "later"
    folder.mkdir(parents=True)
    (folder / f"{end + timedelta(hours=1):%Y-%m-%d %H}_00_00+00_00.csv").touch()


def _chunks_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".csv") and not name.startswith("."))


def _why_unreadable(file: Path, stream: DataStream) -> str | None:
    """Why pandas, as the library uses it, cannot read the chunk; None for a good one."""
    import pandas as pd

    try:
        table = pd.read_csv(file)
    except pd.errors.EmptyDataError:
        return "It is empty."
    except pd.errors.ParserError as error:
        return f"Its rows do not fit its header: {str(error).strip().removeprefix('Error tokenizing data. ')}."
    except UnicodeDecodeError:
        return "It is not UTF-8."
    if not isinstance(table.index, pd.RangeIndex):
        return "Its rows have more fields than its header."
    missing = [name for name in NUMBERS[stream] if name not in table.columns]
    if missing:
        return f"It has no column {', '.join(missing)}."
    texts = [name for name in NUMBERS[stream] if not pd.api.types.is_numeric_dtype(table[name])]
    return f"There is text in the column {', '.join(texts)}." if len(table) and texts else None
