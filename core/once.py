"""Does once what a form asks that is sent in twice."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import UsedForm


def is_first_use(session: Session, key: UUID) -> bool:
    """Whether the form with this key is sent in for the first time; notes it. The caller commits.

    A second request waits until the first one has committed, and is then not the first; if that was rolled back, it is.
    """
    note = insert(UsedForm).values(key=key).on_conflict_do_nothing().returning(UsedForm.key)
    return session.scalar(note) is not None
