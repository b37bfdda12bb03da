"""Languages of a study: which there are, the field that tells them, and what pushes say (CLAR-62)."""

from collections.abc import Mapping

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import CustomField, StudyLanguage
from core.notifications.messages import BUILT_IN
from core.studies.languages import (
    LONGEST_TEXT,
    TEXTS,
    LanguageRefused,
    languages_of,
    remove_language,
    save_language,
    set_language_field,
    spread_of_languages,
)
from webapp.portal.access.rules import requires
from webapp.portal.studies.section import studies

OF = "/view_study/<number:study_number>/languages"


@studies.get(OF)
@requires(Capability.STUDY_VIEW, is_return_page=True)
def languages(study_number: int) -> ResponseReturnValue:
    """The languages, how many participants have each, and forms to change them."""
    return _page()


@studies.post(f"{OF}/field")
@requires(Capability.SURVEY_EDIT)
def set_field(study_number: int) -> ResponseReturnValue:
    """Chooses the custom field whose values are languages."""
    number = request.form.get("field", "")
    field = db.session.get(CustomField, int(number)) if number.isdecimal() and len(number) < 19 else None
    if number and field is None:
        return _page(LanguageRefused("The study has no such field.", "field"))
    try:
        set_language_field(db.session(), g.study, field, actor=actor_of(g.researcher))
        db.session.commit()
    except LanguageRefused as refused:
        db.session.rollback()
        return _page(refused)
    flash("The field was saved.", "good")
    return redirect(url_for("studies.languages", study_number=study_number))


@studies.post(OF)
@requires(Capability.SURVEY_EDIT)
def save_a_language(study_number: int) -> ResponseReturnValue:
    """Adds a language, or changes the one whose number is given."""
    form, of = request.form, _language(request.form.get("language", ""))
    try:
        texts = {name: form.get(name, "") for name in TEXTS}
        saved = save_language(
            db.session(),
            g.study,
            form.get("code", ""),
            form.get("name", ""),
            texts,
            language=of,
            actor=actor_of(g.researcher),
        )
        db.session.commit()
    except LanguageRefused as refused:
        db.session.rollback()
        return _page(refused, form, of.id if of else 0)
    flash(f"{saved.name} was saved.", "good")
    return redirect(url_for("studies.languages", study_number=study_number))


@studies.post(f"{OF}/remove")
@requires(Capability.SURVEY_EDIT)
def remove_a_language(study_number: int) -> ResponseReturnValue:
    """Removes a language; its participants have the base language then."""
    of = _language(request.form.get("language", ""))
    if of is None:
        abort(404)
    try:
        remove_language(db.session(), g.study, of, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except LanguageRefused as refused:
        db.session.rollback()
        return _page(refused, {}, of.id)
    flash(f"{of.name} was removed.", "good")
    return redirect(url_for("studies.languages", study_number=study_number))


def _language(number: str) -> StudyLanguage | None:
    """The study's language with this number; None for an empty one."""
    if not number:
        return None
    found = db.session.get(StudyLanguage, int(number)) if number.isdecimal() and len(number) < 19 else None
    if found is None or found.study_id != g.study.id:
        abort(404)
    return found


def _page(
    problem: LanguageRefused | None = None, typed: Mapping[str, str] | None = None, wrong: int = 0
) -> ResponseReturnValue:
    """The page, with the problem of a form that was refused: that of the language `wrong`, 0 for a new one."""
    session = db.session()
    fields = session.scalars(db.select(CustomField).filter_by(study_id=g.study.id).order_by(CustomField.name))
    page = render_template(
        "portal/studies/languages.html",
        languages=languages_of(session, g.study),
        spread=spread_of_languages(session, g.study),
        fields=fields.all(),
        built_in=BUILT_IN,
        longest=LONGEST_TEXT,
        problem=problem,
        typed=typed or {},
        wrong=wrong,
    )
    return page, 422 if problem else 200
