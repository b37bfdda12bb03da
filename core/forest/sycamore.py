"""Sycamore: how surveys were answered."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row, TreeFailed

DAYS_OF_A_WEEK = 7


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs sycamore over the range, with the study's settings export. Returns rows and notes."""
    from forest.constants import Frequency
    from forest.sycamore.base import get_submits_for_tableau

    if job.settings_file is None:
        raise TreeFailed("sycamore needs the study's settings file.")
    settings, begin = job.settings_file, job.start.isoformat()
    if job.is_corrected:
        settings = _without_weeks(job, settings)
        # The library leaves out what is at the begin itself: the chunk of the first hour, and surveys sent at midnight.
        begin = f"{job.start - timedelta(days=1)} 23:59:59"
    get_submits_for_tableau(
        str(job.clean_dir),
        str(job.output_dir),
        str(settings),
        job.zone,
        begin,
        job.after_end.isoformat(),
        [job.patient_id],
        interventions_filepath=str(job.interventions_file) if job.interventions_file else None,
        submits_timeframe=Frequency.DAILY,
    )
    return daily_rows(job), []


def _without_weeks(job: Job, settings: Path) -> Path:
    exported = json.loads(settings.read_text())
    for survey in exported["surveys"]:
        survey |= without_weeks(survey, job)
    file = job.folder / "settings_of_days.json"
    file.write_text(json.dumps(exported))
    return file


def without_weeks(survey: dict[str, Any], job: Job) -> dict[str, Any]:
    """A survey's weekly timings as absolute ones, of the range and the week around it.

    The library takes weeks from the range's first day, in whole ones: a range of three days across a Sunday has one
    week for it, so that its Monday is lost; and it mixes up days with equally many times.
    """
    weekly = survey.get("timings") or []
    if not any(weekly):
        return {"timings": []}
    first = job.start - timedelta(days=DAYS_OF_A_WEEK)
    days = (first + timedelta(days=i) for i in range(len(job.days) + 2 * DAYS_OF_A_WEEK))
    moments = [
        [day.year, day.month, day.day, second] for day in days for second in weekly[day.isoweekday() % DAYS_OF_A_WEEK]
    ]
    return {"timings": [], "absolute_timings": [*(survey.get("absolute_timings") or []), *moments]}
