"""What processing did for each study, by hour: what a study's team sees instead of Prefect's runs (CLAR-1)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import ProcessedHour
from core.processing.report import ProcessingReport


def record_hour(session: Session, study_id: int, report: ProcessingReport, now: datetime) -> None:
    """Adds a batch's counts to the row of its hour, as the last statement before the caller's commit.

    Workers of one study then wait for each other's commit alone, and never for anything that comes after.
    """
    counts = {
        "files": report.files - len(report.failures),
        "size_bytes": report.size_bytes,
        "rows_kept": report.rows_kept,
        "rows_dropped": report.rows_dropped.total(),
        "failures": len(report.failures),
    }
    row = insert(ProcessedHour).values(
        study_id=study_id, hour=now.replace(minute=0, second=0, microsecond=0), last_at=now, **counts
    )
    table = ProcessedHour.__table__
    sums: dict[str, sa.ColumnElement[int]] = {name: table.c[name] + row.excluded[name] for name in counts}
    session.execute(
        row.on_conflict_do_update(index_elements=["study_id", "hour"], set_={**sums, "last_at": row.excluded.last_at})
    )
