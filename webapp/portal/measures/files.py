"""The tables beside the charts as CSV files; each is in the log of data access (DATA-26, CLAR-82)."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from flask import Response, g, request
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.audit.access_log import end_access, record_access
from core.database import db
from core.measures.of_people import daily_measures
from core.measures.of_study import newest_day, study_measures
from core.measures.origins import TaskOfDay, tasks_of_days
from core.models import AccessKind, Participant
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.measures import person as person_page
from webapp.portal.measures import study as study_page
from webapp.portal.measures.choice import Choice, read_choice
from webapp.portal.measures.section import OF_PERSON, OF_STUDY, measures
from webapp.stores import settings

STUDY_COLUMNS = (
    "day",
    "measure",
    "unit",
    "lower_quartile",
    "median",
    "upper_quartile",
    "participants",
    "imputed_left_out",
)
PERSON_COLUMNS = (
    "day",
    "participant_id",
    "measure",
    "unit",
    "value",
    "observed_hours",
    "imputed",
    "task",
    "library",
    "computed_at",
)


@measures.get(f"{OF_STUDY}.csv")
@requires(Capability.STATISTICS_READ)
def study_file(study_number: int) -> ResponseReturnValue:
    """Median and quartiles of the chosen measures and days."""
    session = db.session()
    newest = newest_day(session, g.study.id) or study_page.today()
    choice = read_choice(request.args, newest, study_page.MOST_DAYS)
    found = study_measures(
        session,
        g.study,
        choice.measures,
        choice.first,
        choice.last,
        least_hours=settings().measures_least_hours,
        with_test=choice.with_test,
    )
    rows = (
        (row.day, measure.name, measure.unit, row.lower, row.median, row.upper, row.counted, row.imputed)
        for measure in choice.measures
        for row in found[measure.name]
    )
    query = sa.select(sa.func.count()).select_from(Participant).where(Participant.study_id == g.study.id)
    count = session.scalar(query if choice.with_test else query.where(Participant.is_test.is_(False))) or 0
    return _sent("Daily measures", STUDY_COLUMNS, rows, choice, count, None)


@measures.get(f"{OF_PERSON}.csv")
@requires(Capability.STATISTICS_READ)
def person_file(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The chosen measures and days of the participant, and of those beside, and which task made each value."""
    session = db.session()
    newest = newest_day(session, g.study.id, g.participant.id) or study_page.today()
    choice = read_choice(request.args, newest, person_page.MOST_DAYS)
    people = [g.participant, *person_page.read_others(request.args.getlist("with")).people]
    found = daily_measures(
        session,
        g.study,
        people,
        choice.measures,
        choice.first,
        choice.last,
        least_hours=settings().measures_least_hours,
    )
    tasks = tasks_of_days(session, g.study, people, choice.first, choice.last)
    rows = (
        (
            *(day, one.patient_id, measure.name, measure.unit, of.value, of.observed_hours),
            "yes" if of.is_imputed else "no",
            *_origin(tasks.get((one.id, day, measure.tree))),
        )
        for measure in choice.measures
        for one in people
        for day, of in found[one.id][measure.name].items()
        if of.value is not None
    )
    ids = [one.patient_id for one in people]
    return _sent(f"Daily measures {patient_id}", PERSON_COLUMNS, rows, choice, len(ids), ids)


def _origin(task: TaskOfDay | None) -> tuple[str | None, ...]:
    """Task, version of the library, and end in UTC."""
    if task is None:
        return None, None, None
    ended = f"{task.ended_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if task.ended_at else None
    return task.task_id, task.library_version, ended


def _sent(
    name: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    choice: Choice,
    count: int,
    patient_ids: list[str] | None,
) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    contents, session = text.getvalue().encode(), db.session()
    names = [measure.name for measure in choice.measures]
    days = {"first": choice.first.isoformat(), "last": choice.last.isoformat()}
    number = record_access(
        session,
        actor_of(g.researcher),
        AccessKind.STATISTICS,
        g.study,
        participants=count,
        patient_ids=patient_ids,
        parameters={"measures": names, "tests": choice.with_test, **days},
    )
    end_access(session, number, len(contents))
    session.commit()
    what = f" {names[0]}" if len(names) == 1 else ""
    answer = Response(contents, content_type="text/csv; charset=utf-8")
    attach(answer, f"{name}{what} {choice.last}.csv")
    return answer
