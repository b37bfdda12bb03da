"""Daily measures of participants: each day's value, the hours observed, and whether it is imputed (CLAR-82)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.forest.trees import Tree
from core.measures.catalogue import Measure
from core.measures.imputing import is_imputed, observed_hours
from core.models import Chunk, ForestDay, Participant, Study
from core.streams import SPECS, DataStream


@dataclass(frozen=True)
class DayValue:
    """The value of a measure on one day, in the measure's unit; None where the tree gave none.

    `observed_hours`: of jasmine's measures the hours with GPS; of oak's the hours that have accelerometer data; None
    for other trees, and where it is not known.
    """

    value: float | None
    observed_hours: float | None
    is_imputed: bool


Days = Mapping[str, Mapping[date, DayValue]]
"""By the measure's name and the day. A day without a row is not in it."""


def daily_measures(
    session: Session,
    study: Study,
    participants: Sequence[Participant],
    measures: Sequence[Measure],
    first: date,
    last: date,
    *,
    least_hours: float,
) -> dict[int, Days]:
    """The measures from the first day to the last, both included, by the participant's number. One query."""
    columns = [
        column
        for number, measure in enumerate(measures)
        for column in (measure.column().label(f"v{number}"), is_imputed(measure, least_hours).label(f"i{number}"))
    ]
    with_steps = any(measure.tree is Tree.OAK for measure in measures)
    steps_hours = _accelerometer_hours(study) if with_steps else sa.null()
    query = (
        sa.select(
            ForestDay.participant_id,
            ForestDay.day,
            observed_hours().label("gps_hours"),
            steps_hours.label("acceleration_hours"),
            *columns,
        )
        .where(
            ForestDay.study_id == study.id,
            is_one_of(ForestDay.participant_id, [participant.id for participant in participants]),
            ForestDay.day.between(first, last),
        )
        .order_by(ForestDay.day)
    )
    found: dict[int, dict[str, dict[date, DayValue]]] = {
        participant.id: {measure.name: {} for measure in measures} for participant in participants
    }
    for row in session.execute(query):
        hours = {Tree.JASMINE: row.gps_hours, Tree.OAK: row.acceleration_hours}
        for number, measure in enumerate(measures):
            value = getattr(row, f"v{number}")
            found[row.participant_id][measure.name][row.day] = DayValue(
                None if value is None else float(value),
                hours.get(measure.tree),
                value is not None and getattr(row, f"i{number}"),
            )
    return {number: dict(days) for number, days in found.items()}


def _accelerometer_hours(study: Study) -> sa.ColumnElement[float]:
    """How many hours of the day, in the study's zone, have a chunk of accelerometer data."""
    zone = study.timezone_name
    begins = sa.func.timezone(zone, sa.cast(ForestDay.day, sa.DateTime))
    ends = sa.func.timezone(zone, sa.cast(ForestDay.day + 1, sa.DateTime))
    return (
        sa.select(sa.func.count(sa.distinct(Chunk.time_bin)))
        .where(
            Chunk.participant_id == ForestDay.participant_id,
            Chunk.stream == SPECS[DataStream.ACCELEROMETER].number,
            Chunk.time_bin >= begins,
            Chunk.time_bin < ends,
        )
        .correlate(ForestDay)
        .scalar_subquery()
    )
