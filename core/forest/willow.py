"""Willow: calls and text messages."""

from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs willow over the range. Returns rows and notes."""
    from forest.constants import Frequency
    from forest.willow.log_stats import log_stats_main

    log_stats_main(
        str(job.clean_dir),
        str(job.output_dir),
        job.zone,
        Frequency.DAILY,
        [job.start.year, job.start.month, job.start.day, 0, 0, 0],
        [job.after_end.year, job.after_end.month, job.after_end.day, 0, 0, 0],
        [job.patient_id],
    )
    return daily_rows(job), []
