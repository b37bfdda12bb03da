"""Interventions of a study: what relative schedules of surveys hang on (PORTAL-170 to PORTAL-173)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Intervention, InterventionDate, Schedule, Study, Survey
from core.models.audit_record import Action
from core.studies.names import NameRefused, free_name
from core.surveys.rebuilding import update_events_of_study


@dataclass(frozen=True)
class ListedIntervention:
    """An intervention with how many participants have a date, and the surveys whose schedules use it, by name."""

    id: int
    name: str
    dates: int
    surveys: Sequence[str]


def interventions_of(session: Session, study_id: int) -> list[ListedIntervention]:
    """All of the study, by name ignoring case; three queries."""
    rows = session.execute(
        sa.select(Intervention.id, Intervention.name)
        .where(Intervention.study_id == study_id)
        .order_by(sa.func.lower(Intervention.name), Intervention.id)
    ).all()
    numbers = [row.id for row in rows]
    counted = sa.select(InterventionDate.intervention_id, sa.func.count()).group_by(InterventionDate.intervention_id)
    dates = {row[0]: row[1] for row in session.execute(counted.where(_is_in(numbers)))}
    surveys = _surveys_using(session, numbers)
    return [ListedIntervention(row.id, row.name, dates.get(row.id, 0), surveys.get(row.id, [])) for row in rows]


def intervention_of(session: Session, study_id: int, number: int) -> Intervention | None:
    """The study's intervention of that number (PERM-72)."""
    return session.scalar(sa.select(Intervention).filter_by(id=number, study_id=study_id))


def create_intervention(session: Session, study: Study, name: str, *, actor: Actor) -> Intervention:
    """Adds an intervention, without dates; the caller commits. Raises NameRefused."""
    name = free_name(session, study, Intervention, name, but=0)
    intervention = Intervention(study_id=study.id, name=name)
    session.add(intervention)
    record(session, actor, Action.INTERVENTION_CREATE, study=study, name=name)
    return intervention


def rename_intervention(session: Session, study: Study, intervention: Intervention, name: str, *, actor: Actor) -> None:
    """Gives it another name; no event changes. The caller commits. Raises NameRefused."""
    name = free_name(session, study, Intervention, name, but=intervention.id)
    record(session, actor, Action.INTERVENTION_RENAME, study=study, before=intervention.name, after=name)
    intervention.name = name


def delete_intervention(
    session: Session, study: Study, intervention: Intervention, now: datetime, *, with_schedules: bool, actor: Actor
) -> bool:
    """Deletes it with the dates of all participants; the caller commits.

    Surveys that use it keep it, unless `with_schedules`: then their schedules go, too, and events follow (PORTAL-172).
    Tells whether events wait for `rebuild-schedules`. Raises NameRefused, naming the surveys.
    """
    used_by = _surveys_using(session, [intervention.id]).get(intervention.id, [])
    if used_by and not with_schedules:
        raise NameRefused(f"{intervention.name} is used by schedules of {', '.join(used_by)}.")
    session.execute(sa.delete(Schedule).where(Schedule.intervention_id == intervention.id))
    record(session, actor, Action.INTERVENTION_DELETE, study=study, name=intervention.name, surveys=len(used_by))
    session.delete(intervention)
    return update_events_of_study(session, study, now) if used_by else False


def _surveys_using(session: Session, numbers: Sequence[int]) -> dict[int, list[str]]:
    """Names of surveys that are not deleted, by the intervention that their schedules use."""
    query = (
        sa.select(Schedule.intervention_id, Survey.name, Survey.object_id)
        .join(Survey, Survey.id == Schedule.survey_id)
        .where(Schedule.intervention_id.in_(numbers), Survey.deleted_at.is_(None), Schedule.ends_after.is_(None))
        .distinct()
        .order_by(Survey.name, Survey.object_id)
    )
    found: dict[int, list[str]] = {}
    for number, name, object_id in session.execute(query):
        found.setdefault(number, []).append(name or f"the survey {object_id}")
    return found


def _is_in(numbers: Sequence[int]) -> sa.ColumnElement[bool]:
    return InterventionDate.intervention_id.in_(numbers)
