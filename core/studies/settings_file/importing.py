"""Importing a settings file: what it would do, and doing it in one transaction (SURVEY-51 to SURVEY-54)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.scores import add_scores
from core.audit import Actor, record
from core.models import AppSettings, CustomField, Intervention, Study
from core.models.audit_record import Action
from core.studies.changing import set_timezone
from core.studies.custom_fields import create_field
from core.studies.interventions import create_intervention
from core.studies.languages import LanguageRefused, set_language_field
from core.studies.names import NameRefused
from core.studies.settings_changes import save_app_settings
from core.studies.settings_file.languages import LanguageInFile, add_languages, add_translations, new_languages
from core.studies.settings_file.reading import (
    StudyFile,
    SurveyInFile,
    Told,
    named_fields,
    named_interventions,
    old_numbers,
)
from core.studies.settings_versions import values_of
from core.surveys.questions_in_use import question_ids_of
from core.surveys.rebuilding import update_events_of_study
from core.surveys.rules.renewing import new_names, with_new_ids
from core.surveys.saving import SurveyChanges, add_survey
from core.surveys.schedules import Arm, Planned, Relative, Timing
from core.surveys.scheduling import ScheduleChanges, apply_schedules

NAMED_ERRORS = 20


class ImportRefused(Exception):
    """The file has errors, so that nothing of it is imported."""


@dataclass(frozen=True)
class Ticks:
    """Which parts of the file are imported; interventions always are (PORTAL-97)."""

    settings: bool = True
    surveys: bool = True
    timezone: bool = False


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do; with errors nothing is done.

    `settings` lists name, old and new value of those that differ; `surveys` those to add; `interventions` new names;
    `fields` new names of the custom fields by which the surveys' arms are divided, or languages told; `languages` those
    to add (CLAR-55).
    """

    file: StudyFile
    ticks: Ticks
    settings: list[tuple[str, Any, Any]]
    surveys: list[SurveyInFile]
    interventions: list[str]
    fields: list[str]
    languages: list[LanguageInFile]
    timezone: tuple[str, str] | None
    errors: list[Told]

    def as_json(self) -> dict[str, Any]:
        """For `--dry-run`: names, places and values."""
        return {
            "settings": [{"name": name, "old": old, "new": new} for name, old, new in self.settings],
            "surveys": [
                {"name": s.name, "survey_type": s.survey_type, "questions": len(s.content)} for s in self.surveys
            ],
            "interventions": self.interventions,
            **({"fields": self.fields} if self.fields else {}),
            **({"languages": [each.name for each in self.languages]} if self.languages else {}),
            "timezone": self.timezone,
            "errors": [{"place": told.place, "message": told.message} for told in self.errors],
            "warnings": [{"place": told.place, "message": told.message} for told in self.file.warnings],
        }


def plan_import(session: Session, study: Study, file: StudyFile, ticks: Ticks) -> ImportPlan:
    """Compares the file with the study; at most four queries."""
    present = set(session.scalars(sa.select(Intervention.name).where(Intervention.study_id == study.id)))
    lower = {name.lower() for name in present}
    new = [name for name in file.interventions if name.lower() not in lower]
    new += [_free_name(n, lower | {name.lower() for name in new}) for n in range(len(old_numbers(file)))]
    known = lower | {name.lower() for name in file.interventions}
    errors = list(file.errors)
    for name, place in named_interventions(file).items():
        if name.lower() not in known:
            errors.append(Told(place, f"there is no intervention {name}"))
    settings: list[tuple[str, Any, Any]] = []
    if ticks.settings:
        row = session.scalars(sa.select(AppSettings).where(AppSettings.study_id == study.id)).one()
        before = values_of(row)
        wanted = _settings(file, before)
        settings = [(name, before[name], value) for name, value in wanted.items() if value != before[name]]
    languages = (
        new_languages(session, study, file.languages, lambda at, why: errors.append(Told(at, why)))
        if ticks.surveys
        else []
    )
    zone = file.timezone_name if ticks.timezone else None
    return ImportPlan(
        file=file,
        ticks=ticks,
        settings=settings,
        surveys=file.surveys if ticks.surveys else [],
        interventions=new,
        fields=_new_fields(session, study, file) if ticks.surveys else [],
        languages=languages,
        timezone=(study.timezone_name, zone) if zone and zone != study.timezone_name else None,
        errors=errors,
    )


