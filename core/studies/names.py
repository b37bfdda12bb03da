"""Names of interventions and custom fields: one rule for both (PORTAL-173)."""

import re
import unicodedata

LONGEST_NAME = 100


class NameRefused(Exception):
    """An intervention or a field cannot be named, or removed, as asked; the message says why and what is allowed."""


def checked_label(name: str) -> str:
    """1 to 100 characters without control characters; runs of white space become one space. Raises NameRefused."""
    name = re.sub(r"\s+", " ", name).strip()
    if not 1 <= len(name) <= LONGEST_NAME or any(unicodedata.category(c) == "Cc" for c in name):
        raise NameRefused(f"A name has 1 to {LONGEST_NAME} characters.")
    return name
