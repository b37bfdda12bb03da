"""Changes to accounts of researchers: one function per change. The caller commits."""

from sqlalchemy.orm import Session

from core.accounts.creating import new_password
from core.audit import Actor, record
from core.models import Researcher
from core.models.audit_record import Action


def set_password(session: Session, researcher: Researcher, password: str, *, must_change: bool, actor: Actor) -> None:
    """Stores a new password and ends every session of this person (PORTAL-29)."""
    researcher.set_password(password, must_change=must_change)
    record(session, actor, Action.RESEARCHER_SET_PASSWORD, username=researcher.username)


def reset_researchers_password(session: Session, researcher: Researcher, *, actor: Actor) -> str:
    """Sets and returns a one-time password. It is not stored in plain and must be changed at the next sign-in."""
    password = new_password()
    set_password(session, researcher, password, must_change=True, actor=actor)
    return password


def set_enabled(session: Session, researcher: Researcher, is_enabled: bool, *, actor: Actor) -> None:
    """Enables or disables sign-in for a person, and ends all of the person's sessions (PORTAL-29)."""
    researcher.is_disabled = not is_enabled
    researcher.end_sessions()
    action = Action.RESEARCHER_ENABLE if is_enabled else Action.RESEARCHER_DISABLE
    record(session, actor, action, username=researcher.username)


def set_site_admin(session: Session, researcher: Researcher, is_site_admin: bool, *, actor: Actor) -> None:
    """Makes a person a site administrator, or removes that role (PERM-1)."""
    researcher.is_site_admin = is_site_admin
    record(session, actor, Action.RESEARCHER_SITE_ADMIN, username=researcher.username, after=is_site_admin)
