"""Exporting a study's settings file (SURVEY-50)."""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AppSettings, CustomField, Intervention, Schedule, Study, Survey, SurveyExpiry
from core.studies.settings_file.languages import written_languages, written_of_surveys
from core.studies.settings_versions import values_of
from core.surveys.content import decoded_content, decoded_settings
from core.surveys.schedules import Absolute, Arm, Random, Relative, Weekly
from core.surveys.timing_lists import random_entry, seconds_of_day
from core.surveys.timing_rows import arm_of, timing_of


@dataclass(frozen=True)
class Names:
    """Names of interventions and custom fields, by number."""

    interventions: dict[int, str]
    fields: dict[int, str]


def study_file(session: Session, study: Study) -> dict[str, Any]:
    """The file as an object; it says nothing of participants or the server. Nine queries, ten with languages,
    and four for each survey with scores.

    Raises ContentRefused where a stored survey cannot be read.
    """
    names: dict[int, str] = {
        row.id: row.name for row in session.execute(_of_study(sa.select(Intervention.id, Intervention.name), study))
    }
    fields = sa.select(CustomField.id, CustomField.name).where(CustomField.study_id == study.id)
    all_names = Names(names, dict(session.execute(fields).tuples().all()))
    surveys = session.scalars(
        sa.select(Survey)
        .where(Survey.study_id == study.id, Survey.deleted_at.is_(None), Survey.published_at.is_not(None))
        .order_by(Survey.id)
    ).all()
    settings = session.scalars(sa.select(AppSettings).where(AppSettings.study_id == study.id)).one()
    schedules: dict[int, list[Schedule]] = {}
    query = sa.select(Schedule).where(
        Schedule.survey_id.in_([survey.id for survey in surveys]), Schedule.ends_after.is_(None)
    )
    for schedule in session.scalars(query.order_by(Schedule.id)):
        schedules.setdefault(schedule.survey_id, []).append(schedule)
    own = sa.select(SurveyExpiry.survey_id, SurveyExpiry.minutes).join(Survey, Survey.id == SurveyExpiry.survey_id)
    expiries = dict(session.execute(own.where(Survey.study_id == study.id)).tuples().all())
    more = written_of_surveys(session, surveys)
    return {
        "surveys": [
            _survey(survey, schedules.get(survey.id, []), all_names, expiries.get(survey.id)) | more.get(survey.id, {})
            for survey in surveys
        ],
        "device_settings": values_of(settings),
        "interventions": list(names.values()),
        "study_time_zone": study.timezone_name,
        **written_languages(session, study),
    }


def study_file_text(session: Session, study: Study) -> str:
    """The file as JSON text."""
    return json.dumps(study_file(session, study), ensure_ascii=False, indent=1)


def file_name(study: Study) -> str:
    """The name of the download: the study's, with `_` for spaces (PORTAL section 8)."""
    return f"{study.name.replace(' ', '_')}_surveys_and_settings.json"


def _survey(survey: Survey, schedules: list[Schedule], names: Names, expiry_minutes: int | None) -> dict[str, Any]:
    """The survey; keys that the existing platform does not know are there only where they say something (CLAR-55)."""
    by_arm: dict[Arm | None, list[Schedule]] = {None: []}
    for schedule in schedules:
        by_arm.setdefault(arm_of(schedule), []).append(schedule)
    written = {
        "content": decoded_content(survey.content, is_null_empty=True),
        "settings": decoded_settings(survey.settings, is_null_empty=True),
        "survey_type": survey.survey_type,
        "name": survey.name,
        **_timings(by_arm.pop(None), names),
    }
    if by_arm:
        written["arm_timings"] = [
            {"field": names.fields[int(arm.field)], "value": arm.value, **_timings(of_arm, names)}
            for arm, of_arm in by_arm.items()
            if arm
        ]
    if expiry_minutes is not None:
        written["expiry_minutes"] = expiry_minutes
    return written


def _timings(schedules: list[Schedule], names: Names) -> dict[str, Any]:
    week: list[list[int]] = [[] for _ in range(7)]
    absolute: list[list[int]] = []
    relative: list[list[Any]] = []
    random: list[list[Any]] = []
    for schedule in schedules:
        match timing_of(schedule):
            case Weekly(weekday, at):
                week[weekday].append(seconds_of_day(at))
            case Absolute(on, at):
                absolute.append([on.year, on.month, on.day, seconds_of_day(at)])
            case Relative(intervention, days_after, at):
                relative.append([names.interventions[int(intervention)], days_after, seconds_of_day(at)])
            case Random() as timing:
                random.append(random_entry(timing))
    written = {
        "timings": [sorted(day) for day in week],
        "absolute_timings": absolute,
        "relative_timings": relative,
    }
    return written | {"random_timings": random} if random else written


def _of_study(query: sa.Select[Any], study: Study) -> sa.Select[Any]:
    return query.where(Intervention.study_id == study.id).order_by(Intervention.id)
