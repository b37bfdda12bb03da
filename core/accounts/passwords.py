"""Rules for passwords that researchers choose (PORTAL-40)."""

import re

from core.models import Researcher

LEAST_PASSWORD = 8
LEAST_PASSWORD_OF_SITE_ADMIN = 20


def least_password(researcher: Researcher) -> int:
    """The minimum length of this person's password, in characters (PORTAL-40)."""
    return LEAST_PASSWORD_OF_SITE_ADMIN if researcher.is_site_admin else LEAST_PASSWORD


def password_problem(password: str, least: int) -> str | None:
    """A sentence saying why a chosen password is refused, or None if it is accepted (PORTAL-40)."""
    if len(password) < least:
        return f"At least {least} characters."
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    if not all(re.search(kind, password) for kind in kinds):
        return "At least one lower-case letter, one upper-case letter, one digit and one other character."
    return None
