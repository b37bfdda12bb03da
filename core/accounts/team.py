"""The team of a study: who has which right in it, and through what."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import Role
from core.accounts.people import AccountState, state_of
from core.models import Researcher, Study, StudyRole


@dataclass(frozen=True)
class Member:
    """A person with a role in the study, until when, and whether the person can sign in."""

    researcher: Researcher
    role: Role
    ends_on: date | None
    has_ended: bool
    state: AccountState
    last_login_at: datetime | None


def team_of(session: Session, study: Study) -> list[Member]:
    """Everybody with a role in the study, also an ended one: administrators first, then by name; one query."""
    rows = session.execute(
        sa.select(StudyRole, Researcher, StudyRole.is_current())
        .join(Researcher, Researcher.id == StudyRole.researcher_id)
        .where(StudyRole.study_id == study.id)
        .order_by(StudyRole.role != Role.STUDY_ADMIN.value, sa.func.lower(Researcher.username))
    )
    return [
        Member(one, Role(row.role), row.ends_on, not is_current, state_of(one), one.last_login_at)
        for row, one, is_current in rows
    ]


def site_admins(session: Session) -> list[Researcher]:
    """The active site administrators, by name; they have all rights in every study."""
    query = sa.select(Researcher).where(Researcher.is_site_admin, Researcher.is_disabled.is_(False))
    return list(session.scalars(query.order_by(sa.func.lower(Researcher.username))))


def studies_without_admin(session: Session) -> list[Study]:
    """Studies that are not hidden and have no active administrator of their own, by name (PERM-62)."""
    has_admin = (
        sa.exists()
        .where(StudyRole.study_id == Study.id, StudyRole.role == Role.STUDY_ADMIN.value, StudyRole.is_current())
        .where(Researcher.id == StudyRole.researcher_id, Researcher.is_disabled.is_(False))
    )
    query = sa.select(Study).where(Study.hidden_at.is_(None), ~has_admin)
    return list(session.scalars(query.order_by(sa.func.lower(Study.name), Study.id)))


def account_named(session: Session, username: str) -> Researcher | None:
    """The account of that user name, ignoring case, or None."""
    return session.scalar(sa.select(Researcher).where(sa.func.lower(Researcher.username) == sa.func.lower(username)))
