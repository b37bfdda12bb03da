"""Translations of surveys: saved by editors, and chosen for each participant's language (CLAR-55, CLAR-59)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor
from core.bulk import is_one_of
from core.models import Participant, StudyLanguage, Survey, SurveyTranslation
from core.models.audit_record import Action
from core.storable import not_storable
from core.studies.languages import codes_of_participants
from core.surveys.content import decoded_content
from core.surveys.drafts import draft_of
from core.surveys.former_translations import former_texts_of_surveys, keep_translations
from core.surveys.locking import lock_survey
from core.surveys.rules.translating import Coverage, TranslationRefused, coverage, texts_of, translated
from core.surveys.saving import record_survey

LONGEST_NAME = 500


class TranslationMoved(Exception):
    """Somebody else saved this translation since it was read; nothing was saved."""


@dataclass(frozen=True)
class Translated:
    """A survey in one language, as an editor sees it: how much there is, by whom and when it was saved last.

    `edit_number` is 0 while there is none.
    """

    language: StudyLanguage
    name: str
    coverage: Coverage
    edit_number: int = 0
    saved_at: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every text is translated."""
        return self.coverage.done == self.coverage.total


def translations_of(session: Session, survey: Survey, content: list[Any]) -> list[Translated]:
    """The survey in each language of its study but the base language, by name; `content` is what is translated."""
    query = (
        sa.select(StudyLanguage, SurveyTranslation)
        .outerjoin(
            SurveyTranslation,
            sa.and_(SurveyTranslation.language_id == StudyLanguage.id, SurveyTranslation.survey_id == survey.id),
        )
        .where(StudyLanguage.study_id == survey.study_id, StudyLanguage.is_base.is_(False))
        .order_by(StudyLanguage.name, StudyLanguage.id)
    )
    return [_translated(language, row, content) for language, row in session.execute(query)]


def save_translation(
    session: Session,
    survey: Survey,
    language: StudyLanguage,
    name: str,
    typed: Mapping[str, str],
    edit_number: int,
    now: datetime,
    *,
    actor: Actor,
) -> Translated:
    """Saves the texts of one language, by the fields of their places; participants get them at their next look.

    They are made for the draft if there is one; those of the published texts stay. An empty text is taken from the base
    language. The caller commits. Raises TranslationRefused, TranslationMoved, SurveyDeleted, ContentRefused.
    """
    if language.is_base or language.study_id != survey.study_id:
        raise TranslationRefused("The base language is that of the survey itself.")
    lock_survey(session, survey)
    row = session.get(SurveyTranslation, (survey.id, language.id), populate_existing=True)
    if edit_number != (row.edit_number if row else 0):
        raise TranslationMoved
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        raise TranslationRefused(f"A name has at most {LONGEST_NAME} characters.", "name")
    for place, reason in not_storable({"name": name, **typed}, ""):
        raise TranslationRefused(f"This text {reason}.", place.lstrip("."))
    content = newest_content(session, survey)
    published = decoded_content(survey.content, is_null_empty=True)
    texts = texts_of(content, typed, row.texts if row else {}, published)
    if row is None:
        row = SurveyTranslation(survey_id=survey.id, language_id=language.id, edit_number=0)
        session.add(row)
    elif row.texts != texts:
        keep_translations(
            session, now, SurveyTranslation.survey_id == survey.id, SurveyTranslation.language_id == language.id
        )
    row.name, row.texts = name or None, texts
    row.edit_number += 1
    row.saved_at, row.researcher_id = now, actor.id
    record_survey(session, actor, Action.SURVEY_TRANSLATE, survey)
    session.flush()
    return _translated(language, row, content)


def newest_content(session: Session, survey: Survey) -> list[Any]:
    """The content that editors translate: the draft's, or the published one. Raises ContentRefused."""
    return decoded_content(draft_of(session, survey).content, is_null_empty=True)


def in_language(session: Session, survey: Survey, language: StudyLanguage, content: list[Any]) -> list[Any]:
    """This content of the survey as participants with that language get it."""
    row = session.get(SurveyTranslation, (survey.id, language.id))
    return translated(content, row.texts) if row else content


def translations_for(session: Session, participant: Participant) -> dict[int, SurveyTranslation]:
    """The translations that this participant gets, by the survey's number; at most two queries."""
    code = codes_of_participants(session, [participant.id]).get(participant.id)
    if code is None:
        return {}
    query = (
        sa.select(SurveyTranslation)
        .join(StudyLanguage, StudyLanguage.id == SurveyTranslation.language_id)
        .where(StudyLanguage.study_id == participant.study_id, StudyLanguage.code == code)
    )
    return {row.survey_id: row for row in session.scalars(query)}


def texts_of_surveys(session: Session, survey_ids: Collection[int]) -> dict[int, list[Mapping[str, Any]]]:
    """All translations of these surveys, then former ones, for reading answers that came in any; two queries."""
    query = sa.select(SurveyTranslation.survey_id, SurveyTranslation.texts).where(
        is_one_of(SurveyTranslation.survey_id, survey_ids)
    )
    found: dict[int, list[Mapping[str, Any]]] = {}
    for survey_id, texts in session.execute(query):
        found.setdefault(survey_id, []).append(texts)
    for survey_id, former in former_texts_of_surveys(session, survey_ids).items():
        found.setdefault(survey_id, []).extend(former)
    return found


def _translated(language: StudyLanguage, row: SurveyTranslation | None, content: list[Any]) -> Translated:
    if row is None:
        return Translated(language, "", coverage(content, {}))
    return Translated(language, row.name or "", coverage(content, row.texts), row.edit_number, row.saved_at)
