"""Rules for passwords that researchers choose, and when a new one is due (PORTAL-40 to PORTAL-43)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Researcher, Study, StudyRole

LEAST_PASSWORD = 8
LEAST_PASSWORD_OF_SITE_ADMIN = 20
WARNED_DAYS = 7


@dataclass(frozen=True)
class PasswordRule:
    """What one person's password must be: its least length in characters, and its greatest age in whole days."""

    least: int
    most_age_days: int | None = None


def password_rule(session: Session, researcher: Researcher) -> PasswordRule:
    """The strictest rules of the studies that the person has a role in, hidden ones aside; one query (PORTAL-42)."""
    longest, youngest = session.execute(
        sa.select(sa.func.max(Study.password_minimum_length), sa.func.min(Study.password_max_age_days))
        .join(StudyRole, StudyRole.study_id == Study.id)
        .where(StudyRole.researcher_id == researcher.id, StudyRole.is_current(), Study.hidden_at.is_(None))
    ).one()
    return _rule(researcher, longest, youngest)


def _rule(researcher: Researcher, longest: int | None, youngest: int | None) -> PasswordRule:
    """The rule of a person whose studies ask for this length and this age at most."""
    least = max(LEAST_PASSWORD, longest or 0)
    return PasswordRule(max(least, LEAST_PASSWORD_OF_SITE_ADMIN) if researcher.is_site_admin else least, youngest)


def why_change_is_due(researcher: Researcher, rule: PasswordRule, now: datetime) -> str:
    """Why this person must set a new password before anything else; empty where nothing is due (PORTAL-41)."""
    if researcher.must_change_password:
        return "This password was meant for one use. Set your own to go on."
    if researcher.password_length is not None and researcher.password_length < rule.least:
        return f"A new rule asks for {rule.least} characters. Set a new password to go on."
    if rule.most_age_days is not None and _age(researcher, now).days > rule.most_age_days:
        return f"A study asks for a new password every {rule.most_age_days} days. Set a new one to go on."
    return ""


def days_until_due(researcher: Researcher, rule: PasswordRule, now: datetime) -> int | None:
    """In how many days the password expires, within the last seven; None otherwise (PORTAL-41)."""
    if rule.most_age_days is None:
        return None
    left = rule.most_age_days - _age(researcher, now).days
    return left if 0 <= left < WARNED_DAYS else None


def interrupted_by(
    session: Session, study: Study, least: int, most_age_days: int | None, now: datetime
) -> tuple[int, int]:
    """How many of the study's researchers must set a new password under these rules who need not now (PORTAL-98).

    Gives those whose password would be too short, and those whose password would be too old. Two queries.
    """
    members = sa.select(StudyRole.researcher_id).where(StudyRole.study_id == study.id, StudyRole.is_current())
    people = session.scalars(
        sa.select(Researcher).where(Researcher.id.in_(members), Researcher.is_disabled.is_(False))
    ).all()
    rules = session.execute(
        sa.select(
            StudyRole.researcher_id,
            sa.func.max(Study.password_minimum_length),
            sa.func.min(Study.password_max_age_days),
        )
        .join(Study, Study.id == StudyRole.study_id)
        .where(StudyRole.researcher_id.in_(members), StudyRole.is_current(), Study.hidden_at.is_(None))
        .group_by(StudyRole.researcher_id)
    )
    too_short = too_old = 0
    now_by_id = {number: (longest, youngest) for number, longest, youngest in rules}
    for person in people:
        longest, youngest = now_by_id.get(person.id, (LEAST_PASSWORD, None))
        if why_change_is_due(person, _rule(person, longest, youngest), now):
            continue
        too_short += bool(why_change_is_due(person, _rule(person, max(longest, least), youngest), now))
        if most_age_days is not None:
            age = min(youngest or most_age_days, most_age_days)
            too_old += bool(why_change_is_due(person, _rule(person, longest, age), now))
    return too_short, too_old


def password_problem(password: str, least: int) -> str | None:
    """A sentence saying why a chosen password is refused, or None if it is accepted (PORTAL-40)."""
    if len(password) < least:
        return f"At least {least} characters."
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    if not all(re.search(kind, password) for kind in kinds):
        return "At least one lower-case letter, one upper-case letter, one digit and one other character."
    return None


def _age(researcher: Researcher, now: datetime) -> timedelta:
    return now - researcher.password_changed_at
