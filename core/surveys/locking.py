"""One editor of a survey at a time."""

from sqlalchemy.orm import Session

from core.models import Survey


def lock_survey(session: Session, survey: Survey) -> None:
    """Locks the row until the transaction ends, and reads it anew.

    What the caller has set of it is written first: reading would forget it.
    """
    session.flush()
    session.refresh(survey, with_for_update={"key_share": True})
