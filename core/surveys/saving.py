"""Creating, saving and deleting surveys, with the versions and events that follow (SURVEY-2, SURVEY-3, SURVEY-4).

Content and settings saved here are published at once; drafts are in `core.surveys.drafts` (SURVEY-5).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.wordings import record_wordings_of_versions
from core.audit import Actor, record
from core.models import Schedule, Study, Survey, SurveyType, SurveyVersion
from core.models.audit_record import Action
from core.surveys.content import (
    content_to_store,
    decoded_content,
    decoded_settings,
    questions_to_store,
    settings_to_store,
    settings_without_zero,
)
from core.surveys.locking import lock_survey, lock_survey_or_deleted
from core.surveys.rebuilding import update_events_of_study
from core.surveys.schedules import ScheduleKind, Timing
from core.surveys.scheduling import replace_timings

NEW_SETTINGS: dict[SurveyType, dict[str, Any]] = {
    SurveyType.TRACKING: {},
    SurveyType.AUDIO: {"audio_survey_type": "compressed", "bit_rate": 64_000, "sample_rate": 44_100},
}


@dataclass(frozen=True)
class SurveyChanges:
    """What to save of a survey; None, or a kind of timings that is not named, leaves what is there (SURVEY-30).

    `content` and `settings` may be encoded as JSON texts several times over (SURVEY-19).
    """

    name: str | None = None
    survey_type: SurveyType | None = None
    content: Any = None
    settings: Any = None
    timings: Mapping[ScheduleKind, Sequence[Timing]] = field(default_factory=dict)


def create_survey(session: Session, study: Study, survey_type: SurveyType, now: datetime, *, actor: Actor) -> Survey:
    """A survey without name, content and schedules (SURVEY-2, PHONE-50); the caller commits.

    No phone gets it, and it has no version, until content or settings are published (SURVEY-5).
    """
    settings = json.dumps(NEW_SETTINGS[survey_type])
    survey = Survey(study_id=study.id, survey_type=survey_type.value, name="", content="[]", settings=settings)
    session.add(survey)
    session.flush()
    record(session, actor, Action.SURVEY_CREATE, study=study, survey=survey.object_id)
    return survey


def add_survey(
    session: Session, study: Study, survey_type: SurveyType, what: SurveyChanges, now: datetime, *, actor: Actor
) -> Survey:
    """A published survey with name, content, settings and schedules, in one version.

    The caller commits, and rebuilds events. Raises ContentRefused and TimingRefused, upon which the caller rolls back.
    """
    survey = Survey(
        study_id=study.id,
        survey_type=survey_type.value,
        name=what.name or "",
        content=json.dumps(questions_to_store(decoded_content(what.content or []))),
        settings=json.dumps(settings_without_zero(decoded_settings(what.settings or {}))),
        published_at=now,
    )
    session.add(survey)
    session.flush()
    add_version(session, survey, now)
    for kind, timings in what.timings.items():
        replace_timings(session, survey, kind, timings, now)
    record(session, actor, Action.SURVEY_CREATE, study=study, survey=survey.object_id)
    return survey


def save_survey(session: Session, survey: Survey, changes: SurveyChanges, now: datetime, *, actor: Actor) -> None:
    """Saves these changes, one editor at a time; the caller commits. What is equal to before changes nothing.

    Content, type or settings are published with it. Raises ContentRefused, TimingRefused and SurveyDeleted, upon which
    the caller rolls back.
    """
    content = None if changes.content is None else decoded_content(changes.content)
    settings = None if changes.settings is None else decoded_settings(changes.settings)
    lock_survey(session, survey)
    if changes.name is not None:
        survey.name = changes.name
    is_first = survey.published_at is None
    if content is not None or settings is not None or changes.survey_type is not None:
        publish(session, survey, content, settings, now, survey_type=changes.survey_type)
    for kind, timings in changes.timings.items():
        replace_timings(session, survey, kind, timings, now)
    if changes.timings or changes.survey_type is not None or (is_first and survey.published_at is not None):
        rebuild_of_survey(session, survey, now)
    record_survey(session, actor, Action.SURVEY_SAVE, survey)


def publish(
    session: Session,
    survey: Survey,
    content: list[Any] | None,
    settings: dict[str, Any] | None,
    now: datetime,
    *,
    survey_type: SurveyType | None = None,
) -> None:
    """Gives the survey, locked by the caller, this content and these settings; None leaves what is there.

    A version is written when, and only when, content, type or settings changed, or with the first publication
    (PHONE-57, SURVEY-5). After the first one the caller rebuilds events.
    """
    before = _archived(survey)
    if survey_type is not None:
        survey.survey_type = survey_type.value
    if content is not None:
        survey.content = content_to_store(content, survey.content)
    if settings is not None:
        survey.settings = settings_to_store(settings, survey.settings)
    if survey.published_at is None or _archived(survey) != before:
        survey.published_at = survey.published_at or now
        survey.edit_number += 1
        add_version(session, survey, now)


def delete_survey(session: Session, survey: Survey, now: datetime, *, actor: Actor) -> None:
    """No phone gets it any more, and its schedules and events go; the rest stays (SURVEY-4). The caller commits."""
    lock_survey_or_deleted(session, survey)
    if survey.deleted_at is not None:
        return
    survey.deleted_at = now
    record_survey(session, actor, Action.SURVEY_DELETE, survey)
    _add_version_if_published(session, survey, now)
    session.execute(sa.delete(Schedule).where(Schedule.survey_id == survey.id))
    rebuild_of_survey(session, survey, now)


def restore_survey(session: Session, survey: Survey, now: datetime, *, actor: Actor) -> None:
    """Takes a deletion back, without the schedules of before (SURVEY-4). The caller commits."""
    lock_survey_or_deleted(session, survey)
    if survey.deleted_at is None:
        return
    survey.deleted_at = None
    record_survey(session, actor, Action.SURVEY_RESTORE, survey)
    _add_version_if_published(session, survey, now)


def _add_version_if_published(session: Session, survey: Survey, now: datetime) -> None:
    if survey.published_at is not None:
        add_version(session, survey, now)


def record_survey(session: Session, actor: Actor, action: Action, survey: Survey) -> None:
    """Writes the audit row of a change of the survey."""
    record(session, actor, action, study=session.get_one(Study, survey.study_id), survey=survey.object_id)


def add_version(session: Session, survey: Survey, now: datetime) -> SurveyVersion:
    """The survey as it is from now on; the newest version also when a clock was set back (SURVEY-3)."""
    session.flush()
    newest = session.scalar(
        sa.select(sa.func.max(SurveyVersion.started_at)).where(SurveyVersion.survey_id == survey.id)
    )
    started_at = max(now, newest + timedelta(microseconds=1)) if newest else now
    survey_type, content, settings, is_deleted = _archived(survey)
    version = SurveyVersion(
        survey_id=survey.id,
        started_at=started_at,
        survey_type=survey_type,
        content=content,
        settings=settings,
        is_deleted=is_deleted,
    )
    session.add(version)
    session.flush()
    record_wordings_of_versions(session, survey.id)
    return version


def rebuild_of_survey(session: Session, survey: Survey, now: datetime) -> None:
    """Brings the survey's events into step (NOTIF-7)."""
    study = session.get_one(Study, survey.study_id)
    update_events_of_study(session, study, now, survey_id=survey.id)


def _archived(survey: Survey) -> tuple[str, str, str, bool]:
    """The four things whose change makes a version."""
    return survey.survey_type, survey.content, survey.settings, survey.deleted_at is not None
