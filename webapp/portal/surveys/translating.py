"""Translations of a survey: the languages and how whole they are, a form for each, and files for translators."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import StudyLanguage, Survey
from core.participants.table_file import HARMLESS, csv_text, harmless
from core.studies.languages import languages_of
from core.surveys.content import ContentRefused
from core.surveys.drafts import draft_of
from core.surveys.for_phones import asks_on_arrival
from core.surveys.locking import SurveyDeleted
from core.surveys.rules.translating import Place, TranslationRefused
from core.surveys.translations import (
    Translated,
    TranslationMoved,
    newest_content,
    save_translation,
    translations_of,
)
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import counted
from webapp.portal.surveys import wording
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import SURVEY, the_survey

OF = f"{SURVEY}/translations"
ONE = f"{OF}/<number:language_number>"
HEADER = ("Field", "Question", "What", "Base text", "Translation")
MOST_BYTES = 2 << 20
NAME = "name"
MOVED = "Somebody else has saved this translation since you opened it. Yours is below; open the page anew for theirs."


@dataclass(frozen=True)
class _Refused:
    """A form or file that was refused: why, at which field, and whether another try with the same form can be saved."""

    message: str
    place: str = ""
    status: int = 422


@surveys.get(OF)
@requires(Capability.STUDY_VIEW)
def translations(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The study's languages, and how much of the survey each has."""
    survey = the_survey(survey_number)
    found, problem = _translations(survey)
    return render_template(
        "portal/surveys/translations.html",
        survey=survey,
        translations=found,
        problem=problem,
        base=next(iter(languages_of(db.session(), g.study)), None),
    )


@surveys.get(ONE)
@requires(Capability.STUDY_VIEW)
def translation(study_number: int, survey_number: int, language_number: int) -> ResponseReturnValue:
    """Each text beside its translation."""
    survey = the_survey(survey_number)
    return _page(survey, _one(survey, language_number))


@surveys.post(ONE)
@requires(Capability.SURVEY_EDIT)
def save_a_translation(study_number: int, survey_number: int, language_number: int) -> ResponseReturnValue:
    """Saves the texts of the form."""
    survey = the_survey(survey_number)
    of, form = _one(survey, language_number), request.form
    number = form.get("edit_number", "")
    typed = {place.field: form.get(place.field, "") for place in of.coverage.places}
    return _save(survey, of, form.get(NAME, ""), typed, int(number) if number.isdecimal() and len(number) < 9 else -1)


@surveys.get(f"{ONE}.csv")
@requires(Capability.STUDY_VIEW)
def translation_file(study_number: int, survey_number: int, language_number: int) -> ResponseReturnValue:
    """The texts as a table for a translator, to be filled in with a spreadsheet and uploaded again."""
    survey = the_survey(survey_number)
    of = _one(survey, language_number)
    lines = [(NAME, "", "Name", harmless(survey.name), harmless(of.name))]
    lines += [
        (harmless(p.field), str(p.number), _what(p), harmless(p.base), harmless(p.translated or ""))
        for p in of.coverage.places
    ]
    response = Response("\ufeff" + csv_text([HEADER, *lines]), content_type="text/csv; charset=utf-8")
    name = f"{survey.name or 'survey'} - {of.language.code}.csv"
    attach(response, name)
    return response


@surveys.post(f"{ONE}.csv")
@requires(Capability.SURVEY_EDIT)
def upload_translation(study_number: int, survey_number: int, language_number: int) -> ResponseReturnValue:
    """Takes the table back: rows whose base text is still the survey's; the others are counted and change nothing."""
    survey = the_survey(survey_number)
    of = _one(survey, language_number)
    file = request.files.get("file")
    data = file.read(MOST_BYTES + 1) if file else b""
    try:
        rows = _rows(data)
    except TranslationRefused as refused:
        return _page(survey, of, _Refused(str(refused), "file"))
    known = {place.field: place for place in of.coverage.places}
    typed = {place.field: place.translated or "" for place in of.coverage.places}
    name, left = of.name, 0
    for row in rows:
        field, base, text = row[0], row[3], row[4]
        if field == NAME:
            name = text
        elif (place := known.get(field)) and " ".join(place.base.split()) == " ".join(base.split()):
            typed[field] = text
        else:
            left += 1
    return _save(survey, of, name, typed, of.edit_number, left)


