"""The list of surveys, one survey, and its versions (PORTAL-210, SURVEY-3)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import abort, g, render_template, request
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answers.overview import rates_of_surveys
from core.database import db
from core.models import Survey, SurveyType
from core.studies.custom_fields import fields_of
from core.studies.interventions import interventions_of
from core.surveys.content import ContentRefused, decoded_content, decoded_settings
from core.surveys.drafts import draft_of
from core.surveys.expiry import own_expiry
from core.surveys.listing import survey_lines, survey_of_study, versions_of
from core.surveys.rules.checking import Finding
from core.surveys.rules.comparing import compare
from core.surveys.rules.sentences import logic_sentence, numbered
from core.surveys.rules.survey import check_survey
from core.surveys.schedules import local_date
from core.surveys.scheduling import planned_schedules
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import moment
from webapp.portal.surveys import wording
from webapp.portal.surveys.schedule_form import UNITS, expiry_in_units, rows_of
from webapp.portal.surveys.section import surveys

RATE_DAYS = timedelta(days=30)  # of the rates in the list
SURVEY = "/edit_survey/<number:study_number>/<number:survey_number>"


@surveys.get("/view_study/<number:study_number>/surveys", endpoint="list")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def survey_list(study_number: int) -> ResponseReturnValue:
    """The study's surveys, and the deleted ones below."""
    return list_page()


def list_page(*, problem: str = "", typed: str = "") -> ResponseReturnValue:
    """The list, with the problem of the form for the time to answer if it was refused."""
    page = render_template(
        "portal/surveys/list.html",
        lines=survey_lines(db.session(), g.study.id),
        rates=rates_of_surveys(db.session(), g.study.id, since=local_date(g.now, g.study.zone) - RATE_DAYS),
        deleted=survey_lines(db.session(), g.study.id, deleted=True),
        expiry=expiry_in_units(g.study.survey_expiry_minutes),
        units=UNITS,
        problem=problem,
        typed=typed,
        wording=wording,
    )
    return page, 422 if problem else 200


@surveys.get(SURVEY)
@requires(Capability.STUDY_VIEW, is_return_page=True)
def page(study_number: int, survey_number: int) -> ResponseReturnValue:
    """One survey as phones have it: questions with their conditions, settings, schedules, and what checking says."""
    return survey_page(the_survey(survey_number))


def survey_page(survey: Survey, *, problem: str = "", typed_name: str | None = None) -> ResponseReturnValue:
    """The page of a survey, with the problem of a form that was refused."""
    shown = read(survey.survey_type, survey.content, survey.settings)
    page = render_template(
        "portal/surveys/survey.html",
        survey=survey,
        shown=shown,
        **_times(survey),
        versions=versions_of(db.session(), survey),
        draft=draft_of(db.session(), survey),
        wording=wording,
        problem=problem,
        typed_name=survey.name if typed_name is None else typed_name,
    )
    return page, 422 if problem else 200


def _times(survey: Survey) -> dict[str, Any]:
    """When the survey is asked, in words, and for how long it can be answered."""
    session = db.session()
    planned = planned_schedules(session, survey)
    interventions = {str(of.id): of.name for of in interventions_of(session, survey.study_id)} if planned else {}
    fields = {str(of.id): of.name for of in fields_of(session, survey.study_id)} if planned else {}
    minutes = own_expiry(session, survey) or g.study.survey_expiry_minutes
    return {
        "schedule_count": len(planned),
        "times": wording.times_in_words(rows_of(planned), interventions, fields),
        "time_to_answer": wording.duration(minutes),
    }


@surveys.get(f"{SURVEY}/versions")
@requires(Capability.STUDY_VIEW)
def versions(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The survey's versions and its draft, and two of them side by side: by default the newest and the one before."""
    survey = the_survey(survey_number)
    found = _comparable(survey)
    if not found:
        return render_template("portal/surveys/versions.html", survey=survey, versions=[])
    after = _asked_for(found, "after") or found[0]
    before = _asked_for(found, "before") or found[min(found.index(after) + 1, len(found) - 1)]
    return render_template(
        "portal/surveys/versions.html",
        survey=survey,
        versions=found,
        before=before,
        after=after,
        **side_by_side(before.shown, after.shown),
    )


def side_by_side(old: "ShownSurvey", new: "ShownSurvey") -> dict[str, Any]:
    """What the template of two contents side by side needs."""
    return {
        "lines": compare(old.content, new.content),
        "old": old,
        "new": new,
        "settings": wording.changed_settings(old.settings, new.settings),
        "wording": wording,
    }


@dataclass(frozen=True)
class Comparable:
    """A version, or the draft, that can be chosen: `key` goes into the address. It is read when it is shown."""

    key: str
    label: str
    stored: tuple[str, str, str]

    @property
    def shown(self) -> "ShownSurvey":
        """Content and settings, checked."""
        return read(*self.stored)


def _comparable(survey: Survey) -> list[Comparable]:
    """The draft if there is one, then the versions, newest first."""
    kind, found = survey.survey_type, versions_of(db.session(), survey)
    draft = draft_of(db.session(), survey)
    drafts = [Comparable("draft", "the draft", (kind, draft.content, draft.settings))] if draft.is_saved else []
    return drafts + [
        Comparable(
            str(version.id),
            f"version {number}, {moment(version.started_at)}{', deleted' if version.is_deleted else ''}",
            (version.survey_type, version.content, version.settings),
        )
        for number, version in zip(range(len(found), 0, -1), found, strict=True)
    ]


@dataclass(frozen=True)
class ShownSurvey:
    """Content and settings as read, with what checking says; `sentences` holds each question's condition in words."""

    content: list[Any]
    settings: dict[str, Any]
    findings: list[Finding]
    sentences: dict[str, str]
    problem: str = ""

    def of_question(self, question_id: Any) -> list[Finding]:
        """What checking says of the question."""
        return [finding for finding in self.findings if finding.question_id == question_id]

    @property
    def of_whole(self) -> list[Finding]:
        """What checking says that is about no question shown."""
        known = {question.get("question_id") for question in self.content if isinstance(question, dict)}
        return [finding for finding in self.findings if finding.question_id not in known]


def read(survey_type: str, content: str, settings: str) -> ShownSurvey:
    """A stored survey, ready to show; what cannot be read is said in `problem`."""
    try:
        questions, chosen = (
            decoded_content(content, is_null_empty=True),
            decoded_settings(settings, is_null_empty=True),
        )
    except ContentRefused as refused:
        return ShownSurvey([], {}, [], {}, f"What is stored cannot be read: {refused}.")
    known = numbered(questions)
    sentences = {
        question_id: logic_sentence(question.get("display_if"), known) for question_id, (_, question) in known.items()
    }
    return ShownSurvey(questions, chosen, check_survey(survey_type, questions, chosen), sentences)


def the_survey(number: int, *, deleted: bool = False) -> Survey:
    """The survey of the study in the path. Aborts with 404 if it is elsewhere or deleted, or of a type not shown."""
    survey = survey_of_study(db.session(), g.study.id, number, deleted=deleted)
    if survey is None or survey.survey_type not in set(SurveyType):
        abort(404, "There is no such survey in the study.")
    return survey


def _asked_for(found: list[Comparable], name: str) -> Comparable | None:
    return next((one for one in found if one.key == request.args.get(name)), None)
