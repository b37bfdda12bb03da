"""Daily summaries as programs get them: filters, fields and rows (DATA-60, DATA-61)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core.models import DailyStatistics, ForestDay, ForestTask, Participant, Study
from core.models.daily_statistics import BYTES_OF
from core.models.forest import task_column

PAGE_ROWS = 10_000
ABOUT = ("date", "participant_id", "study_id", "timezone")
TREES = {
    "jasmine": (
        "distance_diameter distance_from_home distance_traveled flight_distance_average flight_distance_stddev "
        "flight_duration_average flight_duration_stddev home_duration gyration_radius significant_location_count "
        "significant_location_entropy pause_time obs_duration obs_day obs_night total_flight_time av_pause_duration "
        "sd_pause_duration"
    ),
    "willow": (
        "incoming_text_count incoming_text_degree incoming_text_length outgoing_text_count outgoing_text_degree "
        "outgoing_text_length incoming_text_reciprocity outgoing_text_reciprocity outgoing_MMS_count "
        "incoming_MMS_count incoming_call_count incoming_call_degree incoming_call_duration outgoing_call_count "
        "outgoing_call_degree outgoing_call_duration missed_call_count missed_callers "
        "uniq_individual_call_or_text_count"
    ),
    "sycamore": (
        "total_surveys total_completed_surveys total_opened_surveys average_time_to_submit average_time_to_open "
        "average_duration"
    ),
    "oak": "walking_time steps cadence",
}
"""The daily measures of Forest's trees, in the order of exports; null until a tree has computed them."""
BYTES = tuple(f"beiwe_{name}" for name in BYTES_OF.values())
MEASURES = tuple(f"{tree}_{name}" for tree, names in TREES.items() for name in names.split())
FIELDS = (*ABOUT, *BYTES, *MEASURES)
ORIGINS = {
    f"{tree}_{name}": (tree, column)
    for tree in TREES
    for name, column in (("task", "external_id"), ("library", "library_version"), ("computed_at", "ended_at"))
}
"""Fields that are given only when they are named: the task that made a tree's part of the day, its library, its end."""
MOST_LIMIT = 18  # digits


class BadFilters(Exception):
    """Filters that cannot be; `sentences` says what is wrong, one for each."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = list(sentences)


@dataclass(frozen=True)
class Filters:
    """Which rows, which fields, in which order. None: without that limit. Dates are inclusive."""

    start: date | None = None
    end: date | None = None
    limit: int | None = None
    ordered_by: str = "date"
    is_descending: bool = True
    patient_ids: tuple[str, ...] | None = None
    fields: tuple[str, ...] = FIELDS


def read_filters(given: Mapping[str, str]) -> Filters:
    """The filters of a query string. All are checked. Raises BadFilters."""
    wrong: list[str] = []
    start, end = (_day(given.get(name, ""), name, wrong) for name in ("start_date", "end_date"))
    limit = _limit(given.get("limit", ""), wrong)
    ordered_by = given.get("ordered_by") or "date"
    if ordered_by not in FIELDS:
        wrong.append(f"ordered_by: {_quoted(ordered_by)} is not one of the fields.")
    direction = given.get("order_direction") or ("descending" if ordered_by == "date" else "ascending")
    if direction not in ("ascending", "descending"):
        wrong.append("order_direction: ascending or descending is expected.")
    fields = listed(given.get("fields", "")) or FIELDS
    known = (*FIELDS, *ORIGINS)
    wrong += [f"fields: {_quoted(name)} is not one of the fields." for name in fields if name not in known]
    if wrong:
        raise BadFilters(wrong)
    patient_ids = listed(given.get("participant_ids", ""))
    chosen = tuple(name for name in known if name in fields)
    return Filters(start, end, limit, ordered_by, direction == "descending", patient_ids or None, chosen)


def statistics_rows(session: Session, study: Study, filters: Filters) -> Iterator[dict[str, Any]]:
    """The rows as objects of the chosen fields (DATA-61), read through a cursor of the database."""
    zone = study.zone
    own, trees = _of_study(DailyStatistics, study, filters), _of_study(ForestDay, study, filters)
    is_same = sa.and_(own.c.participant_id == trees.c.participant_id, own.c.day == trees.c.day)
    day = sa.func.coalesce(own.c.day, trees.c.day)
    columns = {name: own.c[name.removeprefix("beiwe_")] for name in BYTES}
    columns |= {name: trees.c[name.lower()] for name in MEASURES}
    rows: sa.FromClause = own.join(trees, is_same, full=True)
    for tree in dict.fromkeys(ORIGINS[name][0] for name in filters.fields if name in ORIGINS):
        task = aliased(ForestTask)
        rows = rows.outerjoin(task, task.id == trees.c[task_column(tree)])
        columns |= {name: getattr(task, column) for name, (of, column) in ORIGINS.items() if of == tree}
    of_participant = sa.func.coalesce(own.c.participant_id, trees.c.participant_id)
    query = (
        sa.select(
            Participant.patient_id, day.label("day"), *(columns[n].label(n) for n in filters.fields if n in columns)
        )
        .select_from(rows)
        .join(Participant, Participant.id == of_participant)
    )
    if filters.patient_ids is not None:
        query = query.where(Participant.patient_id.in_(filters.patient_ids))
    column = {"date": day, "participant_id": Participant.patient_id, **columns}.get(filters.ordered_by)
    if column is not None:
        query = query.order_by(column.desc().nulls_last() if filters.is_descending else column.asc().nulls_last())
    query = query.order_by(day, Participant.patient_id).limit(filters.limit)
    result = session.execute(query.execution_options(yield_per=PAGE_ROWS))
    for row in result:
        yield {name: _value(name, row, study, zone) for name in filters.fields}


def _of_study(table: type[DailyStatistics | ForestDay], study: Study, filters: Filters) -> sa.Subquery:
    """The study's rows of a table within the dates."""
    query = sa.select(table).where(table.study_id == study.id)
    if filters.start:
        query = query.where(table.day >= filters.start)
    if filters.end:
        query = query.where(table.day <= filters.end)
    return query.subquery()


def _value(name: str, row: Any, study: Study, zone: Any) -> Any:
    if name in BYTES or name in MEASURES:
        return getattr(row, name)
    if name in ORIGINS:
        value = getattr(row, name)
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value and str(value)
    if name == "date":
        return row.day.isoformat()
    if name == "timezone":
        return datetime.combine(row.day, time(12), zone).tzname()
    return {"participant_id": row.patient_id, "study_id": study.object_id}.get(name)


def _day(text: str, name: str, wrong: list[str]) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        wrong.append(f"{name}: YYYY-MM-DD is expected.")
        return None


def _limit(text: str, wrong: list[str]) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > MOST_LIMIT:
        wrong.append("limit: a whole number is expected.")
        return None
    return int(text)


def listed(text: str) -> tuple[str, ...]:
    """The parts of a list with commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _quoted(text: str) -> str:
    return f"“{text[:60]}”"
