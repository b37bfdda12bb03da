"""Researchers as lists and the rules about them see them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import Role
from core.accounts.rules.acting import Person
from core.models import Researcher, Study, StudyRole


class AccountState(StrEnum):
    """Whether a person can sign in."""

    ACTIVE = "active"
    INVITED = "invited"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True)
class RoleLine:
    """A person's role in a study, as a list shows it."""

    study_id: int
    study_name: str
    role: Role
    ends_on: date | None
    has_ended: bool


@dataclass(frozen=True)
class PersonLine:
    """A researcher in a list, with the roles that the reader may see."""

    id: int
    username: str
    is_site_admin: bool
    state: AccountState
    last_login_at: datetime | None
    roles: Sequence[RoleLine]


def state_of(researcher: Researcher) -> AccountState:
    """Whether the person can sign in, must accept an invitation first, or was deactivated."""
    if researcher.is_disabled:
        return AccountState.DEACTIVATED
    return AccountState.ACTIVE if researcher.has_password else AccountState.INVITED


def people(session: Session, researchers: Iterable[Researcher]) -> dict[int, Person]:
    """The researchers, by number, as the rules know them; one query."""
    found = {researcher.id: researcher for researcher in researchers}
    rows = session.execute(
        sa.select(StudyRole.researcher_id, StudyRole.study_id, StudyRole.role, StudyRole.is_current(), Study.hidden_at)
        .join(Study, Study.id == StudyRole.study_id)
        .where(StudyRole.researcher_id.in_(found))
    )
    current: dict[int, dict[int, Role]] = defaultdict(dict)
    stored: dict[int, dict[int, Role]] = defaultdict(dict)
    for number, study_id, role, is_current, hidden_at in rows:
        stored[number][study_id] = Role(role)
        if is_current and hidden_at is None:
            current[number][study_id] = Role(role)
    return {
        number: Person(number, one.is_site_admin, not one.is_disabled, current[number], stored[number])
        for number, one in found.items()
    }


def listed_people(session: Session, reader: Person, search: str = "") -> list[PersonLine]:
    """The people whom the reader may see, by name, with the roles in studies that the reader administers; two queries.

    Site administrators see everybody, and the roles in all studies that are not hidden. `search` is part of a user name
    or of a study's name (PERM-60, PORTAL-190).
    """
    roles = (
        sa.select(StudyRole, Study.name, StudyRole.is_current().label("is_current"))
        .join(Study, Study.id == StudyRole.study_id)
        .where(Study.hidden_at.is_(None))
        .order_by(sa.func.lower(Study.name), Study.id)
    )
    researchers = sa.select(Researcher).order_by(sa.func.lower(Researcher.username))
    if not reader.is_site_admin:
        roles = roles.where(StudyRole.study_id.in_(reader.administered))
        theirs = sa.select(StudyRole.researcher_id).where(StudyRole.study_id.in_(reader.administered))
        researchers = researchers.where(Researcher.id.in_(theirs))
    lines: dict[int, list[RoleLine]] = defaultdict(list)
    for row, study_name, is_current in session.execute(roles):
        line = RoleLine(row.study_id, study_name, Role(row.role), row.ends_on, not is_current)
        lines[row.researcher_id].append(line)
    sought = search.lower()
    return [
        _line(one, lines[one.id])
        for one in session.scalars(researchers)
        if sought in one.username.lower() or any(sought in line.study_name.lower() for line in lines[one.id])
    ]


def roles_of(session: Session, reader: Person, researcher: Researcher) -> list[RoleLine]:
    """The person's roles in studies that the reader administers, by the study's name; one query."""
    query = (
        sa.select(StudyRole, Study.name, StudyRole.is_current())
        .join(Study, Study.id == StudyRole.study_id)
        .where(StudyRole.researcher_id == researcher.id, Study.hidden_at.is_(None))
        .order_by(sa.func.lower(Study.name), Study.id)
    )
    if not reader.is_site_admin:
        query = query.where(StudyRole.study_id.in_(reader.administered))
    rows = session.execute(query)
    return [RoleLine(row.study_id, name, Role(row.role), row.ends_on, not is_now) for row, name, is_now in rows]


def roles_of_link(session: Session, researcher: Researcher) -> list[RoleLine]:
    """The person's own roles that have not ended, for the page that invites the person; one query."""
    mine = roles_of(session, Person(researcher.id, is_site_admin=True), researcher)
    return [line for line in mine if not line.has_ended]


def administered_studies(session: Session, person: Person) -> list[Study]:
    """The studies whose people the person manages, by name; all that are not hidden for a site administrator."""
    query = sa.select(Study).where(Study.hidden_at.is_(None)).order_by(sa.func.lower(Study.name), Study.id)
    if not person.is_site_admin:
        query = query.where(Study.id.in_(person.administered))
    return list(session.scalars(query))


def is_last_site_admin(session: Session, researcher: Researcher) -> bool:
    """Whether the person is the only active site administrator."""
    others = sa.exists().where(
        Researcher.is_site_admin, Researcher.is_disabled.is_(False), Researcher.id != researcher.id
    )
    return researcher.is_site_admin and not researcher.is_disabled and not session.scalar(sa.select(others))


def _line(one: Researcher, roles: Sequence[RoleLine]) -> PersonLine:
    return PersonLine(one.id, one.username, one.is_site_admin, state_of(one), one.last_login_at, roles)