def _save(
    survey: Survey, of: Translated, name: str, typed: Mapping[str, str], number: int, left: int = 0
) -> ResponseReturnValue:
    actor = actor_of(g.researcher)
    try:
        saved = save_translation(db.session(), survey, of.language, name, typed, number, g.now, actor=actor)
        db.session.commit()
    except TranslationRefused as refused:
        db.session.rollback()
        return _page(survey, of, _Refused(str(refused), refused.place), {NAME: name, **typed}, number)
    except TranslationMoved:
        db.session.rollback()
        return _page(survey, of, _Refused(MOVED, status=409), {NAME: name, **typed}, number)
    except SurveyDeleted:
        db.session.rollback()
        abort(404)
    missing = saved.coverage.total - saved.coverage.done
    rest = f" {counted(missing, 'text')} still in the base language." if missing else " It is whole."
    flash(f"{of.language.name} was saved.{rest}", "good")
    if left:
        flash(f"{counted(left, 'row')} of the file fit no text of the survey any more, and changed nothing.", "warn")
    return redirect(url_for("surveys.translations", study_number=g.study.id, survey_number=survey.id))


def _page(
    survey: Survey,
    of: Translated,
    refused: _Refused | None = None,
    typed: Mapping[str, str] | None = None,
    number: int | None = None,
) -> ResponseReturnValue:
    """The form of one language, with what was typed if it was refused."""
    draft = draft_of(db.session(), survey)
    page = render_template(
        "portal/surveys/translation.html",
        survey=survey,
        of=of,
        base=languages_of(db.session(), g.study)[0],
        values=typed or {NAME: of.name, **{place.field: place.translated or "" for place in of.coverage.places}},
        number=of.edit_number if number is None else number,
        refused=refused,
        draft_number=draft.number if draft.is_saved else None,
        asks_again=survey.published_at is not None and asks_on_arrival(survey),
        wording=wording,
    )
    return page, refused.status if refused else 200


def _translations(survey: Survey) -> tuple[list[Translated], str]:
    try:
        return translations_of(db.session(), survey, newest_content(db.session(), survey)), ""
    except ContentRefused as refused:
        return [], f"What is stored cannot be translated: {refused}."


def _one(survey: Survey, language_number: int) -> Translated:
    language = db.session.get(StudyLanguage, language_number)
    found, problem = _translations(survey)
    of = next((each for each in found if language and each.language.id == language.id), None)
    if of is None or problem:
        abort(404, problem or None)
    return of


def _rows(data: bytes) -> list[list[str]]:
    """The table's rows of at least five cells, without the apostrophes that keep spreadsheets from calculating."""
    if not data:
        raise TranslationRefused("Choose a file. What is saved stays as it is.")
    if len(data) > MOST_BYTES:
        raise TranslationRefused("The file has more than 2 MiB.")
    try:
        text = data.decode("utf-8-sig")
        separator = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
        rows = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise TranslationRefused("The file is not a CSV file in UTF-8.") from None
    if not rows or [cell.strip().casefold() for cell in rows[0][:5]] != [name.casefold() for name in HEADER]:
        raise TranslationRefused(f"The file’s first row is not: {', '.join(HEADER)}.")
    return [[cell.removeprefix(HARMLESS) for cell in row] for row in rows[1:] if len(row) >= 5]


def _what(place: Place) -> str:
    return "Question" if place.answer is None else f"Answer {place.answer + 1}"
