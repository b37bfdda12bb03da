"""Daily measures of a study: medians and quartiles over its participants, and whose there are (CLAR-82)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.measures.catalogue import MEASURES, Measure
from core.measures.imputing import is_imputed
from core.models import ForestDay, Participant, Study

QUARTILES = (0.25, 0.5, 0.75)
_ANY_MOBILITY = next(measure for measure in MEASURES.values() if measure.is_filled_in)


@dataclass(frozen=True)
class StudyDay:
    """A measure over the participants on one day. `counted` values are observed; `imputed` ones are left out.

    Without an observed value the three figures are None.
    """

    day: date
    lower: float | None
    median: float | None
    upper: float | None
    counted: int
    imputed: int


def study_measures(
    session: Session,
    study: Study,
    measures: Sequence[Measure],
    first: date,
    last: date,
    *,
    least_hours: float,
    with_test: bool = False,
) -> dict[str, list[StudyDay]]:
    """Median and quartiles by day, by the measure's name; days with neither kind of value are left out. One query."""
    columns: list[sa.Label[Any]] = []
    for number, measure in enumerate(measures):
        value, imputed = measure.column(), is_imputed(measure, least_hours)
        observed = sa.case((imputed, sa.null()), else_=sa.cast(value, sa.Float))
        quartiles = sa.func.percentile_cont(sa.cast(list(QUARTILES), ARRAY(sa.Float))).within_group(observed)
        columns += [
            quartiles.label(f"q{number}"),
            sa.func.count(observed).label(f"n{number}"),
            sa.func.count(value).label(f"a{number}"),
        ]
    query = _rows_of(study, first, last, sa.select(ForestDay.day, *columns), with_test=with_test)
    found: dict[str, list[StudyDay]] = {measure.name: [] for measure in measures}
    for row in session.execute(query.group_by(ForestDay.day).order_by(ForestDay.day)):
        for number, measure in enumerate(measures):
            counted, given = getattr(row, f"n{number}"), getattr(row, f"a{number}")
            if given:
                lower, median, upper = getattr(row, f"q{number}") or (None, None, None)
                found[measure.name].append(StudyDay(row.day, lower, median, upper, counted, given - counted))
    return found


@dataclass(frozen=True)
class MeasuredPerson:
    """A participant with measures: on how many days, on how many of them mobility is imputed, and the newest day."""

    patient_id: str
    days: int
    imputed_days: int
    newest: date


def measured_people(
    session: Session,
    study: Study,
    first: date,
    last: date,
    *,
    least_hours: float,
    with_test: bool = False,
    limit: int,
    offset: int = 0,
) -> tuple[list[MeasuredPerson], int]:
    """Participants with measures of these days, by id, and how many there are in all. One query."""
    mobility, imputed = _ANY_MOBILITY.column(), is_imputed(_ANY_MOBILITY, least_hours)
    columns = sa.select(
        Participant.patient_id,
        sa.func.count().label("days"),
        sa.func.count().filter(sa.and_(mobility.is_not(None), imputed)).label("imputed_days"),
        sa.func.max(ForestDay.day).label("newest"),
        sa.func.count().over().label("total"),
    )
    query = _rows_of(study, first, last, columns, with_test=with_test).group_by(Participant.patient_id)
    rows = session.execute(query.order_by(Participant.patient_id).limit(limit).offset(offset)).all()
    people = [MeasuredPerson(row.patient_id, row.days, row.imputed_days, row.newest) for row in rows]
    return people, rows[0].total if rows else 0


def _rows_of(study: Study, first: date, last: date, query: sa.Select[Any], *, with_test: bool) -> sa.Select[Any]:
    query = (
        query.select_from(ForestDay)
        .join(Participant, Participant.id == ForestDay.participant_id)
        .where(ForestDay.study_id == study.id, ForestDay.day.between(first, last))
    )
    return query if with_test else query.where(Participant.is_test.is_(False))


def newest_day(session: Session, study_id: int, participant_id: int | None = None) -> date | None:
    """The newest day with measures, of the study or of one participant; None where there are none."""
    query = sa.select(sa.func.max(ForestDay.day)).where(ForestDay.study_id == study_id)
    if participant_id is not None:
        query = query.where(ForestDay.participant_id == participant_id)
    return session.scalar(query)


def has_measures(session: Session, study: Study) -> bool:
    """Whether the study has pages of measures: Forest is switched on, or there are rows."""
    if study.has_forest:
        return True
    return session.scalar(sa.select(sa.exists().where(ForestDay.study_id == study.id))) is True
