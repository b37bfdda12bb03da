"""Copying a survey, and bringing questions of another survey into a draft (CLAR-50)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability, decide
from core.audit import actor_of
from core.database import db
from core.models import Study, Survey, SurveyType
from core.models.researcher import studies_of
from core.studies.names import NameRefused
from core.surveys.content import ContentRefused
from core.surveys.copying import NothingToCopy, content_to_copy, copy_block, copy_survey
from core.surveys.drafts import DraftMoved, draft_of
from core.surveys.listing import schedules_of, survey_lines, survey_of_study
from core.surveys.rules.sentences import logic_sentence, numbered
from core.surveys.timing_lists import TimingRefused
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import counted
from webapp.portal.surveys import wording
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import SURVEY, the_survey

MOVED = "Somebody else has saved this survey since you opened this page. Choose again; your choice is kept."
MOST_NAMED = 5


@surveys.get(f"{SURVEY}/copy")
@requires(Capability.STUDY_VIEW)
def copy(study_number: int, survey_number: int) -> ResponseReturnValue:
    """What a copy brings, and the studies that it can go to."""
    return _copy_page(the_survey(survey_number))


@surveys.post(f"{SURVEY}/copy")
@requires(Capability.STUDY_VIEW)
def make_copy(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Copies the survey into the study that the form names, where the person may edit surveys, and opens the copy."""
    survey = the_survey(survey_number)
    target = next((s for s in _studies(Capability.SURVEY_EDIT) if str(s.id) == request.form.get("target")), None)
    if target is None:
        return _copy_page(survey, "Choose a study in which you may edit surveys.")
    try:
        copied = copy_survey(db.session(), survey, target, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except (ContentRefused, TimingRefused, NameRefused) as refused:
        db.session.rollback()
        return _copy_page(survey, f"The survey cannot be copied: {refused}.")
    told = [f"The survey was copied into {target.name} as a draft."]
    if copied.new_ids:
        told.append(f"New ids for {counted(copied.new_ids, 'question')}.")
    if copied.interventions:
        told.append(f"Interventions added: {', '.join(copied.interventions)}.")
    if copied.left_out:
        told.append(f"Left out: {', '.join(copied.left_out)}.")
    flash(" ".join(told), "good")
    return redirect(url_for("surveys.page", study_number=target.id, survey_number=copied.survey.id))


@surveys.get(f"{SURVEY}/bring_in")
@requires(Capability.SURVEY_EDIT)
def bring_in(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Choosing a study, one of its surveys, and questions of that."""
    return _bring_page(_tracking(survey_number))


@surveys.post(f"{SURVEY}/bring_in")
@requires(Capability.SURVEY_EDIT)
def bring(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Adds the chosen questions to the end of the survey's draft. 409 if somebody else saved it since."""
    survey = _tracking(survey_number)
    study = _chosen_study()
    source = _chosen_survey(study) if study else None
    chosen = set(request.form.getlist("question"))
    if source is None or not chosen:
        return _bring_page(survey, "Choose at least one question." if source else "Choose a survey.")
    number = request.form.get("number", "")
    try:
        copied = copy_block(
            db.session(),
            source,
            chosen,
            survey,
            number=int(number) if number.isdecimal() and len(number) < 10 else -1,
            now=g.now,
            actor=actor_of(g.researcher),
        )
        db.session.commit()
    except DraftMoved:
        db.session.rollback()
        return _bring_page(survey, MOVED, 409)
    except (NothingToCopy, ContentRefused):
        db.session.rollback()
        return _bring_page(survey, "The survey has none of these questions any more.")
    flash(f"{counted(copied.questions, 'question')} added at the end of the draft.", "good")
    for dropped in copied.dropped[:MOST_NAMED]:
        flash(
            f"“{dropped.question}” was shown if {dropped.condition}. What names questions that did not come along was "
            "dropped.",
            "warn",
        )
    if (more := len(copied.dropped) - MOST_NAMED) > 0:
        flash(f"The conditions of {counted(more, 'further question')} were dropped likewise.", "warn")
    return redirect(url_for("surveys.questions", study_number=study_number, survey_number=survey_number))


def _copy_page(survey: Survey, problem: str = "") -> ResponseReturnValue:
    schedules = schedules_of(db.session(), survey)
    try:
        content = content_to_copy(db.session(), survey)[0]
    except ContentRefused as refused:
        content, problem = [], problem or f"The survey cannot be copied: {refused}."
    page = render_template(
        "portal/surveys/copy.html",
        survey=survey,
        studies=_studies(Capability.SURVEY_EDIT),
        questions=len(content),
        schedules=schedules,
        interventions=sorted({name for _, name in schedules if name}),
        wording=wording,
        problem=problem,
    )
    return page, 422 if problem and request.method == "POST" else 200


def _bring_page(survey: Survey, problem: str = "", status: int = 422) -> ResponseReturnValue:
    studies = _studies(Capability.STUDY_VIEW)
    study = _chosen_study()
    lines = survey_lines(db.session(), study.id) if study else []
    source = _chosen_survey(study) if study else None
    try:
        content = content_to_copy(db.session(), source)[0] if source else []
    except ContentRefused as refused:
        content, problem = [], f"That survey cannot be read: {refused}."
    known = numbered(content)
    page = render_template(
        "portal/surveys/bring_in.html",
        survey=survey,
        draft=draft_of(db.session(), survey),
        studies=studies,
        source_study=study,
        lines=[line for line in lines if not line.is_audio],
        source=source,
        questions=[
            (number, question, logic_sentence(question.get("display_if"), known)) for number, question in known.values()
        ],
        chosen=set(request.form.getlist("question")),
        wording=wording,
        problem=problem,
    )
    return page, status if problem else 200


def _studies(capability: Capability) -> list[Study]:
    """The studies in which the person has the capability, by name."""
    return [s for s in studies_of(db.session(), g.researcher) if decide(g.actor, capability, s).is_allowed]


def _chosen_study() -> Study | None:
    """The study that the request names, of those that the person may see; the page's own without a name."""
    number = request.values.get("source_study", str(g.study.id))
    return next((study for study in _studies(Capability.STUDY_VIEW) if str(study.id) == number), None)


def _chosen_survey(study: Study) -> Survey | None:
    """The tracking survey that the request names, of the study."""
    text = request.values.get("source", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    found = survey_of_study(db.session(), study.id, number)
    return found if found and found.survey_type == SurveyType.TRACKING else None


def _tracking(survey_number: int) -> Survey:
    survey = the_survey(survey_number)
    if survey.survey_type != SurveyType.TRACKING:
        abort(404, "An audio survey has no questions.")
    return survey
