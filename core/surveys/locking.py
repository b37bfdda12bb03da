"""One editor of a survey at a time."""

from sqlalchemy.orm import Session

from core.models import Survey


class SurveyDeleted(Exception):
    """Somebody deleted the survey since it was read; nothing was saved."""


def lock_survey(session: Session, survey: Survey) -> None:
    """Locks the survey until the transaction ends, and reads it anew. Raises SurveyDeleted (SURVEY-4)."""
    lock_survey_or_deleted(session, survey)
    if survey.deleted_at is not None:
        raise SurveyDeleted


def lock_survey_or_deleted(session: Session, survey: Survey) -> None:
    """Locks the survey, deleted or not, until the transaction ends, and reads it anew."""
    session.flush()  # what is not written yet, such as a new name, would be lost
    session.refresh(survey, with_for_update={"key_share": True})
