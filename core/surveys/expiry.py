"""For how long surveys can be answered: each survey's own time, or the study's (CLAR-51)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Study, Survey, SurveyExpiry
from core.surveys.rules.answerable import LEAST_MINUTES, MOST_MINUTES


class ExpiryRefused(Exception):
    """A time to answer that is too short or too long; the message says what is allowed."""


def checked_expiry(minutes: int) -> int:
    """The minutes, if surveys can be answered for so long. Raises ExpiryRefused."""
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise ExpiryRefused(f"A survey can be answered for {LEAST_MINUTES} to {MOST_MINUTES:,} minutes.")
    return minutes


def own_expiry(session: Session, survey: Survey) -> int | None:
    """The survey's own minutes; None where the study's hold."""
    return session.scalar(sa.select(SurveyExpiry.minutes).where(SurveyExpiry.survey_id == survey.id))


def expiries_of(session: Session, study: Study) -> dict[int, int]:
    """The minutes that hold for each survey of the study, deleted ones too, by its number; one query."""
    query = sa.select(Survey.id, SurveyExpiry.minutes).outerjoin(SurveyExpiry, SurveyExpiry.survey_id == Survey.id)
    rows = session.execute(query.where(Survey.study_id == study.id))
    return {number: minutes or study.survey_expiry_minutes for number, minutes in rows}


def set_expiry(session: Session, survey: Survey, minutes: int | None) -> None:
    """Gives the survey its own minutes; None gives it the study's. For the functions that save surveys.

    Raises ExpiryRefused.
    """
    if minutes is None:
        session.execute(sa.delete(SurveyExpiry).where(SurveyExpiry.survey_id == survey.id))
        return
    row = insert(SurveyExpiry).values(survey_id=survey.id, minutes=checked_expiry(minutes))
    changed = {"minutes": row.excluded.minutes}
    session.execute(row.on_conflict_do_update(index_elements=["survey_id"], set_=changed))
