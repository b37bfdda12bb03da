"""Creating accounts of researchers."""

import re
import secrets

from sqlalchemy.orm import Session

from core.accounts.passwords import LEAST_PASSWORD
from core.audit import Actor, record
from core.crypto.passwords import hash_password
from core.models import Researcher
from core.models.audit_record import Action

USERNAME = re.compile(r"[A-Za-z0-9]{1,32}")
# Without characters that are mistaken for each other when a password is read out.
READABLE_CHARACTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_password() -> str:
    """A one-time password of 20 characters, in groups of five."""
    return "-".join("".join(secrets.choice(READABLE_CHARACTERS) for _ in range(5)) for _ in range(4))


def create_researcher(
    session: Session,
    username: str,
    password: str,
    *,
    is_site_admin: bool,
    must_change_password: bool = True,
    actor: Actor,
) -> Researcher:
    """Adds an account; the caller commits (a taken name fails there). Raises ValueError for a name or password."""
    if not USERNAME.fullmatch(username):
        raise ValueError("a user name has up to 32 letters and digits")
    if len(password) < LEAST_PASSWORD:
        raise ValueError(f"a password has at least {LEAST_PASSWORD} characters")
    researcher = Researcher(
        username=username,
        password_hash=hash_password(password),
        password_length=len(password),
        is_site_admin=is_site_admin,
        must_change_password=must_change_password,
    )
    session.add(researcher)
    record(session, actor, Action.RESEARCHER_CREATE, username=username, is_site_admin=is_site_admin)
    return researcher
