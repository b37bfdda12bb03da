"""Accounts of researchers and keys of their programs."""

import re
import secrets
import string

from sqlalchemy.orm import Session

from core.crypto.passwords import hash_password
from core.models import ApiKey, Researcher

API_KEY_CHARACTERS = string.ascii_letters + string.digits + "+/"
API_KEY_LENGTH = 64
LEAST_PASSWORD = 8
LEAST_PASSWORD_OF_SITE_ADMIN = 20
USERNAME = re.compile(r"[A-Za-z0-9]{1,32}")
# Without characters that are mistaken for each other when a password is read out.
READABLE_CHARACTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_password() -> str:
    """A one-time password of 20 characters, in groups of five."""
    return "-".join("".join(secrets.choice(READABLE_CHARACTERS) for _ in range(5)) for _ in range(4))


def create_researcher(
    session: Session, username: str, password: str, *, is_site_admin: bool, must_change_password: bool = True
) -> Researcher:
    """Adds an account; the caller commits (a taken name fails there). Raises ValueError for a name or password."""
    if not USERNAME.fullmatch(username):
        raise ValueError("a user name has up to 32 letters and digits")
    if len(password) < LEAST_PASSWORD:
        raise ValueError(f"a password has at least {LEAST_PASSWORD} characters")
    researcher = Researcher(
        username=username, password_hash=hash_password(password), is_site_admin=is_site_admin,
        must_change_password=must_change_password,
    )  # fmt: skip
    session.add(researcher)
    return researcher


def create_api_key(session: Session, researcher: Researcher, name: str) -> tuple[str, str]:
    """Adds a key and gives access key and secret, which is nowhere else (DATA-4); the caller commits."""
    access_key, secret_key = (
        "".join(secrets.choice(API_KEY_CHARACTERS) for _ in range(API_KEY_LENGTH)) for _ in range(2)
    )
    session.add(ApiKey(access_key=access_key, secret_hash=hash_password(secret_key), name=name, researcher=researcher))
    return access_key, secret_key


def least_password(researcher: Researcher) -> int:
    """How many characters a password of this person has at least (PORTAL-40)."""
    return LEAST_PASSWORD_OF_SITE_ADMIN if researcher.is_site_admin else LEAST_PASSWORD


def password_problem(password: str, least: int) -> str | None:
    """Why a self-chosen password is refused, in a sentence, or None (PORTAL-40)."""
    if len(password) < least:
        return f"At least {least} characters."
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    if not all(re.search(kind, password) for kind in kinds):
        return "At least one lower-case letter, one upper-case letter, one digit and one other character."
    return None
