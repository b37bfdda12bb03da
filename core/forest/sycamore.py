"""Sycamore: how surveys were answered."""

from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row, TreeFailed


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs sycamore over the range, with the study's settings export. Returns rows and notes."""
    from forest.constants import Frequency
    from forest.sycamore.base import get_submits_for_tableau

    if job.settings_file is None:
        raise TreeFailed("sycamore needs the study's settings file.")
    get_submits_for_tableau(
        str(job.clean_dir),
        str(job.output_dir),
        str(job.settings_file),
        job.zone,
        job.start.isoformat(),
        job.after_end.isoformat(),
        [job.patient_id],
        interventions_filepath=str(job.interventions_file) if job.interventions_file else None,
        submits_timeframe=Frequency.DAILY,
    )
    return daily_rows(job), []
