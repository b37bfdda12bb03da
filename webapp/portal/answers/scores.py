"""Scores of a survey: the list, the form of one with a preview, its versions, and computing them anew (CLAR-57)."""

from typing import Any

import sqlalchemy as sa
from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug import Response

from core.access import Capability
from core.answers.rules.score_examples import examples_of
from core.answers.rules.scoring import ScoreDefinition, definition_from, misfits
from core.answers.rules.wording import Wording
from core.answers.score_history import versions_of_score
from core.answers.scores import (
    DefinedScore,
    ScoreRefused,
    recompute_score,
    remove_score,
    save_score,
    scores_of_survey,
)
from core.answers.scoring import compute_open_runs
from core.answers.versions import versions_of
from core.audit import actor_of
from core.database import db
from core.models import Submission, Survey
from webapp.flow_runs import COMPUTE_SCORES, start_run
from webapp.portal.access.rules import requires
from webapp.portal.answers import wording
from webapp.portal.answers.score_form import ScoreForm, definition_of, stored_form, typed_form, with_problem
from webapp.portal.answers.section import answers
from webapp.portal.answers.survey import OF, the_survey

SCORES = f"{OF}/scores"
ONE = f"{SCORES}/<number:score_number>"
MOST_AT_ONCE = 5_000  # submissions that are scored while the person waits, about a second


@answers.get(SCORES)
@requires(Capability.ANSWERS_READ)
def scores(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The scores of the survey, and whether they can be computed from its newest version."""
    survey = the_survey(survey_number)
    return render_template(
        "portal/answers/scores.html",
        survey=survey,
        scores=scores_of_survey(db.session(), survey.id),
        texts=_texts(_wordings(survey)),
        wording=wording,
    )


@answers.get(f"{SCORES}/new")
@requires(Capability.SURVEY_EDIT)
def new_score(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The form of a new score."""
    survey = the_survey(survey_number)
    wordings = _wordings(survey)
    return _form_page(survey, None, stored_form("", "", None, wordings), wordings)


@answers.post(f"{SCORES}/new")
@requires(Capability.SURVEY_EDIT)
def make_score(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Makes a score and computes it for what has come so far, or shows examples of it."""
    return _save(the_survey(survey_number), None)


@answers.get(ONE)
@requires(Capability.ANSWERS_READ)
def score(study_number: int, survey_number: int, score_number: int) -> ResponseReturnValue:
    """One score: its form for those who may change it, its versions and recalculations."""
    survey = the_survey(survey_number)
    defined, wordings = _defined(survey, score_number), _wordings(survey)
    form = stored_form(defined.name, defined.variable, defined.definition, wordings)
    return _form_page(survey, defined, form, wordings)


@answers.post(ONE)
@requires(Capability.SURVEY_EDIT)
def change_score(study_number: int, survey_number: int, score_number: int) -> ResponseReturnValue:
    """Changes a score and computes it anew, or shows examples of the change."""
    survey = the_survey(survey_number)
    return _save(survey, _defined(survey, score_number))


@answers.post(f"{ONE}/remove", endpoint="remove_score")
@requires(Capability.SURVEY_EDIT)
def remove(study_number: int, survey_number: int, score_number: int) -> ResponseReturnValue:
    """Hides a score; its versions and values stay in the database."""
    survey = the_survey(survey_number)
    defined = _defined(survey, score_number)
    remove_score(db.session(), survey, defined.id, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash(f"{defined.name} was removed. It is in no page and no export any more.", "good")
    return _to_list(survey)


@answers.post(f"{ONE}/compute", endpoint="compute_score")
@requires(Capability.SURVEY_EDIT)
def compute(study_number: int, survey_number: int, score_number: int) -> ResponseReturnValue:
    """Computes all submissions anew by the newest version."""
    survey = the_survey(survey_number)
    defined = _defined(survey, score_number)
    recompute_score(db.session(), survey, defined.id, actor=actor_of(g.researcher))
    db.session.commit()
    flash(_computed(survey), "good")
    return redirect(url_for("answers.score", **_place(survey), score_number=defined.id))


def _save(survey: Survey, defined: DefinedScore | None) -> ResponseReturnValue:
    wordings = _wordings(survey)
    form = typed_form(request.form, wordings)
    if form.problems:
        return _form_page(survey, defined, form, wordings)
    given = definition_of(form)
    try:
        definition = definition_from(given)
        if lacks := _lacks(definition, wordings):
            raise ScoreRefused(" ".join(lacks), "items")
        if "preview" in request.form:
            return _form_page(survey, defined, form, wordings, definition)
        session, number = db.session(), defined.id if defined else None
        names = {"name": form.name, "variable": form.variable}
        save_score(session, survey, number, **names, definition=given, actor=actor_of(g.researcher))
        session.commit()
    except ScoreRefused as refused:
        db.session.rollback()
        return _form_page(survey, defined, with_problem(form, {refused.field: str(refused)}), wordings)
    flash(f"{form.name} was saved. {_computed(survey)}", "good")
    return _to_list(survey)


def _computed(survey: Survey) -> str:
    """Computes what waits at once where it is little, else asks for a run of the flow; what to say of it.

    In a session of its own: that of the request may be limited to a site, and scores are of all submissions (PERM-95).
    """
    with Session(db.engine) as session:
        query = sa.select(sa.func.count()).select_from(Submission).where(Submission.survey_id == survey.id)
        if (session.scalar(query) or 0) <= MOST_AT_ONCE:
            compute_open_runs(session, survey.id)
            return "It was computed for all submissions."
    if start_run(COMPUTE_SCORES):
        return "It is being computed for all submissions; this page shows how far that is."
    return "It is computed for all submissions within ten minutes."


def _lacks(definition: ScoreDefinition, wordings: list[Wording]) -> list[str]:
    """Why items that the newest version asks cannot be computed; of those that it does not ask, the list tells."""
    asked = {each.question_id for each in wordings}
    known = tuple(item for item in definition.items if item.question_id in asked)
    return misfits(ScoreDefinition(definition.combination, known, 1), wordings) if known else []


def _form_page(
    survey: Survey,
    defined: DefinedScore | None,
    form: ScoreForm,
    wordings: list[Wording],
    previewed: ScoreDefinition | None = None,
) -> ResponseReturnValue:
    page = render_template(
        "portal/answers/score.html",
        survey=survey,
        defined=defined,
        form=form,
        previewed=previewed,
        examples=examples_of(previewed, wordings) if previewed else None,
        versions=versions_of_score(db.session(), defined.id) if defined else [],
        texts=_texts(wordings),
        wording=wording,
    )
    return page, 422 if form.problems else 200


def _texts(wordings: list[Wording]) -> dict[str, str]:
    return {each.question_id: each.text for each in wordings}


def _wordings(survey: Survey) -> list[Wording]:
    """The questions of the survey's newest version."""
    versions = versions_of(db.session(), [survey.id]).get(survey.id, [])
    return list(versions[-1].content.wordings) if versions else []


def _defined(survey: Survey, number: int) -> DefinedScore:
    found = next((one for one in scores_of_survey(db.session(), survey.id) if one.id == number), None)
    if found is None:
        abort(404, "There is no such score of the survey.")
    return found


def _place(survey: Survey) -> dict[str, Any]:
    return {"study_number": survey.study_id, "survey_number": survey.id}


def _to_list(survey: Survey) -> Response:
    return redirect(url_for("answers.scores", **_place(survey)))
