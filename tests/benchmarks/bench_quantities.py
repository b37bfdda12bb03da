"""The dashboard and the lists of the data API: `python -m tests.benchmarks.bench_quantities`.

Prints JSON lines: milliseconds of the tables of data quantities for 1,000 participants × 30 days (PORTAL-226), in bytes
and with hours; and for lists of the data API seconds, rows in a second and growth of memory: an upload history of
1,000,000 rows and the participants' table of 100,000 (LIST_ROWS and TABLE_ROWS for other numbers).
"""

import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.downloads.histories import UPLOADS, history_rows
from core.models import Participant, Study, UploadRecord
from core.models.daily_statistics import BYTES_OF
from core.participants.table_file import all_of_study, table_of
from core.quantities.days import shown_days
from core.quantities.hours import add_participant_hours, add_stream_hours, add_study_hours
from core.quantities.tables import StreamQuery, days_with_data, participant_table, stream_table, study_table
from core.streams import SPECS, DataStream
from core.studies import create_study
from tests.benchmarks.bench_portal import ACTIVITY, PARTICIPANTS
from tests.benchmarks.measure import growth_mb, report
from tests.benchmarks.serving import migrated

PEOPLE, DAYS, ROUNDS = 1_000, 30, 5
LAST = date(2024, 3, 30)
HOURLY = (DataStream.GPS, DataStream.ACCELEROMETER, DataStream.WIFI)


def main() -> None:
    """Runs the benchmark."""
    with migrated():
        study = create_study(db.session(), "Study of 1,000", actor=SERVER)
        db.session.flush()
        add_people(study, PEOPLE, "q")
        fill_days(study)
        quantities(study)
        fill_hours(study)
        hours(study)
        long_history(study, int(os.environ.get("LIST_ROWS", "1000000")))
        large = create_study(db.session(), "Study of 100,000", actor=SERVER)
        db.session.flush()
        add_people(large, int(os.environ.get("TABLE_ROWS", "100000")), "t")
        long_table(large)


def add_people(study: Study, count: int, letter: str) -> None:
    """Participants, quickly; their ids begin with the letter."""
    db.session.execute(sa.text(PARTICIPANTS), {"study": study.id, "letter": letter, "count": count})
    db.session.execute(sa.text(ACTIVITY), {"study": study.id})
    db.session.commit()


def fill_days(study: Study) -> None:
    """All streams of every participant on thirty days."""
    names = ", ".join(BYTES_OF.values())
    sizes = ", ".join(f"(random() * 1e7)::bigint AS {name}" for name in BYTES_OF.values())
    db.session.execute(
        sa.text(
            f"INSERT INTO daily_statistics (participant_id, study_id, day, {names})"  # noqa: S608  our own names
            f" SELECT id, study_id, :last - n, {sizes} FROM participants, generate_series(0, {DAYS - 1}) AS n"
            " WHERE study_id = :study"
        ),
        {"study": study.id, "last": LAST},
    )
    db.session.commit()
    db.session.execute(sa.text("ANALYZE"))
    db.session.commit()


def fill_hours(study: Study) -> None:
    """Three streams of every participant in each hour of thirty days: 2,160,000 chunks."""
    db.session.execute(
        sa.text(
            "INSERT INTO chunks (participant_id, study_id, stream, time_bin, size_bytes, md5)"
            " SELECT p.id, p.study_id, stream, CAST(:first AS timestamptz) + n * interval '1 hour', 9000, :md5"
            " FROM participants AS p, unnest(CAST(:streams AS int[])) AS stream, generate_series(0, :last) AS n"
            " WHERE p.study_id = :study"
        ),
        {
            "study": study.id,
            "md5": b"m" * 16,
            "last": 24 * DAYS - 1,
            "first": datetime.combine(LAST - timedelta(days=DAYS - 1), datetime.min.time(), study.zone),
            "streams": [SPECS[stream].number for stream in HOURLY],
        },
    )
    db.session.commit()
    db.session.execute(sa.text("ANALYZE"))
    db.session.commit()


