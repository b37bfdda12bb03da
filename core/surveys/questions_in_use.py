"""Ids of questions that a study has already (CLAR-50)."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Survey, SurveyDraft
from core.surveys.content import ContentRefused, decoded_content
from core.surveys.rules.sentences import numbered


def question_ids_of(session: Session, study_id: int) -> set[str]:
    """Of all the study's surveys, deleted ones and drafts included; one query."""
    published = sa.select(Survey.content).where(Survey.study_id == study_id)
    drafted = sa.select(SurveyDraft.content).join(Survey, Survey.id == SurveyDraft.survey_id)
    found: set[str] = set()
    for content in session.scalars(published.union_all(drafted.where(Survey.study_id == study_id))):
        try:
            found |= numbered(decoded_content(content, is_null_empty=True)).keys()
        except ContentRefused:
            continue
    return found
