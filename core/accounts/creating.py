"""Creating accounts of researchers."""

import re
import secrets

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.accounts.passwords import LEAST_PASSWORD
from core.audit import Actor, record
from core.crypto.passwords import NO_PASSWORD, hash_password
from core.models import Researcher
from core.models.audit_record import Action

USERNAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
LEAST_USERNAME, MOST_USERNAME = 5, 32
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
        raise ValueError("a user name has up to 32 letters, digits, dots, dashes and underscores")
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


def username_problem(username: str) -> str:
    """Why a name cannot be given to a person who is invited; empty where it can (PORTAL-191)."""
    if USERNAME.fullmatch(username) and len(username) >= LEAST_USERNAME:
        return ""
    return f"{LEAST_USERNAME} to {MOST_USERNAME} characters: letters a to z, digits, dots, dashes and underscores."


def create_invited(session: Session, username: str, *, actor: Actor) -> Researcher | None:
    """Adds an account without a password; None if the name is taken, ignoring case. The caller commits."""
    row = {
        "username": username,
        "password_hash": NO_PASSWORD,
        "session_token": secrets.token_urlsafe(24),
        "must_change_password": False,
    }
    number = session.scalar(insert(Researcher).values(row).on_conflict_do_nothing().returning(Researcher.id))
    if number is None:
        return None
    record(session, actor, Action.RESEARCHER_INVITE, username=username)
    return session.scalars(sa.select(Researcher).where(Researcher.id == number)).one()
