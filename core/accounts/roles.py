"""Roles of researchers in studies: giving, changing, ending and removing them. The caller commits."""

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.access import Role
from core.audit import Actor, record
from core.models import Researcher, Study, StudyRole
from core.models.audit_record import Action

LAST_YEAR = 9000  # years beyond leave no room for the end of a day in every zone


class RoleRefused(Exception):
    """A role cannot be given as asked; the message says why and what is allowed."""


def set_role(
    session: Session,
    study: Study,
    researcher: Researcher,
    role: Role | None,
    *,
    ends_on: date | None = None,
    actor: Actor,
) -> None:
    """Replaces a person's role in a study, with its last day in the study's zone; None removes it (PERM-1, PERM-96)."""
    pair = {"study_id": study.id, "researcher_id": researcher.id}
    before = session.scalar(sa.select(StudyRole.role).filter_by(**pair))
    if role is None:
        session.execute(sa.delete(StudyRole).filter_by(**pair))
        ends_on = None
    else:
        ends_at = study.end_of(ends_on).astimezone(UTC) if ends_on else None
        row = {"role": role.value, "ends_on": ends_on, "ends_at": ends_at}
        insertion = insert(StudyRole).values(pair | row)
        session.execute(insertion.on_conflict_do_update(index_elements=list(pair), set_=row))
    after = role.value if role else None
    known: dict[str, Any] = {"before": before} if before else {}
    if ends_on:
        known["ends_on"] = ends_on.isoformat()
    record(session, actor, Action.STUDY_GRANT, study=study, username=researcher.username, after=after, **known)


def move_ends_of_roles(session: Session, study: Study) -> None:
    """Roles that end on a day end with that day of the study's zone, which was changed just now (PERM-96)."""
    rows = session.execute(
        sa.select(StudyRole.ends_on)
        .where(StudyRole.study_id == study.id, StudyRole.ends_on.is_not(None))
        .group_by(StudyRole.ends_on)
    )
    for (ends_on,) in rows.all():
        session.execute(
            sa.update(StudyRole)
            .where(StudyRole.study_id == study.id, StudyRole.ends_on == ends_on)
            .values(ends_at=study.end_of(ends_on).astimezone(UTC))
        )


def checked_last_day(text: str, study: Study, now: datetime) -> date | None:
    """The last day of a role as typed, `YYYY-MM-DD`; empty is None. Raises RoleRefused."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise RoleRefused("A date like 2030-01-31.") from None
    if day < now.astimezone(study.zone).date():
        raise RoleRefused("That day is over. Choose today or a later day, or remove the role.")
    if day.year > LAST_YEAR:
        raise RoleRefused(f"A date before the year {LAST_YEAR}.")
    return day
