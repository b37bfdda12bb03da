"""Willow: calls and text messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from core.forest.daily import daily_rows
from core.forest.job import Job, LeftOut, Row
from core.forest.trees import PHONE_NUMBER


def run(job: Job, left_out: list[LeftOut]) -> tuple[list[Row], list[str]]:
    """Runs willow over the range. Returns rows and notes.

    The library takes every day as 24 hours: after a change of clocks its days would begin an hour off, and a day of 25
    hours would come twice. It also fails without calls, or without texts, which iPhones do not record. So each day's
    rows are given to it alone, with their times within a day of 24 hours; its measures do not depend on when in a day
    something was.
    """
    from forest.constants import Frequency
    from forest.poplar.legacy import common_funcs as library
    from forest.willow.log_stats import log_stats_main

    folder = str(job.clean_dir)
    start, end = _parts(job.start), _parts(job.after_end)
    with _phone_numbers_as_text(library):
        texts, *of_texts = library.read_data(job.patient_id, folder, "texts", job.zone, start, end)
        calls, *of_calls = library.read_data(job.patient_id, folder, "calls", job.zone, start, end)
        if not len(texts) and not len(calls):
            return [], []
        if len(texts) and len(calls) and not job.is_corrected:
            log_stats_main(folder, str(job.output_dir), job.zone, Frequency.DAILY, start, end, [job.patient_id])
            return daily_rows(job), []
    import pandas as pd

    first, last = (_day(stamp, job.zone) for stamp in (min(of_texts[0], of_calls[0]), max(of_texts[1], of_calls[1])))
    last = min(last, job.end)
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    table = pd.concat([_of_day(texts, calls, day, job.zone) for day in days])
    library.write_all_summaries(job.patient_id, table, str(job.output_dir / "daily"))
    return daily_rows(job), []


@contextmanager
def _phone_numbers_as_text(library: Any) -> Iterator[None]:
    """Within it, the library reads a hashed phone number that looks like a number as the text that it is.

    It fails when some are text and others numbers.
    """
    pandas = library.pd
    library.pd = _Pandas(pandas)
    try:
        yield
    finally:
        library.pd = pandas


class _Pandas:
    """Pandas, but for `read_csv`."""

    def __init__(self, pandas: Any) -> None:
        self._pandas = pandas

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pandas, name)

    def read_csv(self, *given: Any, **named: Any) -> Any:
        return self._pandas.read_csv(*given, **named, dtype={PHONE_NUMBER: str})


def _of_day(texts: Any, calls: Any, day: date, zone: str) -> Any:
    """The library's row of one day."""
    from forest.constants import Frequency
    from forest.poplar.legacy.common_funcs import datetime2stamp
    from forest.willow.log_stats import comm_logs_summaries

    begin, end = (datetime2stamp(_parts(at), zone) for at in (day, day + timedelta(days=1)))
    texts, calls = (_within(table, begin, end) for table in (texts, calls))
    has_calls = len(calls) > 0
    if not has_calls:  # texts alone make the library fail; it gets one call of another day, which counts nowhere
        calls = _within(_one_call(), begin, end)
    row = comm_logs_summaries(texts, calls, begin, begin, zone, Frequency.DAILY)
    if not has_calls:
        row[[name for name in row.columns if name.endswith(("_call", "_caller"))]] = None
    return row


def _within(table: Any, begin: int, end: int) -> Any:
    """The table with times (ms) of the day at its begin, and all others before it."""
    if not len(table):
        return table
    is_of_day = (table["timestamp"] >= begin * 1000) & (table["timestamp"] < end * 1000)
    return table.assign(timestamp=is_of_day.map({True: begin * 1000, False: -1}))


def _one_call() -> Any:
    import pandas as pd

    call = {"timestamp": [-1], PHONE_NUMBER: ["-"], "call type": ["-"], "duration in seconds": [0.0]}
    return pd.DataFrame(call)


def _day(stamp: float, zone: str) -> date:
    from forest.poplar.legacy.common_funcs import stamp2datetime

    return date(*stamp2datetime(stamp, zone)[:3])


def _parts(day: date) -> list[int]:
    return [day.year, day.month, day.day, 0, 0, 0]
