"""Shared by sweeps of the store: the keys' prefix, and their approximate number."""

import sqlalchemy as sa

from core.database import open_session
from core.models import StoredObject
from core.models.study import study_by_object_id


class NoSuchStudy(Exception):
    """The run was started with an id that no study has."""


def folder_of(study_id: str | None) -> str:
    """The prefix of a study's own keys, or of all. Raises NoSuchStudy."""
    if study_id is None:
        return ""
    with open_session() as session:
        if study_by_object_id(session, study_id) is None:
            raise NoSuchStudy(f"{study_id}: there is no study with that id")
    return f"{study_id}/"


def expected_objects(*prefixes: str) -> int:
    """How many objects the rows know under these prefixes."""
    ranges = [
        sa.and_(StoredObject.path >= p, StoredObject.path < p[:-1] + chr(ord(p[-1]) + 1)) if p else sa.true()
        for p in prefixes
    ]
    with open_session() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(StoredObject).where(sa.or_(*ranges))) or 0
