"""Oak: walking and steps from the accelerometer, a day at a time."""

import csv
import multiprocessing
import traceback
from dataclasses import replace
from datetime import UTC, date, datetime, time
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

from core.forest.confinement import end_with_parent
from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row, TreeFailed
from core.forest.spectrum import use_less_memory

HEADER = ("date", "walking_time", "steps", "cadence")


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs oak on each day in a process of its own, and writes one CSV. Returns rows and notes.

    The library works day by day too, but its memory grows from day to day; a day's process gives all of it back.
    Days without data have nulls, as in a run over the whole range.
    """
    from forest.oak import base  # imported once, before the days' processes are forked

    use_less_memory(base)
    if not (job.clean_dir / job.patient_id / "accelerometer").is_dir():
        return [], []
    rows = []
    with_data = days_with_data(job)
    for day in job.days:
        if day in with_data:
            rows += _in_a_process(replace(job, start=day, end=day))
    if not rows:
        return [], []
    done = {row["date"]: row for row in rows}
    nulls = dict.fromkeys(rows[0])
    rows = [done.get(day.isoformat(), {**nulls, "date": day.isoformat()}) for day in job.days]
    _write_csv(job.output_dir / "daily" / f"{job.patient_id}.csv", rows)
    return rows, []


def days_with_data(job: Job) -> set[date]:
    """The days, in the job's zone, on which there is a chunk."""
    folder, zone = job.clean_dir / job.patient_id / "accelerometer", ZoneInfo(job.zone)
    hours = (datetime.strptime(file.name[:19], "%Y-%m-%d %H_%M_%S") for file in folder.iterdir())
    return {hour.replace(tzinfo=UTC).astimezone(zone).date() for hour in hours}


def run_one_day(job: Job) -> list[Row]:
    """Runs the library on one day, in this process."""
    from forest.constants import Frequency
    from forest.oak import base

    # The library takes the time as UTC, and goes back to the midnight of that day in the zone by whole hours, so that a
    # zone of half hours needs a time that its chunks have too: a full hour of UTC.
    noon = datetime.combine(job.start, time(12), ZoneInfo(job.zone)).astimezone(UTC).replace(minute=0)
    moment = noon.strftime("%Y-%m-%d %H_%M_%S")
    base.run(str(job.clean_dir), str(job.output_dir), job.zone, Frequency.DAILY, moment, moment, [job.patient_id])
    return daily_rows(job)


def _in_a_process(job: Job) -> list[Row]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_day, args=(job, theirs))
    process.start()
    theirs.close()
    try:
        rows, error, trace = ours.recv()
    except EOFError:
        rows, error, trace = [], "", None
    process.join()
    if process.exitcode:
        raise TreeFailed(f"oak's process of {job.start} ended with {process.exitcode}; memory may have run out.")
    if error == "MemoryError":
        raise MemoryError
    if error:
        raise TreeFailed(f"{job.start}: {error}", trace)
    result: list[Row] = rows
    return result


def _day(job: Job, answer: Connection) -> None:
    end_with_parent()
    try:
        answer.send((run_one_day(job), None, None))
    except MemoryError:
        answer.send(([], "MemoryError", None))
    except Exception as error:
        answer.send(([], f"{type(error).__name__}: {error}", traceback.format_exc()))


def _write_csv(file: Path, rows: list[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(HEADER)
        writer.writerows([row["date"], *(row[f"oak_{name}"] for name in HEADER[1:])] for row in rows)
