"""Rules for passwords and second factors of researchers, and what is due before anything else (PORTAL-40 to 43)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import Role
from core.accounts.passwords import LEAST_PASSWORD, LEAST_PASSWORD_OF_SITE_ADMIN
from core.models import Passkey, Researcher, Study, StudyRole
from core.models.study import SecondFactorFor

WARNED_DAYS = 7


@dataclass(frozen=True)
class AccountRule:
    """What an account must have: the least length of its password in characters, the password's greatest age in whole
    days, and whether a second factor; and whether it has one.
    """

    least: int
    most_age_days: int | None = None
    needs_second_factor: bool = False
    has_second_factor: bool = False


def account_rule(
    session: Session, researcher: Researcher, *, site_admins_need_second_factor: bool = False
) -> AccountRule:
    """The strictest rules of the studies that the person has a role in, hidden ones aside; one query (PORTAL-42).

    `site_admins_need_second_factor` is the setting REQUIRE_SITE_ADMIN_MFA (PORTAL-53).
    """
    is_required = sa.or_(
        Study.second_factor_for == SecondFactorFor.EVERYBODY.value,
        sa.and_(
            Study.second_factor_for == SecondFactorFor.ADMINISTRATORS.value,
            StudyRole.role == Role.STUDY_ADMIN.value,
        ),
    )
    longest, youngest, is_needed, has_passkey = session.execute(
        sa.select(
            sa.func.max(Study.password_minimum_length),
            sa.func.min(Study.password_max_age_days),
            sa.func.bool_or(is_required),
            sa.exists().where(Passkey.researcher_id == researcher.id),
        )
        .select_from(StudyRole)
        .join(Study, StudyRole.study_id == Study.id)
        .where(StudyRole.researcher_id == researcher.id, StudyRole.is_current(), Study.hidden_at.is_(None))
    ).one()
    return replace(
        _rule(researcher, longest, youngest),
        needs_second_factor=bool(is_needed) or (researcher.is_site_admin and site_admins_need_second_factor),
        has_second_factor=has_passkey or researcher.totp_enabled_at is not None,
    )


def _rule(researcher: Researcher, longest: int | None, youngest: int | None) -> AccountRule:
    """The rule of a person whose studies ask for this length and this age at most."""
    least = max(LEAST_PASSWORD, longest or 0)
    return AccountRule(max(least, LEAST_PASSWORD_OF_SITE_ADMIN) if researcher.is_site_admin else least, youngest)


class Due(StrEnum):
    """What a person must do before anything else (PORTAL-41)."""

    PASSWORD = "password"  # noqa: S105  a name
    SECOND_FACTOR = "second_factor"


def what_is_due(researcher: Researcher, rule: AccountRule, now: datetime) -> tuple[Due, str] | None:
    """What this person must do before anything else and why, in a sentence; None if nothing is due (PORTAL-41)."""
    if why := why_change_is_due(researcher, rule, now):
        return Due.PASSWORD, why
    if rule.needs_second_factor and not rule.has_second_factor:
        who = "This server asks site administrators" if researcher.is_site_admin else "A study of yours asks"
        return Due.SECOND_FACTOR, f"{who} for a second factor. Set one up to go on."
    return None


def why_change_is_due(researcher: Researcher, rule: AccountRule, now: datetime) -> str:
    """Why this person must set a new password; empty if none is due (PORTAL-41, rows 1 to 3)."""
    if researcher.must_change_password:
        return "This password was meant for one use. Set your own to go on."
    if researcher.password_length is not None and researcher.password_length < rule.least:
        return f"A new rule asks for {rule.least} characters. Set a new password to go on."
    if rule.most_age_days is not None and _age(researcher, now).days > rule.most_age_days:
        return f"A study asks for a new password every {rule.most_age_days} days. Set a new one to go on."
    return ""


def days_until_due(researcher: Researcher, rule: AccountRule, now: datetime) -> int | None:
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


def without_second_factor(session: Session, study: Study, who: SecondFactorFor) -> int:
    """How many of the study's researchers must set up a second factor under this rule who need not now (PORTAL-98)."""
    roles = {SecondFactorFor.EVERYBODY: None, SecondFactorFor.ADMINISTRATORS: Role.STUDY_ADMIN.value}
    asked_now = SecondFactorFor(study.second_factor_for)
    if who is SecondFactorFor.NOBODY or asked_now in (SecondFactorFor.EVERYBODY, who):
        return 0
    people = (
        sa.select(sa.func.count())
        .select_from(StudyRole)
        .join(Researcher, Researcher.id == StudyRole.researcher_id)
        .where(
            StudyRole.study_id == study.id,
            StudyRole.is_current(),
            Researcher.is_disabled.is_(False),
            Researcher.totp_enabled_at.is_(None),
            ~sa.exists().where(Passkey.researcher_id == Researcher.id),
        )
    )
    if roles[who]:
        people = people.where(StudyRole.role == roles[who])
    elif asked_now is SecondFactorFor.ADMINISTRATORS:
        people = people.where(StudyRole.role != Role.STUDY_ADMIN.value)
    return session.scalar(people) or 0


def _age(researcher: Researcher, now: datetime) -> timedelta:
    return now - researcher.password_changed_at
