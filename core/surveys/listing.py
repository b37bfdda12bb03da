"""What pages show of a study's surveys: the list, one survey, its versions and schedules."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AppSettings, Intervention, Schedule, Survey, SurveyDraft, SurveyType, SurveyVersion
from core.surveys.content import ContentRefused, decoded_content
from core.surveys.schedules import ScheduleKind


@dataclass(frozen=True)
class SurveyLine:
    """A survey in a list: how many questions, schedules by kind and versions it has, and when its content changed.

    Questions are counted in the draft while nothing is published.
    """

    survey: Survey
    questions: int
    schedules: dict[ScheduleKind, int]
    versions: int
    changed_at: datetime | None
    has_draft: bool

    @property
    def is_audio(self) -> bool:
        return self.survey.survey_type == SurveyType.AUDIO


def survey_lines(session: Session, study_id: int, *, deleted: bool = False) -> list[SurveyLine]:
    """The study's surveys of types that phones show, by name; with `deleted` the deleted ones. Four queries."""
    is_there = Survey.deleted_at.is_not(None) if deleted else Survey.deleted_at.is_(None)
    surveys = session.scalars(
        sa.select(Survey)
        .where(Survey.study_id == study_id, is_there, Survey.survey_type.in_(list(SurveyType)))
        .order_by(sa.func.lower(Survey.name), Survey.id)
    ).all()
    numbers = [survey.id for survey in surveys]
    schedules: dict[int, Counter[ScheduleKind]] = defaultdict(Counter)
    of_kind = sa.select(Schedule.survey_id, Schedule.kind, sa.func.count())
    of_kind = of_kind.where(Schedule.survey_id.in_(numbers), Schedule.ends_after.is_(None))
    for number, kind, count in session.execute(of_kind.group_by(Schedule.survey_id, Schedule.kind)):
        schedules[number][ScheduleKind(kind)] = count
    history = session.execute(
        sa.select(SurveyVersion.survey_id, sa.func.count(), sa.func.max(SurveyVersion.started_at))
        .where(SurveyVersion.survey_id.in_(numbers))
        .group_by(SurveyVersion.survey_id)
    )
    versions = {number: (count, changed_at) for number, count, changed_at in history}
    drafts: dict[int, str] = {
        row.survey_id: row.content
        for row in session.execute(
            sa.select(SurveyDraft.survey_id, SurveyDraft.content).where(SurveyDraft.survey_id.in_(numbers))
        )
    }
    return [
        SurveyLine(
            survey,
            _questions(survey.content if survey.published_at else drafts.get(survey.id, survey.content)),
            dict(schedules[survey.id]),
            *versions.get(survey.id, (0, None)),
            survey.id in drafts,
        )
        for survey in surveys
    ]


def _questions(content: str) -> int:
    try:
        return len(decoded_content(content, is_null_empty=True))
    except ContentRefused:
        return 0


def survey_of_study(session: Session, study_id: int, number: int, *, deleted: bool = False) -> Survey | None:
    """The survey with that number in the study; None if it is elsewhere, or deleted (with `deleted`: or not)."""
    survey = session.get(Survey, number)
    if survey is None or survey.study_id != study_id or (survey.deleted_at is not None) != deleted:
        return None
    return survey


def versions_of(session: Session, survey: Survey) -> list[SurveyVersion]:
    """The survey's versions, newest first."""
    query = sa.select(SurveyVersion).where(SurveyVersion.survey_id == survey.id)
    return list(session.scalars(query.order_by(SurveyVersion.started_at.desc())))


def schedules_of(session: Session, survey: Survey) -> list[tuple[Schedule, str | None]]:
    """The survey's schedules in the order of their times, each with the name of its intervention if it has one.

    Without those that were removed and still ask until a day is over.
    """
    rows = session.execute(
        sa.select(Schedule, Intervention.name)
        .outerjoin(Intervention, Intervention.id == Schedule.intervention_id)
        .where(Schedule.survey_id == survey.id, Schedule.ends_after.is_(None))
        .order_by(Schedule.kind.desc(), Schedule.weekday, Schedule.falls_on, Schedule.days_after, Schedule.time_of_day)
    )
    return [(schedule, name) for schedule, name in rows]


def longest_recording_seconds(session: Session, study_id: int) -> int:
    """How long an answer to an audio survey of the study may be (PHONE-40)."""
    column = AppSettings.__table__.c["voice_recording_max_time_length_seconds"]
    return int(session.scalars(sa.select(column).where(AppSettings.study_id == study_id)).one())
