"""What researchers do to each other: one function for each change. It asks the rules; the caller commits.

Both accounts are locked first, so that rights and roles are those of the moment of the change (PERM-2).
"""

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import Decision, Outcome, Role
from core.accounts.changing import reset_researchers_password, set_enabled, set_site_admin
from core.accounts.creating import create_invited, username_problem
from core.accounts.failed_sign_ins import forget_failures
from core.accounts.links import LinkKind, make_link, withdraw_links
from core.accounts.people import is_last_site_admin, people
from core.accounts.roles import set_role
from core.accounts.rules.acting import Act, may_act, may_give
from core.accounts.second_factor import clear_second_factor
from core.audit import actor_of, record
from core.models import Researcher, Study, StudyRole
from core.models.audit_record import Action


class ActRefused(Exception):
    """The actor may not do this to this person; `decision` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


class NameTaken(ValueError):
    """There is an account of that name."""


def give_role(
    session: Session, me: Researcher, target: Researcher, study: Study, role: Role, *, ends_on: date | None = None
) -> None:
    """Gives the person a role in the study, or changes it. Raises ActRefused."""
    _lock(session, me, target)
    known = people(session, [me, target])
    _refuse_unless_allowed(may_give(known[me.id], known[target.id], study.id, role))
    set_role(session, study, target, role, ends_on=ends_on, actor=actor_of(me))


def elevate(session: Session, me: Researcher, target: Researcher, study: Study) -> None:
    """Makes somebody with a role in the study its administrator; its last day stays. Raises ActRefused."""
    _replace(session, me, Act.ELEVATE, target, study, Role.STUDY_ADMIN)


def demote(session: Session, me: Researcher, target: Researcher, study: Study) -> None:
    """Makes an administrator of the study a researcher of it; the role's last day stays. Raises ActRefused."""
    _replace(session, me, Act.DEMOTE, target, study, Role.STUDY_RESEARCHER)


def _replace(session: Session, me: Researcher, act: Act, target: Researcher, study: Study, role: Role) -> None:
    _lock(session, me, target)
    _require(session, me, act, target, study)
    pair = {"study_id": study.id, "researcher_id": target.id}
    ends_on = session.scalar(sa.select(StudyRole.ends_on).filter_by(**pair))
    set_role(session, study, target, role, ends_on=ends_on, actor=actor_of(me))


def remove_role(session: Session, me: Researcher, target: Researcher, study: Study) -> None:
    """Removes the person's role in the study. Raises ActRefused."""
    _lock(session, me, target)
    _require(session, me, Act.REMOVE, target, study)
    set_role(session, study, target, None, actor=actor_of(me))


def invite(
    session: Session,
    me: Researcher,
    username: str,
    now: datetime,
    *,
    study: Study | None,
    role: Role = Role.STUDY_RESEARCHER,
    ends_on: date | None = None,
) -> tuple[Researcher, str]:
    """Adds an account without a password, with a role in a study; returns it and the token of its link (PORTAL-191).

    A study administrator names a study of theirs; a site administrator may name none. Raises ValueError for a name,
    NameTaken for one that is taken, and ActRefused.
    """
    _lock(session, me)
    administered = people(session, [me])[me.id].administered
    if not me.is_site_admin and (study is None or study.id not in administered):
        raise ActRefused(Decision(Outcome.FORBIDDEN, "Choose a study of which you are an administrator."))
    if problem := username_problem(username):
        raise ValueError(problem)
    researcher = create_invited(session, username, actor=actor_of(me))
    if researcher is None:
        raise NameTaken(f"The name {username} is taken.")
    if study is not None:
        set_role(session, study, researcher, role, ends_on=ends_on, actor=actor_of(me))
    return researcher, make_link(session, researcher, LinkKind.INVITATION, now, actor=actor_of(me))


def new_link(session: Session, me: Researcher, target: Researcher, now: datetime) -> str:
    """Returns the token of a link by which the person sets a password, once; earlier links end. Raises ActRefused."""
    _lock(session, me, target)
    _require(session, me, Act.SET_PASSWORD, target)
    kind = LinkKind.RESET if target.has_password else LinkKind.INVITATION
    return make_link(session, target, kind, now, actor=actor_of(me))