def hours(study: Study) -> None:
    """With hours, in 30 days: a stream of a page's 100 participants, a participant, the study."""
    session = db.session()
    first = LAST - timedelta(days=DAYS - 1)
    month = shown_days(first, LAST, first, LAST)
    person = session.scalars(sa.select(Participant).limit(1)).one()
    page = stream_table(session, study, DataStream.GPS, month, StreamQuery()).rows
    everybody = stream_table(session, study, DataStream.GPS, month, StreamQuery(page=None)).rows
    streams, totals = participant_table(session, person, month), study_table(session, study, month)
    assert {hour for row in add_stream_hours(session, study, DataStream.GPS, month, page) for hour in row.hours} == {
        23,
        24,
    }
    report(
        "hours with data",
        stream_page_ms=best_ms(lambda: add_stream_hours(session, study, DataStream.GPS, month, page)),
        stream_all_ms=best_ms(lambda: add_stream_hours(session, study, DataStream.GPS, month, everybody)),
        participant_ms=best_ms(lambda: add_participant_hours(session, study, person, month, streams)),
        study_ms=best_ms(lambda: add_study_hours(session, study, month, totals)),
    )


def quantities(study: Study) -> None:
    """The three tables, as their pages read them."""
    session = db.session()
    days = shown_days(LAST - timedelta(days=DAYS - 1), LAST, LAST - timedelta(days=DAYS - 1), LAST)
    person = session.scalars(sa.select(Participant).limit(1)).one()
    everybody = stream_table(session, study, DataStream.GPS, days, StreamQuery(page=None))
    assert (len(everybody.rows), len(everybody.rows[0].cells)) == (PEOPLE, DAYS)
    report(
        "data quantities of 1,000 participants x 30 days",
        days_with_data_ms=best_ms(lambda: days_with_data(session, study, stream=DataStream.GPS)),
        stream_all_ms=best_ms(lambda: stream_table(session, study, DataStream.GPS, days, StreamQuery(page=None))),
        stream_page_ms=best_ms(lambda: stream_table(session, study, DataStream.GPS, days, StreamQuery())),
        study_ms=best_ms(lambda: study_table(session, study, days)),
        participant_ms=best_ms(lambda: participant_table(session, person, days)),
    )


def long_history(study: Study, count: int) -> None:
    """One participant's uploads, as the data API streams them."""
    session = db.session()
    person = session.scalars(sa.select(Participant).limit(1)).one()
    db.session.execute(
        sa.text(
            "INSERT INTO upload_log (participant_id, path, size_bytes, received_at)"
            " SELECT :person, 'x/y/gps/' || n || '.csv', 1000, timestamptz '2024-01-01' + n * interval '1 second'"
            " FROM generate_series(1, :count) AS n"
        ),
        {"person": person.id, "count": count},
    )
    db.session.commit()
    assert UPLOADS.table is UploadRecord
    _report_rows("upload history", lambda: history_rows(session, UPLOADS, person), count)


def long_table(study: Study) -> None:
    """The participants' table, whole."""
    session = db.session()
    of_study = Participant.study_id == study.id
    count = session.scalar(sa.select(sa.func.count()).select_from(Participant).where(of_study)) or 0
    _report_rows(
        "participants' table",
        lambda: table_of(session, study, all_of_study(session, study), datetime.now(UTC))[1],
        count,
    )


def _report_rows(name: str, rows: Callable[[], Iterable[Any]], count: int) -> None:
    began = time.perf_counter()
    found: list[int] = []
    growth = growth_mb(lambda: found.append(sum(1 for _ in rows())))
    seconds = time.perf_counter() - began
    assert found == [count], (found, count)
    report(name, rows=count, seconds=seconds, rows_per_s=count / seconds, memory_mb=growth)


def best_ms(question: Callable[[], object]) -> float:
    """The shortest of some runs, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        question()
        db.session.commit()
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