def import_file(session: Session, study: Study, plan: ImportPlan, now: datetime, *, actor: Actor) -> bool:
    """Does what the plan says; the caller commits. Tells whether events wait for `rebuild-schedules`.

    Questions whose ids the study has already get new ones, and the logic follows (CLAR-50). Raises ImportRefused.
    """
    if plan.errors:
        first = "; ".join(f"{told.place}: {told.message}" for told in plan.errors[:NAMED_ERRORS])
        raise ImportRefused(f"{first}{' …' if len(plan.errors) > NAMED_ERRORS else ''}")
    file = plan.file
    numbers = old_numbers(file)
    first_of_numbers = len(plan.interventions) - len(numbers)
    by_name = {i.name.lower(): i.id for i in session.scalars(sa.select(Intervention).filter_by(study_id=study.id))}
    by_number: dict[int, int] = {}
    for place, name in enumerate(plan.interventions):
        try:
            made = create_intervention(session, study, name, actor=actor)
        except NameRefused as refused:  # added since the plan was made
            raise ImportRefused(str(refused)) from None
        session.flush()
        by_name[name.lower()] = made.id
        if place >= first_of_numbers:
            by_number[numbers[place - first_of_numbers]] = made.id
    if plan.settings:
        save_app_settings(session, study, {name: new for name, _, new in plan.settings}, now, actor=actor)
    for name in plan.fields:
        try:
            create_field(session, study, name, actor=actor)
        except NameRefused as refused:  # added since the plan was made
            raise ImportRefused(str(refused)) from None
    session.flush()
    fields = sa.select(CustomField).filter_by(study_id=study.id)
    by_field = {field.name.lower(): field for field in session.scalars(fields)}
    numbered = Numbers(by_name, by_number, {name: field.id for name, field in by_field.items()})
    _add_languages(session, study, plan, by_field, actor)
    taken = question_ids_of(session, study.id) if plan.surveys else set[str]()
    for survey in plan.surveys:
        _add(session, study, survey, numbered, taken, now, actor)
    record(session, actor, Action.STUDY_IMPORT, study=study, settings=len(plan.settings), surveys=len(plan.surveys))
    waits = set_timezone(session, study, plan.timezone[1], now, actor=actor) if plan.timezone else False
    return (update_events_of_study(session, study, now) if plan.surveys else False) or waits


def _settings(file: StudyFile, before: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the file; consent sections that it lacks keep the study's texts (SURVEY-52)."""
    wanted = dict(file.settings)
    if "consent_sections" in wanted:
        wanted["consent_sections"] = before["consent_sections"] | wanted["consent_sections"]
    return wanted


def _free_name(number: int, taken: Iterable[str]) -> str:
    """`Intervention 0`, with a suffix where the study has one of that name (SURVEY-51)."""
    name, suffix = f"Intervention {number}", 2
    while name.lower() in taken:
        name, suffix = f"Intervention {number} ({suffix})", suffix + 1
    return name


def _new_fields(session: Session, study: Study, file: StudyFile) -> list[str]:
    """Names of the file's fields that the study lacks."""
    wanted = named_fields(file)
    if file.language_field and study.language_field_id is None:
        wanted += [file.language_field] if file.language_field.lower() not in map(str.lower, wanted) else []
    if not wanted:
        return []
    present = session.scalars(sa.select(CustomField.name).where(CustomField.study_id == study.id))
    lower = {name.lower() for name in present}
    return [name for name in wanted if name.lower() not in lower]


@dataclass(frozen=True)
class Numbers:
    """Numbers of the study's interventions, by name and by the integers of old files, and of its fields by name."""

    interventions: Mapping[str, int]
    old_interventions: Mapping[int, int]
    fields: Mapping[str, int]

    def planned(self, timing: Timing, arm: Arm | None) -> Planned:
        """The timing and arm of a file by the study's numbers."""
        if isinstance(timing, Relative):
            of = timing.intervention
            number = self.old_interventions[of] if isinstance(of, int) else self.interventions[of.lower()]
            timing = replace(timing, intervention=number)
        return Planned(timing, Arm(self.fields[str(arm.field).lower()], arm.value) if arm else None)


def _add_languages(
    session: Session, study: Study, plan: ImportPlan, fields: Mapping[str, CustomField], actor: Actor
) -> None:
    """The file's languages, and the field that tells them unless the study has one."""
    if not plan.ticks.surveys:
        return
    try:
        add_languages(session, study, plan.languages, actor=actor)
    except LanguageRefused as refused:  # added since the plan was made
        raise ImportRefused(str(refused)) from None
    if plan.file.language_field and study.language_field_id is None:
        set_language_field(session, study, fields[plan.file.language_field.lower()], actor=actor)


def _add(
    session: Session,
    study: Study,
    survey: SurveyInFile,
    numbers: Numbers,
    taken: set[str],
    now: datetime,
    actor: Actor,
) -> None:
    content = with_new_ids(survey.content, taken)
    what = SurveyChanges(survey.name, content=content, settings=survey.settings)
    assert survey.survey_type is not None
    added = add_survey(session, study, survey.survey_type, what, now, actor=actor)
    planned = [numbers.planned(timing, arm) for _, arm, _, listed in survey.all_timings() for timing in listed]
    apply_schedules(session, added, ScheduleChanges(planned, survey.expiry_minutes), now)
    names = new_names(survey.content, content)
    add_translations(session, added, content, survey.translations, names, now, actor=actor)
    add_scores(session, added, survey.scores, names, actor=actor)
