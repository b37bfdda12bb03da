"""What a researcher may do to another one: the rules of PERM-60 to PERM-63, in one function.

`decide` says who has a capability at all; this says on whom. Pages show a control only where it allows it, and every
change asks it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.access import ALLOWED, Decision, Outcome, Role


class Act(StrEnum):
    """Something that one researcher does to another."""

    OPEN = "open"
    """See the person's page."""
    ADD = "add"
    """Give a role in a study to somebody who has none there, or whose role has ended."""
    CHANGE = "change"
    """Change a role without rights over others, its last day or its limits."""
    REMOVE = "remove"
    ELEVATE = "elevate"
    """Make somebody with a role in the study its administrator."""
    DEMOTE = "demote"
    """Take the administrator role of a study from somebody, or give it a last day."""
    SET_PASSWORD = "set password"  # noqa: S105  a name
    RESET_MFA = "reset second factor"
    DEACTIVATE = "deactivate"
    ACTIVATE = "activate"
    DELETE = "delete"
    MAKE_SITE_ADMIN = "make site administrator"
    UNMAKE_SITE_ADMIN = "unmake site administrator"


ABOUT_STUDY = frozenset({Act.ADD, Act.CHANGE, Act.REMOVE, Act.ELEVATE, Act.DEMOTE})
TO_ACCOUNT = frozenset(Act) - ABOUT_STUDY - {Act.OPEN}
FOR_SITE_ADMINS = frozenset({Act.DEACTIVATE, Act.ACTIVATE, Act.DELETE, Act.MAKE_SITE_ADMIN, Act.UNMAKE_SITE_ADMIN})


@dataclass(frozen=True)
class Person:
    """What the rules need to know of a researcher.

    `roles` are those that have not ended, by the number of the study. `all_roles` are all that are stored: also ended
    ones, and those in hidden studies.
    """

    id: int
    is_site_admin: bool = False
    is_active: bool = True
    roles: Mapping[int, Role] = field(default_factory=dict)
    all_roles: Mapping[int, Role] = field(default_factory=dict)

    @property
    def administered(self) -> frozenset[int]:
        """The studies of which the person is an administrator by a role."""
        return frozenset(study for study, role in self.roles.items() if role is Role.STUDY_ADMIN)


NOT_THERE = Decision(Outcome.NOT_FOUND, "There is no such account.")
ONESELF = "Nobody changes their own role or resets their own account here."
LAST = "This is the last active site administrator."


def may_act(
    actor: Person, act: Act, target: Person, study: int | None = None, *, is_last_site_admin: bool = False
) -> Decision:
    """Whether the actor may do this to the target, in the study if the act is about one; else the reason.

    `is_last_site_admin`: the target is the only active site administrator. Raises ValueError for an act about a study
    without one.
    """
    if (study is None) == (act in ABOUT_STUDY):
        raise ValueError(f"{act} is {'' if study is None else 'not '}about a study")
    if act is Act.OPEN:
        return ALLOWED if actor.is_site_admin or _is_listed(actor, target) else NOT_THERE
    if target.id == actor.id:
        return _refused(ONESELF)
    if problem := _impossible(act, target, study, is_last_site_admin):
        return _refused(problem)
    if actor.is_site_admin:
        return ALLOWED
    if act in FOR_SITE_ADMINS or act is Act.DEMOTE:
        return _refused("Only site administrators do this.")
    if target.is_site_admin:
        return _refused("Only site administrators do this to a site administrator.")
    if study is not None:
        return _in_study(actor, act, target, study)
    return _to_account(actor, target)


def may_give(actor: Person, target: Person, study: int, role: Role) -> Decision:
    """Whether the actor may give the target this role in the study, in place of the one that it has there."""
    if role is Role.STUDY_ADMIN and target.is_site_admin:
        return _refused("A site administrator needs no role in a study.")
    now = target.roles.get(study)
    if now is Role.STUDY_ADMIN:
        act = Act.DEMOTE
    elif now is None:
        act = Act.ADD
    else:
        act = Act.ELEVATE if role is Role.STUDY_ADMIN else Act.CHANGE
    return may_act(actor, act, target, study)


def must_confirm(act: Act, target: Person) -> bool:
    """Whether the actor must enter the own password, and code where one is set up, once more (PERM-61, PORTAL-195)."""
    return act in TO_ACCOUNT and (target.is_site_admin or act is Act.MAKE_SITE_ADMIN)


def _is_listed(actor: Person, target: Person) -> bool:
    """Whether the target has a role in a study that the actor administers: whom a study administrator sees."""
    return bool(actor.administered & set(target.all_roles))


def _impossible(act: Act, target: Person, study: int | None, is_last_site_admin: bool) -> str:
    """Why nobody can do this to the target; empty where it is possible."""
    role = target.roles.get(study) if study is not None else None
    if act is Act.ADD and role is not None:
        return "This person has a role in the study already."
    if act in (Act.CHANGE, Act.ELEVATE, Act.DEMOTE) and role is None:
        return "This person has no role in the study."
    if act is Act.REMOVE and study not in target.all_roles:
        return "This person has no role in the study."
    if act in (Act.CHANGE, Act.ELEVATE) and role is Role.STUDY_ADMIN:
        return "This person is an administrator of the study already."
    if act is Act.DEMOTE and role is not Role.STUDY_ADMIN:
        return "This person is no administrator of the study."
    if act is Act.ELEVATE and target.is_site_admin:
        return "A site administrator needs no role in a study."
    if act is Act.DELETE and target.is_active:
        return "Deactivate the account first."
    if act is Act.MAKE_SITE_ADMIN and not target.is_active:
        return "Activate the account first."
    if is_last_site_admin and act in (Act.DEACTIVATE, Act.DELETE, Act.UNMAKE_SITE_ADMIN):
        return LAST
    return ""


def _in_study(actor: Person, act: Act, target: Person, study: int) -> Decision:
    """What a study administrator may do to somebody's role in a study."""
    if study not in actor.administered:
        return _refused("Only administrators of the study do this.")
    if act is Act.ADD:
        # Else the new administrator could reset the password, and act in the person's other studies.
        if set(target.all_roles) <= actor.administered:
            return ALLOWED
        return _refused("This person works in studies that are not yours. A site administrator can add them.")
    if target.all_roles.get(study) is Role.STUDY_ADMIN:
        return _refused("Only site administrators do this to an administrator of the study.")
    return ALLOWED


def _to_account(actor: Person, target: Person) -> Decision:
    """What a study administrator may do to the account of somebody who works in a study of theirs, and leads none."""
    if Role.STUDY_ADMIN in target.all_roles.values():
        return _refused("Only site administrators do this to an administrator of a study.")
    if not actor.administered & set(target.roles):
        return _refused("This person works in no study of yours.")
    return ALLOWED


def _refused(reason: str) -> Decision:
    return Decision(Outcome.FORBIDDEN, reason)
