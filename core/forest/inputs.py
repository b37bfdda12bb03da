"""A tree's input folder (FOREST-1): which chunks the tree can read. Runs in the tree's process: it uses pandas."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from core.forest.job import Job, LeftOut, NoData
from core.forest.trees import FILLED, NUMBERS, OPTIONS, OTHERS, PHONE_NUMBER, STREAMS, Numbers
from core.streams import DataStream

DAY_S = 86_400
RADIO_BUTTONS = ("radio_button", "Radio Button Question")  # of iPhones, of Android phones


def clean_input(job: Job) -> list[LeftOut]:
    """Links the readable chunks of the tree's streams into `job.clean_dir`, and returns the others with the reason.

    A chunk that the library cannot use would end the whole run, or the day would be lost without a word.
    Raises NoData if there is no chunk at all.
    """
    left_out = []
    found = 0
    for stream in STREAMS[job.tree]:
        folder = job.input_dir / job.patient_id / stream
        for file in _chunks_below(folder):
            found += 1
            name = file.relative_to(job.input_dir)
            contents = file.read_bytes()
            as_csv = contents if stream is DataStream.SURVEY_ANSWERS else _as_csv(contents)
            reason = _why_unreadable(as_csv, file.name, stream)
            if reason is not None:
                left_out.append(LeftOut(str(name), reason))
                continue
            link = job.clean_dir / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if as_csv == contents:
                link.symlink_to(file.resolve())
            else:
                link.write_bytes(as_csv)
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


def _why_unreadable(contents: bytes, name: str, stream: DataStream) -> str | None:
    """Why the tree cannot use the chunk, as pandas reads it in the library; None for a good one."""
    import pandas as pd

    hour = _hour_of(name)
    if hour is None:
        return "Its name does not begin with a time."
    try:
        table = pd.read_csv(BytesIO(contents), dtype={PHONE_NUMBER: str})
    except pd.errors.EmptyDataError:
        return "It is empty."
    except pd.errors.ParserError as error:
        return f"Its rows do not fit its header: {str(error).strip().removeprefix('Error tokenizing data. ')}."
    except UnicodeDecodeError:
        return "It is not UTF-8."
    if not isinstance(table.index, pd.RangeIndex):
        return "Its rows have more fields than its header."
    numbers, filled = NUMBERS[stream], FILLED.get(stream, ())
    needed = [*(column.name for column in numbers), *filled, *OTHERS.get(stream, ())]
    if missing := [column for column in needed if column not in table.columns]:
        return f"It has no column {', '.join(missing)}."
    if not len(table):
        return None
    if texts := [column.name for column in numbers if not pd.api.types.is_numeric_dtype(table[column.name])]:
        return f"There is text in the column {', '.join(texts)}."
    if bad := [column.name for column in numbers if not _is_within(table[column.name], column)]:
        return f"There are empty or impossible numbers in the column {', '.join(bad)}."
    if empty := [column for column in filled if table[column].isna().any()]:
        return f"There are empty fields in the column {', '.join(empty)}."
    return _why_unlike(table, hour, stream)


def _hour_of(name: str) -> datetime | None:
    try:
        return datetime.strptime(name[:19], "%Y-%m-%d %H_%M_%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_within(values: Any, column: Numbers) -> bool:
    is_good = (values >= column.least) & (values <= column.most)
    if column.may_be_empty:
        is_good |= values.isna()
    return bool(is_good.all())


def _why_unlike(table: Any, hour: datetime, stream: DataStream) -> str | None:
    """What only some streams must have."""
    if stream is DataStream.GPS and not (abs(table["timestamp"] / 1000 - hour.timestamp()) < DAY_S).all():
        return "There are times of other days in the column timestamp."  # jasmine would fill in the years between
    if stream is DataStream.TEXTS and not _are_lengths(table["message length"]):
        return "There are fields that are no whole numbers in the column message length."
    if stream is DataStream.SURVEY_TIMINGS and not _are_times(table["UTC time"]):
        return "There are fields that are no times in the column UTC time."
    if OPTIONS in table.columns and table.loc[table["question type"].isin(RADIO_BUTTONS), OPTIONS].isna().any():
        return f"There are questions with choices, but none in the column {OPTIONS}."
    return None


def _are_lengths(values: Any) -> bool:
    """Whether these are lengths of messages: whole numbers, the word MMS, or nothing."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return _is_within(values, Numbers("message length", may_be_empty=True))
    return bool((values.isna() | values.astype(str).str.fullmatch(r"MMS|-?[0-9]{1,18}")).all())


def _are_times(values: Any) -> bool:
    try:
        values.astype("datetime64[ns]")
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _as_csv(contents: bytes) -> bytes:
    """A chunk as CSV; as it is if it is that already, or if in doubt.

    Rows of chunks are split at every comma (PROC-11), and a quotation mark is a character like others. In CSV one at
    the beginning of a field joins all that follows, up to the next: an answer that begins with one swallows lines.
    """
    if b'"' not in contents:
        return contents
    rows = [line.split(b",") for line in contents.splitlines() if line]
    if _rows_as_read(contents) == len(rows) - 1 or any(len(row) != len(rows[0]) for row in rows):
        return contents
    quoted = ([b'"' + field.replace(b'"', b'""') + b'"' if b'"' in field else field for field in row] for row in rows)
    return b"\n".join(b",".join(row) for row in quoted)


def _rows_as_read(contents: bytes) -> int | None:
    """How many rows pandas reads; None if it cannot."""
    import pandas as pd

    try:
        return len(pd.read_csv(BytesIO(contents), dtype=str))
    except ValueError:  # the parser's errors, too
        return None
