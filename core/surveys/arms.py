"""The arms that schedules of a study can be for (CLAR-53)."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import CustomField, FieldOption, FieldValue, Schedule, Survey

MOST_ARMS = 200
LONGEST_VALUE = 60


@dataclass(frozen=True)
class NamedArm:
    """A value of a custom field, with the field's number and name, and how many participants have it."""

    field_id: int
    field: str
    value: str
    participants: int


def arms_of(session: Session, study_id: int) -> list[NamedArm]:
    """Values of the study's custom fields that participants have or that schedules or roles name, by field and value.

    Values longer than 60 characters are no arms, and of a field with a value for each participant the first are
    listed: at most 200 in all. One query.
    """
    held = sa.select(FieldValue.field_id, FieldValue.value, sa.literal(1).label("one"))
    known = sa.select(FieldOption.field_id, FieldOption.value, sa.literal(0))
    named = (
        sa.select(Schedule.arm_field_id, Schedule.arm_value, sa.literal(0))
        .join(Survey)
        .where(Survey.study_id == study_id, Schedule.arm_field_id.is_not(None))
    )
    values = sa.union_all(held, known, named).subquery()
    rows = session.execute(
        sa.select(CustomField.id, CustomField.name, values.c.value, sa.func.sum(values.c.one))
        .join(values, values.c.field_id == CustomField.id)
        .where(CustomField.study_id == study_id, sa.func.length(values.c.value) <= LONGEST_VALUE)
        .group_by(CustomField.id, values.c.value)
        .order_by(sa.func.lower(CustomField.name), CustomField.id, values.c.value)
        .limit(MOST_ARMS)
    )
    return [NamedArm(*row) for row in rows]
