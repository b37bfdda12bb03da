"""Templates of surveys: published scales and surveys kept on this site, looked at, used, kept and removed."""

from dataclasses import dataclass
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Survey, SurveyTemplate
from core.survey_templates.library import (
    TemplateRefused,
    add_from_scale,
    add_from_template,
    keep_as_template,
    kept_templates,
    remove_template,
)
from core.survey_templates.scale import Scale
from core.survey_templates.scales import SCALES
from core.surveys.content import ContentRefused, decoded_content
from webapp.portal.access.rules import requires
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import SURVEY, the_survey

OF = "/view_study/<number:study_number>/surveys/templates"


@dataclass(frozen=True)
class _Question:
    """A question as a template's page shows it, with the codes of its answers where it has any."""

    text: str
    answers: tuple[tuple[str, int | None], ...]


@surveys.get(OF)
@requires(Capability.STUDY_VIEW)
def templates(study_number: int) -> ResponseReturnValue:
    """The published scales, and the surveys that were kept on this site."""
    return render_template("portal/surveys/templates.html", scales=SCALES.values(), kept=kept_templates(db.session()))


@surveys.get(f"{OF}/<key>")
@requires(Capability.STUDY_VIEW)
def template(study_number: int, key: str) -> ResponseReturnValue:
    """One template: its questions, scores, source and terms."""
    if (scale := SCALES.get(key)) is not None:
        questions = [_Question(i.text, tuple(zip(i.options, i.codes, strict=True))) for i in scale.items]
        return render_template("portal/surveys/template.html", scale=scale, kept=None, questions=questions)
    kept = _kept(key)
    return render_template(
        "portal/surveys/template.html", scale=None, kept=kept, questions=_questions(kept), may_remove=_may_remove(kept)
    )


@surveys.post(f"{OF}/<key>")
@requires(Capability.SURVEY_EDIT)
def use_template(study_number: int, key: str) -> ResponseReturnValue:
    """Makes a draft from the template and opens it."""
    actor, scale = actor_of(g.researcher), SCALES.get(key)
    if scale is not None:
        survey = add_from_scale(db.session(), g.study, scale, g.now, actor=actor)
    else:
        survey = add_from_template(db.session(), g.study, _kept(key), g.now, actor=actor)
    db.session.commit()
    flash("The survey was made as a draft: no phone gets it until it is published.", "good")
    if scale is not None and scale.to_watch:
        _advise(scale, survey)
    return redirect(url_for("surveys.questions", study_number=study_number, survey_number=survey.id))


@surveys.post(f"{OF}/<key>/remove")
@requires(Capability.SURVEY_EDIT)
def remove_a_template(study_number: int, key: str) -> ResponseReturnValue:
    """Takes a kept survey out of the list; for who kept it, and site administrators."""
    kept = _kept(key)
    if not _may_remove(kept):
        abort(403, "Who kept a template removes it, or a site administrator.")
    remove_template(db.session(), kept, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash("The template was removed. Surveys that were made from it stay.", "good")
    return redirect(url_for("surveys.templates", study_number=study_number))


@surveys.get(f"{SURVEY}/keep")
@requires(Capability.SURVEY_EDIT)
def keep_form(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The form by which a survey is kept for the whole site."""
    return _keep_page(the_survey(survey_number))


@surveys.post(f"{SURVEY}/keep")
@requires(Capability.SURVEY_EDIT)
def keep(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Keeps the survey as a template."""
    survey, form = the_survey(survey_number), request.form
    name, about = form.get("name", ""), form.get("about", "")
    try:
        kept = keep_as_template(db.session(), survey, name, about, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except TemplateRefused as refused:
        db.session.rollback()
        return _keep_page(survey, refused)
    except ContentRefused as refused:
        db.session.rollback()
        return _keep_page(survey, TemplateRefused(f"What is stored cannot be kept: {refused}.", "name"))
    flash(f"{kept.name} can be used in every study of this site.", "good")
    return redirect(url_for("surveys.templates", study_number=study_number))


def _advise(scale: Scale, survey: Survey) -> None:
    """Says that somebody should be told of some answers, with a link to make the rule."""
    why = " ".join(words for _, words in scale.to_watch)
    link = url_for("alerts.new_rule", study_number=g.study.id, survey=survey.id)
    flash(Markup('{} <a href="{}">Make a rule</a> so that somebody is told.').format(why, link), "warn")


def _keep_page(survey: Survey, refused: TemplateRefused | None = None) -> ResponseReturnValue:
    typed: dict[str, Any] = request.form.to_dict() if refused else {"name": survey.name, "about": ""}
    page = render_template("portal/surveys/keep.html", survey=survey, refused=refused, typed=typed)
    return page, 422 if refused else 200


def _kept(key: str) -> SurveyTemplate:
    found = db.session.get(SurveyTemplate, int(key)) if key.isdecimal() and len(key) < 19 else None
    if found is None or found.removed_at is not None:
        abort(404)
    return found


def _may_remove(kept: SurveyTemplate) -> bool:
    return bool(g.researcher.is_site_admin or kept.researcher_id == g.researcher.id)


def _questions(kept: SurveyTemplate) -> list[_Question]:
    found = []
    for question in decoded_content(kept.content):
        answers = question.get("answers") or []
        texts = tuple((str(answer.get("text", "")), None) for answer in answers if isinstance(answer, dict))
        found.append(_Question(str(question.get("question_text", question.get("prompt", ""))), texts))
    return found