def end_links(session: Session, me: Researcher, target: Researcher, now: datetime) -> bool:
    """Ends the person's links that were not used. Returns whether there were any. Raises ActRefused."""
    _lock(session, me, target)
    _require(session, me, Act.SET_PASSWORD, target)
    return withdraw_links(session, target, now, actor=actor_of(me))


def reset_password(session: Session, me: Researcher, target: Researcher, now: datetime) -> str:
    """Sets and returns a password for one use; ends sessions, links and locks of the name (PORTAL-193).

    Raises ActRefused.
    """
    _lock(session, me, target)
    _require(session, me, Act.SET_PASSWORD, target)
    withdraw_links(session, target, now, actor=actor_of(me))
    forget_failures(session, target.username)
    return reset_researchers_password(session, target, actor=actor_of(me))


def reset_second_factor(session: Session, me: Researcher, target: Researcher) -> None:
    """Removes the person's second factor, for a phone that was lost; ends the person's sessions. Raises ActRefused."""
    _lock(session, me, target)
    _require(session, me, Act.RESET_MFA, target)
    clear_second_factor(session, target, actor=actor_of(me))


def set_active(session: Session, me: Researcher, target: Researcher, is_active: bool) -> None:
    """Activates or deactivates an account; deactivating ends its sessions and links. Raises ActRefused."""
    _lock(session, me, target, with_site_admins=True)
    _require(session, me, Act.ACTIVATE if is_active else Act.DEACTIVATE, target)
    if is_active == target.is_disabled:
        set_enabled(session, target, is_active, actor=actor_of(me))


def make_site_admin(session: Session, me: Researcher, target: Researcher, is_site_admin: bool) -> None:
    """Makes the person a site administrator, or no longer; ends the person's sessions. Raises ActRefused."""
    _lock(session, me, target, with_site_admins=True)
    _require(session, me, Act.MAKE_SITE_ADMIN if is_site_admin else Act.UNMAKE_SITE_ADMIN, target)
    if is_site_admin != target.is_site_admin:
        set_site_admin(session, target, is_site_admin, actor=actor_of(me))
        target.end_sessions()  # a new session at each change of rights (PORTAL-27)


def delete_researcher(session: Session, me: Researcher, target: Researcher) -> None:
    """Deletes a deactivated account with its roles and sessions; its keys stay without an owner (PORTAL-194).

    Raises ActRefused.
    """
    _lock(session, me, target, with_site_admins=True)
    _require(session, me, Act.DELETE, target)
    record(session, actor_of(me), Action.RESEARCHER_DELETE, username=target.username)
    session.delete(target)
    session.flush()


def _require(session: Session, me: Researcher, act: Act, target: Researcher, study: Study | None = None) -> None:
    known = people(session, [me, target])
    decision = may_act(
        known[me.id],
        act,
        known[target.id],
        study.id if study else None,
        is_last_site_admin=is_last_site_admin(session, target),
    )
    _refuse_unless_allowed(decision)


def _refuse_unless_allowed(decision: Decision) -> None:
    if not decision.is_allowed:
        raise ActRefused(decision)


def _lock(session: Session, *accounts: Researcher, with_site_admins: bool = False) -> None:
    """Locks the accounts, in the order of their numbers, and reads them anew; with all site administrators if asked."""
    is_one = Researcher.id.in_([account.id for account in accounts])
    is_wanted = sa.or_(is_one, Researcher.is_site_admin) if with_site_admins else is_one
    query = sa.select(Researcher).where(is_wanted).order_by(Researcher.id).with_for_update()
    found = session.scalars(query, execution_options={"populate_existing": True}).all()
    if missing := [account for account in accounts if account not in found]:
        raise ActRefused(Decision(Outcome.NOT_FOUND, f"There is no account number {missing[0].id}."))
    if accounts[0].is_disabled:
        raise ActRefused(Decision(Outcome.FORBIDDEN, "Your account was deactivated."))
