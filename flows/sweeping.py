"""For flows that read the whole store: a study's key prefix, and the approximate number of keys."""

import sqlalchemy as sa

from core.database import open_session
from core.models import StoredObject
from core.models.study import study_by_object_id


class NoSuchStudy(Exception):
    """A run was started with an unknown study id."""


def folder_of(study_id: str | None) -> str:
    """The key prefix of a study, or of all studies. Raises NoSuchStudy."""
    if study_id is None:
        return ""
    with open_session() as session:
        if study_by_object_id(session, study_id) is None:
            raise NoSuchStudy(f"{study_id}: there is no study with that id")
    return f"{study_id}/"


def expected_objects(*prefixes: str) -> int:
    """The number of objects that the database lists under these prefixes."""
    ranges = [
        sa.and_(StoredObject.path >= p, StoredObject.path < p[:-1] + chr(ord(p[-1]) + 1)) if p else sa.true()
        for p in prefixes
    ]
    with open_session() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(StoredObject).where(sa.or_(*ranges))) or 0
