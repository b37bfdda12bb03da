"""Rules for passwords that researchers choose (PORTAL-40)."""

import re
from threading import Lock

from zxcvbn import zxcvbn

LEAST_PASSWORD = 8
LEAST_PASSWORD_OF_SITE_ADMIN = 20
LONGEST_PASSWORD = 128
WEAKEST_SCORE = 2
"""Of 0 to 4: fewer than a million guesses are refused, which covers common and breached passwords."""

KINDS = {
    "a lower-case letter": re.compile("[a-z]"),
    "an upper-case letter": re.compile("[A-Z]"),
    "a digit": re.compile("[0-9]"),
    "another character; a space counts": re.compile("[^A-Za-z0-9]"),
}
STRENGTHS = ("very weak", "weak", "fair", "good", "strong")
_estimating = Lock()  # zxcvbn keeps the user's own words in a global table


def password_problem(password: str, least: int, username: str = "") -> str | None:
    """A sentence saying why a chosen password is refused, or None if it is accepted (PORTAL-40)."""
    if len(password) < least:
        return f"At least {least} characters."
    if len(password) > LONGEST_PASSWORD:
        return f"At most {LONGEST_PASSWORD} characters."
    if not all(kind.search(password) for kind in KINDS.values()):
        return "At least one lower-case letter, one upper-case letter, one digit and one other character."
    if password_score(password, username) < WEAKEST_SCORE:
        return "This password is too easy to guess: lists of common passwords have it or one like it."
    return None


def password_score(password: str, username: str = "") -> int:
    """How hard the password is to guess, from 0 (at once) to 4 (more than 10^10 guesses), as zxcvbn estimates it.

    Only the first 128 characters count. The user name, and the name of the platform, count as known words.
    """
    with _estimating:
        found = zxcvbn(password[:LONGEST_PASSWORD], user_inputs=[username, "beiwe"], max_length=LONGEST_PASSWORD)
    return int(found["score"])


def password_rules(password: str, least: int, username: str = "") -> list[tuple[str, bool]]:
    """Each rule in words, and whether the password keeps it, for a list that follows the typing."""
    rules = [(f"{least} characters or more", len(password) >= least)]
    rules += [(words, bool(kind.search(password))) for words, kind in KINDS.items()]
    return [*rules, ("not a common password", bool(password) and password_score(password, username) >= WEAKEST_SCORE)]
