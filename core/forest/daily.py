"""The library's daily CSV as rows with our field names (FOREST-4, FOREST-40, FOREST-41)."""

import csv
import math
from collections.abc import Mapping, Sequence
from datetime import date

from core.forest.job import Job, Row, TreeFailed
from core.forest.trees import MEASURES, Measure, Tree

DATE_COLUMNS = frozenset({"date", "year", "month", "day"})


def daily_rows(job: Job) -> list[Row]:
    """The rows of the days in the job's range, by date; none where the tree wrote nothing.

    Raises TreeFailed for a column that is neither a measure nor part of the date, or a value that is not a number.
    """
    file = job.output_dir / "daily" / f"{job.patient_id}.csv"
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        table = csv.DictReader(lines)
        check_columns(job.tree, table.fieldnames or [])
        rows = {}
        for raw in table:
            day = _day_of(raw)
            if job.start <= day <= job.end:
                rows[day] = {
                    "date": day.isoformat(),
                    **{m.field: _number(raw.get(m.column), m) for m in MEASURES[job.tree]},
                }
    return [rows[day] for day in sorted(rows)]


def check_columns(tree: Tree, columns: Sequence[str]) -> None:
    """Raises TreeFailed naming the columns that are neither measures of the tree nor of the date."""
    known = DATE_COLUMNS | {measure.column for measure in MEASURES[tree]}
    if unknown := [name for name in columns if name not in known]:
        raise TreeFailed(f"{tree} wrote columns that are not known here: {', '.join(unknown)}.")


def _day_of(raw: Mapping[str, str]) -> date:
    try:
        if raw.get("date"):
            return date.fromisoformat(raw["date"][:10])
        return date(*(int(float(raw[part])) for part in ("year", "month", "day")))
    except (KeyError, ValueError, TypeError):
        raise TreeFailed("The tree wrote a row without a date.") from None


def _number(text: str | None, measure: Measure) -> float | int | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise TreeFailed(f"The tree wrote “{text[:40]}” as {measure.column}, which is not a number.") from None
    if not math.isfinite(value):
        return None
    return round(value) if measure.is_count else value
