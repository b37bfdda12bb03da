"""Drafts of surveys: edited at leisure, seen by no phone, and published as a version (SURVEY-5).

An editor works on what it has read, named by the survey's `edit_number`; if somebody else has saved since, its save is
refused. Drafts hold content and settings; name and schedules are saved at once. Each function that changes a draft
raises SurveyDeleted if somebody deleted the survey meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor
from core.models import Researcher, Survey, SurveyDraft, SurveyVersion
from core.models.audit_record import Action
from core.surveys.content import content_to_store, decoded_content, decoded_settings, settings_to_store
from core.surveys.locking import lock_survey
from core.surveys.rules.checking import Finding, Level
from core.surveys.rules.survey import check_survey
from core.surveys.saving import publish, rebuild_of_survey, record_survey


class DraftMoved(Exception):
    """Somebody else saved the draft, or published, since it was read; nothing was saved."""


class PublishedSince(Exception):
    """A newer version was published after the draft was begun; nothing was published."""


class NotPublishable(Exception):
    """Checking found errors; `findings` holds them, and nothing was published (SURVEY-20)."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


@dataclass(frozen=True)
class Draft:
    """What an editor of the survey begins with: the draft, or what is published where there is none.

    `content` and `settings` are JSON texts as stored; `number` is the survey's edit number. `is_stale`: a newer version
    was published since the draft was begun. `saved_by` is a name, None for a server's change or a deleted researcher.
    """

    number: int
    content: str
    settings: str
    is_saved: bool = False
    saved_at: datetime | None = None
    saved_by: str | None = None
    is_stale: bool = False


def draft_of(session: Session, survey: Survey) -> Draft:
    """The survey's draft, or what is published as the beginning of one; one query."""
    row = session.execute(
        sa.select(SurveyDraft, Researcher.username, _newest_version(survey).label("newest"))
        .outerjoin(Researcher, Researcher.id == SurveyDraft.researcher_id)
        .where(SurveyDraft.survey_id == survey.id)
    ).one_or_none()
    if row is None:
        return Draft(survey.edit_number, survey.content, survey.settings)
    draft: SurveyDraft = row[0]
    is_stale = draft.base_version_id != row.newest
    return Draft(survey.edit_number, draft.content, draft.settings, True, draft.saved_at, row.username, is_stale)


def save_draft(
    session: Session,
    survey: Survey,
    content: list[Any],
    settings: dict[str, Any],
    *,
    number: int,
    now: datetime,
    actor: Actor,
) -> Draft:
    """Saves content and settings as the survey's draft; the caller commits.

    `number` is the edit number that the editor has read. Errors in the content are allowed. A draft that is equal to
    what is published is none, and is removed. Raises DraftMoved.
    """
    _locked(session, survey, number)
    row = session.get(SurveyDraft, survey.id)
    drafted = (row.content, row.settings) if row else (survey.content, survey.settings)
    new_content = content_to_store(content, survey.content, drafted[0])
    new_settings = settings_to_store(settings, survey.settings, drafted[1])
    if (new_content, new_settings) == (survey.content, survey.settings):
        if row is not None:
            session.delete(row)
            survey.edit_number += 1
    elif row is None:
        begun = SurveyDraft(survey_id=survey.id, base_version_id=session.scalar(sa.select(_newest_version(survey))))
        _write(begun, new_content, new_settings, now, actor.id)
        session.add(begun)
        survey.edit_number += 1
        record_survey(session, actor, Action.SURVEY_DRAFT, survey)
    elif (new_content, new_settings) != drafted:
        _write(row, new_content, new_settings, now, actor.id)
        survey.edit_number += 1
    session.flush()
    return draft_of(session, survey)


def _write(row: SurveyDraft, content: str, settings: str, now: datetime, researcher_id: int | None) -> None:
    row.content, row.settings, row.saved_at, row.researcher_id = content, settings, now, researcher_id


def discard_draft(session: Session, survey: Survey, *, number: int, now: datetime, actor: Actor) -> None:
    """Removes the draft; what is published stays. The caller commits. Raises DraftMoved."""
    _locked(session, survey, number)
    if (row := session.get(SurveyDraft, survey.id)) is not None:
        session.delete(row)
        survey.edit_number += 1
        record_survey(session, actor, Action.SURVEY_DISCARD, survey)
    session.flush()


def keep_stale_draft(session: Session, survey: Survey, *, number: int, actor: Actor) -> None:
    """Lets a draft replace a version that was published after it was begun. The caller commits. Raises DraftMoved."""
    _locked(session, survey, number)
    if (row := session.get(SurveyDraft, survey.id)) is not None:
        row.base_version_id = session.scalar(sa.select(_newest_version(survey)))
        survey.edit_number += 1
        record_survey(session, actor, Action.SURVEY_DRAFT, survey)
    session.flush()


def publish_draft(session: Session, survey: Survey, *, number: int, now: datetime, actor: Actor) -> bool:
    """Publishes the draft, or a new survey for the first time, as a version; the caller commits.

    Tells whether a version was written: publishing what is published already changes nothing. Raises DraftMoved,
    PublishedSince and NotPublishable.
    """
    _locked(session, survey, number)
    draft = draft_of(session, survey)
    if draft.is_stale:
        raise PublishedSince
    content = decoded_content(draft.content, is_null_empty=True)
    settings = decoded_settings(draft.settings, is_null_empty=True)
    findings = check_survey(survey.survey_type, content, settings)
    if errors := [finding for finding in findings if finding.level is Level.ERROR]:
        raise NotPublishable(errors)
    was_published, edit_number = survey.published_at is not None, survey.edit_number
    publish(session, survey, content, settings, now)
    if (row := session.get(SurveyDraft, survey.id)) is not None:
        session.delete(row)
    session.flush()
    if survey.edit_number == edit_number:
        return False
    if not was_published:
        rebuild_of_survey(session, survey, now)
    record_survey(session, actor, Action.SURVEY_PUBLISH, survey)
    return True


def _locked(session: Session, survey: Survey, number: int) -> None:
    lock_survey(session, survey)
    if survey.edit_number != number:
        raise DraftMoved


def _newest_version(survey: Survey) -> sa.ScalarSelect[int]:
    newest = sa.select(SurveyVersion.id).where(SurveyVersion.survey_id == survey.id)
    return newest.order_by(SurveyVersion.started_at.desc()).limit(1).scalar_subquery()
