"""Willow: calls and text messages."""

from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs willow over the range. Returns rows and notes."""
    from forest.constants import Frequency
    from forest.willow import log_stats

    folder, output = str(job.clean_dir), str(job.output_dir)
    start = [job.start.year, job.start.month, job.start.day, 0, 0, 0]
    end = [job.after_end.year, job.after_end.month, job.after_end.day, 0, 0, 0]
    texts, *of_texts = log_stats.read_data(job.patient_id, folder, "texts", job.zone, start, end)
    calls, *of_calls = log_stats.read_data(job.patient_id, folder, "calls", job.zone, start, end)
    if len(texts) and len(calls):
        log_stats.log_stats_main(folder, output, job.zone, Frequency.DAILY, start, end, [job.patient_id])
    elif len(texts) or len(calls):
        # iPhones record no texts. The library computes such a table, and then fails in a check of its own numbers.
        first, last = min(of_texts[0], of_calls[0]), max(of_texts[1], of_calls[1])
        table = log_stats.comm_logs_summaries(texts, calls, first, last, job.zone, Frequency.DAILY)
        log_stats.write_all_summaries(job.patient_id, table, str(job.output_dir / "daily"))
    return daily_rows(job), []
