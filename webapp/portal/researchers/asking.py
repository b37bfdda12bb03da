"""What the section's views read from a request, and how they answer refusals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from flask import abort, g, request

from core.access import STORED_ROLES, Decision, Outcome, Role
from core.accounts.acting import ActRefused
from core.accounts.people import is_last_site_admin, people
from core.accounts.roles import RoleRefused, checked_last_day
from core.accounts.rules.acting import Act, Person, may_act, may_give, must_confirm
from core.database import db
from core.models import Researcher, Study

T = TypeVar("T")
LONGEST_NUMBER = 18  # digits of a 64-bit number


@dataclass(frozen=True)
class Refusal:
    """What is wrong with a form: for each field a sentence, and what was typed. `at` names the form on its page."""

    at: str
    problems: Mapping[str, str]
    typed: Mapping[str, str] = field(default_factory=dict)


def the_person(number: int) -> Researcher:
    """The researcher of that number, if the one who asks may see the person. Aborts with 404."""
    found = db.session.get(Researcher, number)
    if found is None or not rights_over(found).may(Act.OPEN):
        abort(404, "There is no such account.")
    return found


def person_in_form() -> Researcher:
    """The researcher whom the form names. Aborts with 400 where it names none, and 404 for an unknown one."""
    number = request.form.get("researcher_id", "")
    if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
        abort(400, "The form says of no researcher.")
    return db.session.get(Researcher, int(number)) or abort(404, "There is no such account.")


@dataclass(frozen=True)
class RightsOver:
    """What the signed-in person may do to somebody: templates show controls by it (PERM-91)."""

    me: Person
    target: Person
    is_last: bool

    def decision(self, act: Act, study_id: int | None = None) -> Decision:
        """Whether the act is allowed, in the study if it is about one; else the reason."""
        return may_act(self.me, act, self.target, study_id, is_last_site_admin=self.is_last)

    def may(self, act: Act, study_id: int | None = None) -> bool:
        """Whether the act is allowed, in the study if it is about one."""
        return self.decision(act, study_id).is_allowed

    def must_confirm(self, act: Act) -> bool:
        """Whether the own password is asked for once more."""
        return must_confirm(act, self.target)

    def choices(self, study_id: int) -> list[Role]:
        """The roles that the signed-in person may give the target in the study."""
        return [role for role in STORED_ROLES if may_give(self.me, self.target, study_id, role).is_allowed]


def rights_over(researcher: Researcher) -> RightsOver:
    """What the signed-in person may do to this one; two queries."""
    return rights_over_all([researcher])[researcher.id]


def rights_over_all(targets: list[Researcher]) -> dict[int, RightsOver]:
    """What the signed-in person may do to each of these, by number; two queries."""
    known = people(db.session(), [g.researcher, *targets])
    last = {one.id for one in targets if one.is_site_admin and is_last_site_admin(db.session(), one)}
    return {one.id: RightsOver(known[g.researcher.id], known[one.id], one.id in last) for one in targets}


def role_in_form(default: Role = Role.STUDY_RESEARCHER) -> Role:
    """The role that the form names. Aborts with 400 for an unknown one."""
    try:
        role = Role(request.form.get("role", default.value))
    except ValueError:
        abort(400, "The form names no role.")
    return role if role in STORED_ROLES else abort(400, "The form names no role in a study.")


def last_day_in_form(study: Study) -> date | None:
    """The last day that the form names. Raises RoleRefused."""
    return checked_last_day(request.form.get("ends_on", ""), study, g.now)


def carried_out(change: Callable[[], T]) -> T:
    """Makes a change of core and commits. Aborts with 403 or 404, and the reason, where it is refused."""
    try:
        result = change()
    except ActRefused as refused:
        abort(404 if refused.decision.outcome is Outcome.NOT_FOUND else 403, str(refused))
    db.session.commit()
    return result


__all__ = [
    "Refusal",
    "RightsOver",
    "RoleRefused",
    "carried_out",
    "last_day_in_form",
    "person_in_form",
    "rights_over",
    "rights_over_all",
    "role_in_form",
    "the_person",
]
