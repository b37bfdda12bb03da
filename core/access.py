"""Roles and what each may do (PERM-4): one table, asked by name by every page, command and endpoint.

What is not listed is refused.
"""

from enum import StrEnum


class Role(StrEnum):
    """A researcher's relation to one study. Site administrators need none (PERM-1)."""

    STUDY_ADMIN = "study_admin"
    STUDY_RESEARCHER = "study_researcher"


class Capability(StrEnum):
    """Something that a person or a program may be allowed to do in a study."""

    VIEW_STUDY = "view the study"
    ADD_PARTICIPANTS = "add participants"
    DOWNLOAD_DATA = "download data"


ALLOWED: dict[Capability, frozenset[Role]] = {
    Capability.VIEW_STUDY: frozenset(Role),
    Capability.ADD_PARTICIPANTS: frozenset(Role),
    Capability.DOWNLOAD_DATA: frozenset(Role),
}


def may(capability: Capability, *, role: Role | None, is_site_admin: bool) -> bool:
    """Whether a researcher with this role in the study (None: no relation) may do it."""
    return is_site_admin or (role is not None and role in ALLOWED[capability])
