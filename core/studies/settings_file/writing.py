"""Exporting a study's settings file (SURVEY-50)."""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AppSettings, Intervention, Schedule, Study, Survey
from core.studies.settings_versions import values_of
from core.surveys.content import decoded_content, decoded_settings
from core.surveys.schedules import Absolute, Relative, Weekly
from core.surveys.timing_lists import seconds_of_day
from core.surveys.timing_rows import timing_of


def study_file(session: Session, study: Study) -> dict[str, Any]:
    """The file as an object; it says nothing of participants or the server. Four queries.

    Raises ContentRefused where a stored survey cannot be read.
    """
    names: dict[int, str] = {
        row.id: row.name for row in session.execute(_of_study(sa.select(Intervention.id, Intervention.name), study))
    }
    surveys = session.scalars(
        sa.select(Survey)
        .where(Survey.study_id == study.id, Survey.deleted_at.is_(None), Survey.published_at.is_not(None))
        .order_by(Survey.id)
    ).all()
    settings = session.scalars(sa.select(AppSettings).where(AppSettings.study_id == study.id)).one()
    schedules: dict[int, list[Schedule]] = {}
    query = sa.select(Schedule).where(Schedule.survey_id.in_([survey.id for survey in surveys]))
    for schedule in session.scalars(query.order_by(Schedule.id)):
        schedules.setdefault(schedule.survey_id, []).append(schedule)
    return {
        "surveys": [_survey(survey, schedules.get(survey.id, []), names) for survey in surveys],
        "device_settings": values_of(settings),
        "interventions": list(names.values()),
        "study_time_zone": study.timezone_name,
    }


def study_file_text(session: Session, study: Study) -> str:
    """The file as JSON text."""
    return json.dumps(study_file(session, study), ensure_ascii=False, indent=1)


def file_name(study: Study) -> str:
    """The name of the download: the study's, with `_` for spaces (PORTAL section 8)."""
    return f"{study.name.replace(' ', '_')}_surveys_and_settings.json"


def _survey(survey: Survey, schedules: list[Schedule], names: dict[int, str]) -> dict[str, Any]:
    week: list[list[int]] = [[] for _ in range(7)]
    absolute: list[list[int]] = []
    relative: list[list[Any]] = []
    for schedule in schedules:
        match timing_of(schedule):
            case Weekly(weekday, at):
                week[weekday].append(seconds_of_day(at))
            case Absolute(on, at):
                absolute.append([on.year, on.month, on.day, seconds_of_day(at)])
            case Relative(intervention, days_after, at):
                relative.append([names[int(intervention)], days_after, seconds_of_day(at)])
    return {
        "content": decoded_content(survey.content, is_null_empty=True),
        "settings": decoded_settings(survey.settings, is_null_empty=True),
        "survey_type": survey.survey_type,
        "name": survey.name,
        "timings": [sorted(day) for day in week],
        "absolute_timings": absolute,
        "relative_timings": relative,
    }


def _of_study(query: sa.Select[Any], study: Study) -> sa.Select[Any]:
    return query.where(Intervention.study_id == study.id).order_by(Intervention.id)
