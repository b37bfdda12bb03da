"""Custom fields of a study: creating, renaming and deleting them (PORTAL-170 to PORTAL-173)."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import CustomField, FieldValue, Schedule, Study, StudyRole, Survey
from core.models.audit_record import Action
from core.studies.names import NameRefused, free_name


@dataclass(frozen=True)
class ListedField:
    """A custom field with how many participants have a value of it, and the surveys with schedules for its arms."""

    id: int
    name: str
    values: int
    surveys: Sequence[str] = ()


def fields_of(session: Session, study_id: int) -> list[ListedField]:
    """All of the study, by name ignoring case; two queries."""
    rows = session.execute(
        sa.select(CustomField.id, CustomField.name, sa.func.count(FieldValue.participant_id))
        .outerjoin(FieldValue, FieldValue.field_id == CustomField.id)
        .where(CustomField.study_id == study_id)
        .group_by(CustomField.id)
        .order_by(sa.func.lower(CustomField.name), CustomField.id)
    )
    uses = _surveys_by_field(session, Survey.study_id == study_id)
    return [ListedField(row.id, row.name, row[2], uses.get(row.id, [])) for row in rows]


def field_of(session: Session, study_id: int, number: int) -> CustomField | None:
    """The study's field of that number (PERM-72)."""
    return session.scalar(sa.select(CustomField).filter_by(id=number, study_id=study_id))


def create_field(session: Session, study: Study, name: str, *, actor: Actor) -> CustomField:
    """Adds a field, without values; the caller commits. Raises NameRefused."""
    name = free_name(session, study, CustomField, name, but=0)
    field = CustomField(study_id=study.id, name=name)
    session.add(field)
    record(session, actor, Action.FIELD_CREATE, study=study, name=name)
    return field


def rename_field(session: Session, study: Study, field: CustomField, name: str, *, actor: Actor) -> None:
    """Gives it another name; the caller commits. Raises NameRefused."""
    name = free_name(session, study, CustomField, name, but=field.id)
    record(session, actor, Action.FIELD_RENAME, study=study, before=field.name, after=name)
    field.name = name


def delete_field(
    session: Session, study: Study, field: CustomField, *, with_schedules: bool = False, actor: Actor
) -> None:
    """Deletes it with the values of all participants; the caller commits.

    Surveys that have schedules for arms by this field keep it, unless `with_schedules`: then these schedules go, too,
    with their events (CLAR-53). Raises NameRefused for those, naming the surveys, and where the field limits somebody's
    role: without its values, nobody would be left (CLAR-22).
    """
    if session.scalar(sa.select(sa.exists().where(StudyRole.limit_field_id == field.id))):
        raise NameRefused(f"{field.name} limits roles in the team to a site. Change these roles first.")
    used_by = surveys_with_arms(session, field)
    if used_by and not with_schedules:
        raise NameRefused(f"{field.name} is used by schedules of {', '.join(used_by)}.")
    session.execute(sa.delete(Schedule).where(Schedule.arm_field_id == field.id))
    record(session, actor, Action.FIELD_DELETE, study=study, name=field.name)
    session.execute(sa.delete(FieldValue).where(FieldValue.field_id == field.id))
    session.delete(field)


def surveys_with_arms(session: Session, field: CustomField) -> list[str]:
    """Names of surveys that are not deleted and have schedules for arms by this field."""
    return _surveys_by_field(session, Schedule.arm_field_id == field.id).get(field.id, [])


def _surveys_by_field(session: Session, where: sa.ColumnElement[bool]) -> dict[int, list[str]]:
    rows = session.execute(
        sa.select(Schedule.arm_field_id, Survey.name, Survey.object_id)
        .join(Survey, Survey.id == Schedule.survey_id)
        .where(where, Schedule.arm_field_id.is_not(None), Schedule.ends_after.is_(None), Survey.deleted_at.is_(None))
        .distinct()
        .order_by(Survey.name, Survey.object_id)
    )
    found: dict[int, list[str]] = {}
    for number, name, object_id in rows:
        found.setdefault(number or 0, []).append(name or f"the survey {object_id}")
    return found
