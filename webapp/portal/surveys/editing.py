"""What changes surveys, at the existing platform's addresses (PORTAL-210, SURVEY-2, SURVEY-4, SURVEY-20, SURVEY-30)."""

import json
from typing import Any

from flask import abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Survey, SurveyType
from core.surveys.content import ContentRefused, decoded_content, decoded_settings
from core.surveys.rules.checking import Finding, Level
from core.surveys.rules.survey import check_survey
from core.surveys.saving import SurveyChanges, create_survey, delete_survey, restore_survey, save_survey
from core.surveys.schedules import ScheduleKind, Timing
from core.surveys.timing_lists import TimingRefused, read_timings
from webapp.portal.access.rules import requires
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import survey_page, the_survey

PLACE = "<number:study_number>/<number:survey_number>"
LONGEST_NAME = 500
TIMINGS = {
    "weekly_timings": ScheduleKind.WEEKLY,
    "absolute_timings": ScheduleKind.ABSOLUTE,
    "relative_timings": ScheduleKind.RELATIVE,
}


@surveys.post("/create_survey/<number:study_number>/<survey_type>")
@requires(Capability.SURVEY_EDIT)
def create(study_number: int, survey_type: str) -> ResponseReturnValue:
    """Adds an empty survey without a name and opens the designer; no phone gets it until it is published."""
    if survey_type not in set(SurveyType):
        abort(404, "There are tracking_survey and audio_survey.")
    survey = create_survey(db.session(), g.study, SurveyType(survey_type), g.now, actor=actor_of(g.researcher))
    db.session.commit()
    return redirect(url_for("surveys.questions", study_number=study_number, survey_number=survey.id))


@surveys.post(f"/rename_survey/{PLACE}")
@requires(Capability.SURVEY_EDIT)
def rename(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Gives the survey another name, which participants see; it may be empty."""
    survey, typed = the_survey(survey_number), request.form.get("survey_name")
    if typed is None:
        abort(400, "The form names no name: `survey_name` is missing.")
    name = " ".join(typed.split())
    if len(name) > LONGEST_NAME:
        return survey_page(survey, problem=f"A name has up to {LONGEST_NAME} characters.", typed_name=typed)
    save_survey(db.session(), survey, SurveyChanges(name=name), g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash("The survey was renamed.", "good")
    return _to(survey)


@surveys.post(f"/update_survey/{PLACE}")
@requires(Capability.SURVEY_EDIT)
def update(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Saves what the form holds, each a JSON text: content, settings and three kinds of timings (PORTAL-210).

    201 without a body; 400 with an object of question id to a sentence and its detail. Kinds that are missing stay.
    """
    survey = the_survey(survey_number)
    try:
        changes = _changes()
        content = decoded_content(survey.content if changes.content is None else changes.content, is_null_empty=True)
        settings = decoded_settings(
            survey.settings if changes.settings is None else changes.settings, is_null_empty=True
        )
        findings = check_survey(survey.survey_type, content, settings)
        if errors := [finding for finding in findings if finding.level is Level.ERROR]:
            return _errors(errors), 400
        save_survey(db.session(), survey, changes, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except (ContentRefused, TimingRefused) as refused:
        db.session.rollback()
        return {"": [str(refused), ""]}, 400
    return "", 201


@surveys.post(f"/delete_survey/{PLACE}")
@requires(Capability.SURVEY_EDIT)
def delete(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Deletes the survey and its schedules; answers and versions stay, and it can be restored (SURVEY-4)."""
    survey = the_survey(survey_number)
    delete_survey(db.session(), survey, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash(f"{survey.name or 'The survey'} was deleted. Phones drop it at their next look.", "good")
    return redirect(url_for("surveys.list", study_number=study_number))


@surveys.post(f"/restore_survey/{PLACE}")
@requires(Capability.SURVEY_EDIT)
def restore(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Takes a deletion back, without the schedules of before (SURVEY-4)."""
    survey = the_survey(survey_number, deleted=True)
    restore_survey(db.session(), survey, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash("The survey is back, without its schedules.", "good")
    return _to(survey)


def _changes() -> SurveyChanges:
    """What the form holds. Raises ContentRefused and TimingRefused."""
    form = request.form
    timings: dict[ScheduleKind, list[Timing]] = {}
    for name, kind in TIMINGS.items():
        if name in form:
            try:
                value = json.loads(form[name])
            except (ValueError, RecursionError):
                raise TimingRefused(f"{name}: not JSON") from None
            timings[kind] = read_timings(kind, value)
    return SurveyChanges(content=form.get("content"), settings=form.get("settings"), timings=timings)


def _errors(errors: list[Finding]) -> dict[str, Any]:
    """Errors as the existing platform answers them: by question id a sentence and its kind; repeated ids in a list."""
    found: dict[str, Any] = {finding.question_id: [finding.message, finding.kind] for finding in errors}
    if repeated := [finding.question_id for finding in errors if finding.kind == "duplicate_question_id"]:
        found["duplicate_uuids"] = repeated
    return found


def _to(survey: Survey) -> ResponseReturnValue:
    return redirect(url_for("surveys.page", study_number=survey.study_id, survey_number=survey.id))
