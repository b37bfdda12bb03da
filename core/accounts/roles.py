"""Roles of researchers in studies: giving, changing, ending and removing them. The caller commits."""

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.access import Role, SiteLimit
from core.audit import Actor, record
from core.models import CustomField, FieldOption, FieldValue, Researcher, Study, StudyRole, StudyRoleSite
from core.models.audit_record import Action
from core.models.researcher import limit_of_row, sites_of_role

MOST_SITES = 100
LONGEST_SITE = 200
LAST_YEAR = 9000  # far enough from the last year of dates, in which the end of a day overflows in some zones


class RoleRefused(Exception):
    """A role cannot be given as asked; the message says why and what is allowed."""


def set_role(
    session: Session,
    study: Study,
    researcher: Researcher,
    role: Role | None,
    *,
    ends_on: date | None = None,
    limit: SiteLimit | None = None,
    actor: Actor,
) -> None:
    """Replaces a person's role in a study, with its last day in the study's zone; None removes it (PERM-1, PERM-96).

    With `limit` the role is limited to participants with these values of a field of the study (PERM-95). Raises
    RoleRefused for an administrator with a limit, and for a limit that names no value or another study's field.
    """
    pair = {"study_id": study.id, "researcher_id": researcher.id}
    options = _options(session, study, role, limit) if limit else {}
    before = session.scalar(sa.select(StudyRole.role).filter_by(**pair))
    session.execute(sa.delete(StudyRoleSite).filter_by(**pair))
    if role is None:
        session.execute(sa.delete(StudyRole).filter_by(**pair))
        ends_on = None
    else:
        ends_at = study.end_of(ends_on).astimezone(UTC) if ends_on else None
        row = {
            "role": role.value,
            "ends_on": ends_on,
            "ends_at": ends_at,
            "limit_field_id": limit.field_id if limit else None,
            "may_change_study": bool(limit and limit.may_change_study),
        }
        insertion = insert(StudyRole).values(pair | row)
        session.execute(insertion.on_conflict_do_update(index_elements=list(pair), set_=row))
        if options:
            session.execute(sa.insert(StudyRoleSite), [pair | {"option_id": number} for number in options.values()])
    after = role.value if role else None
    known: dict[str, Any] = {"before": before} if before else {}
    if ends_on:
        known["ends_on"] = ends_on.isoformat()
    if limit:
        known["limited"] = {"field": limit.field_id, "values": sorted(options.values())}
        if limit.may_change_study:
            known["limited"]["may_change_study"] = True
    record(session, actor, Action.STUDY_GRANT, study=study, username=researcher.username, after=after, **known)


def _options(session: Session, study: Study, role: Role | None, limit: SiteLimit) -> dict[str, int]:
    """The numbers of the values that limit a role, by value; new values are stored. Raises RoleRefused."""
    if role is Role.STUDY_ADMIN:
        raise RoleRefused("An administrator of the study cannot be limited to a site.")
    if role is None:
        raise RoleRefused("Without a role there is nothing to limit.")
    if session.scalar(sa.select(CustomField.id).filter_by(id=limit.field_id, study_id=study.id)) is None:
        raise RoleRefused("The study has no such custom field.")
    values = sorted({value.strip() for value in limit.values} - {""})
    if not values:
        raise RoleRefused("Name at least one value of the field.")
    if len(values) > MOST_SITES or any(len(value) > LONGEST_SITE or "\0" in value for value in values):
        raise RoleRefused(f"At most {MOST_SITES} values, each of at most {LONGEST_SITE} characters.")
    rows = [{"field_id": limit.field_id, "value": value} for value in values]
    session.execute(insert(FieldOption).values(rows).on_conflict_do_nothing())
    found = sa.select(FieldOption.value, FieldOption.id).where(
        FieldOption.field_id == limit.field_id, FieldOption.value.in_(values)
    )
    return dict(session.execute(found).tuples().all())


def limit_of_role(session: Session, study_id: int, researcher_id: int) -> SiteLimit | None:
    """The limit that is stored with a person's role in a study; None without one."""
    pair = {"study_id": study_id, "researcher_id": researcher_id}
    found = session.execute(sa.select(StudyRole, sites_of_role()).filter_by(**pair)).one_or_none()
    return limit_of_row(*found) if found else None


def values_in_use(session: Session, study_id: int) -> dict[int, list[str]]:
    """For each custom field of the study, the values that participants have or that are known, at most a hundred."""
    fields = sa.select(CustomField.id).where(CustomField.study_id == study_id).scalar_subquery()
    had = sa.select(FieldValue.field_id, FieldValue.value).where(FieldValue.field_id.in_(fields))
    known = sa.select(FieldOption.field_id, FieldOption.value).where(FieldOption.field_id.in_(fields))
    both = sa.union(had, known).subquery()
    place = sa.func.row_number().over(partition_by=both.c.field_id, order_by=both.c.value).label("place")
    ranked = sa.select(both, place).subquery()
    query = sa.select(ranked.c.field_id, ranked.c.value).where(ranked.c.place <= MOST_SITES)
    found: dict[int, list[str]] = {}
    for field_id, value in session.execute(query.order_by(ranked.c.field_id, ranked.c.value)):
        found.setdefault(field_id, []).append(value)
    return found


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
