"""Languages, translations and scores of settings files: optional keys, absent when unused (CLAR-55).

`languages` lists a study's languages, the base language first; `language_field` names the custom field that tells them.
A survey's `translations` hold its texts by question id and base text, and its `scores` their newest definitions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.rules.scoring import ScoreRefused, definition_from
from core.answers.scores import checked_name, checked_variable, scores_as_json
from core.audit import Actor
from core.models import Score, Study, StudyLanguage, Survey, SurveyTranslation
from core.studies.languages import (
    MOST_LANGUAGES,
    TEXTS,
    LanguageRefused,
    checked_code,
    checked_language,
    language_field,
    languages_of,
    save_language,
)
from core.surveys.content import decoded_content
from core.surveys.rules.translating import Texts, TranslationRefused, coverage, texts_of
from core.surveys.translations import LONGEST_NAME, save_translation

Tell = Callable[[str, str], None]
"""Takes a place in the file, and what is wrong there."""


@dataclass(frozen=True)
class LanguageInFile:
    """A language of the file, checked. `texts` are what pushes say in it."""

    place: str
    code: str
    name: str
    texts: Mapping[str, str]


@dataclass(frozen=True)
class TranslationInFile:
    """A survey's texts in the language of this code; those of texts that the survey has."""

    place: str
    code: str
    name: str
    texts: Texts


def read_languages(value: Any, refuse: Tell, warn: Tell) -> list[LanguageInFile]:
    """The languages of the file's key `languages`."""
    if not isinstance(value, list) or len(value) > MOST_LANGUAGES:
        refuse("languages", f"a list of at most {MOST_LANGUAGES} languages is expected")
        return []
    found: list[LanguageInFile] = []
    for number, entry in enumerate(value):
        place = f"languages[{number}]"
        if not isinstance(entry, dict) or not all(isinstance(text, str) for text in entry.values()):
            refuse(place, "an object of texts is expected, with `code` and `name`")
            continue
        for key in entry.keys() - {"code", "name", *TEXTS}:
            warn(f"{place}.{key}", "is not known, and left out")
        try:
            code, name, texts = checked_language(entry.get("code", ""), entry.get("name", ""), entry)
        except LanguageRefused as refused:
            refuse(f"{place}.{refused.field}", str(refused))
            continue
        taken = {mark.lower() for other in found for mark in (other.code, other.name)}
        if {code.lower(), name.lower()} & taken:
            refuse(place, "its code or name is that of another language")
            continue
        found.append(LanguageInFile(place, code, name, {key: text for key, text in texts.items() if text}))
    return found


def read_translations(
    place: str, value: Any, content: Sequence[Any], languages: Sequence[LanguageInFile], refuse: Tell, warn: Tell
) -> list[TranslationInFile]:
    """The translations of a survey with this content; `languages` are those of the file."""
    if not isinstance(value, list):
        refuse(place, "a list is expected")
        return []
    found: list[TranslationInFile] = []
    others = {language.code for language in languages[1:]}
    for number, entry in enumerate(value):
        at = f"{place}[{number}]"
        if not isinstance(entry, dict):
            refuse(at, "an object with `language` and `texts` is expected")
            continue
        for key in entry.keys() - {"language", "name", "texts"}:
            warn(f"{at}.{key}", "is not known, and left out")
        name, texts = entry.get("name", ""), entry.get("texts", {})
        code = _code(entry.get("language"))
        if code not in others or code in {other.code for other in found}:
            refuse(f"{at}.language", "the code of one of `languages`, but for the first, is expected, each once")
        elif not isinstance(name, str) or len(name) > LONGEST_NAME:
            refuse(f"{at}.name", f"a text of at most {LONGEST_NAME} characters is expected")
        elif not _are_texts(texts):
            refuse(f"{at}.texts", "an object of question ids is expected, each with translations by their base texts")
        else:
            found.append(_fitting(TranslationInFile(at, code, name, texts), content, refuse, warn))
    return found


def read_scores(place: str, value: Any, refuse: Tell) -> list[dict[str, Any]]:
    """The scores of a survey, as `add_scores` takes them."""
    if not isinstance(value, list):
        refuse(place, "a list is expected")
        return []
    found: list[dict[str, Any]] = []
    for number, entry in enumerate(value):
        at = f"{place}[{number}]"
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("name", "variable")):
            refuse(at, "an object with the texts `name` and `variable`, and a `definition`, is expected")
            continue
        try:
            score = {"name": checked_name(entry["name"]), "variable": checked_variable(entry["variable"])}
            found.append(score | {"definition": definition_from(entry.get("definition")).as_json()})
        except ScoreRefused as refused:
            refuse(at, str(refused))
            continue
        if [each["variable"] for each in found].count(entry["variable"]) > 1:
            refuse(f"{at}.variable", "is that of another score")
    return found


def written_languages(session: Session, study: Study) -> dict[str, Any]:
    """The keys of a study; none where it has no languages. At most two queries."""
    languages = languages_of(session, study)
    if not languages:
        return {}
    field = language_field(session, study)
    return {"languages": [_written(each) for each in languages]} | ({"language_field": field.name} if field else {})


def written_of_surveys(session: Session, surveys: Sequence[Survey]) -> dict[int, dict[str, Any]]:
    """The keys of surveys by number: translations of their published texts, and scores. Two queries, and four a survey
    with scores.
    """
    numbers = [survey.id for survey in surveys]
    by_number = {survey.id: survey for survey in surveys}
    found: dict[int, dict[str, Any]] = {}
    query = (
        sa.select(SurveyTranslation, StudyLanguage.code)
        .join(StudyLanguage, StudyLanguage.id == SurveyTranslation.language_id)
        .where(SurveyTranslation.survey_id.in_(numbers), StudyLanguage.is_base.is_(False))
        .order_by(StudyLanguage.name, StudyLanguage.id)
    )
    for row, code in session.execute(query).tuples():
        content = decoded_content(by_number[row.survey_id].content, is_null_empty=True)
        texts: dict[str, dict[str, str]] = {}
        for place in coverage(content, row.texts).places:
            if place.translated is not None:
                texts.setdefault(place.question_id, {})[place.base] = place.translated
        written = {"language": code, **({"name": row.name} if row.name else {}), "texts": texts}
        if row.name or texts:
            found.setdefault(row.survey_id, {}).setdefault("translations", []).append(written)
    scored = sa.select(Score.survey_id).where(Score.survey_id.in_(numbers), Score.removed_at.is_(None)).distinct()
    for number in session.scalars(scored).all():
        found.setdefault(number, {})["scores"] = scores_as_json(session, number)
    return found


def new_languages(
    session: Session, study: Study, given: Sequence[LanguageInFile], refuse: Tell
) -> list[LanguageInFile]:
    """The file's languages that the study lacks; `refuse` is told of those that cannot be added. One query."""
    known = languages_of(session, study)
    if known and given and known[0].code != given[0].code:
        refuse(given[0].place, f"the base language of the study is {known[0].name}, so texts in another cannot be it")
        return []
    codes = {language.code for language in known}
    new = [language for language in given if language.code not in codes]
    names = {mark.lower() for language in known for mark in (language.code, language.name)}
    for language in new:
        if language.name.lower() in names:
            refuse(language.place, f"the study has another language with the name {language.name}")
    if len(known) + len(new) > MOST_LANGUAGES:
        refuse("languages", f"the study would have more than {MOST_LANGUAGES} languages")
    return new


def add_languages(session: Session, study: Study, new: Sequence[LanguageInFile], *, actor: Actor) -> None:
    """Adds these; those that the study has keep their texts. The caller commits. Raises LanguageRefused."""
    for language in new:
        save_language(session, study, language.code, language.name, language.texts, actor=actor)


def add_translations(
    session: Session,
    survey: Survey,
    content: Sequence[Any],
    given: Sequence[TranslationInFile],
    names: Mapping[str, str],
    now: datetime,
    *,
    actor: Actor,
) -> None:
    """Gives a new survey with this content its translations; `names` are new ids of questions. The caller commits."""
    if not given:
        return
    study = session.get_one(Study, survey.study_id)
    by_code = {language.code: language for language in languages_of(session, study)}
    for translation in given:
        texts = {names.get(question, question): of for question, of in translation.texts.items()}
        typed = _typed(content, texts)
        save_translation(session, survey, by_code[translation.code], translation.name, typed, 0, now, actor=actor)


def _written(language: StudyLanguage) -> dict[str, str]:
    texts = {name: text for name in TEXTS if (text := getattr(language, name))}
    return {"code": language.code, "name": language.name, **texts}


def _fitting(given: TranslationInFile, content: Sequence[Any], refuse: Tell, warn: Tell) -> TranslationInFile:
    """The translation with the texts that the content has."""
    typed = _typed(content, given.texts)
    try:
        texts = texts_of(content, typed, {}, [])
    except TranslationRefused as refused:
        refuse(f"{given.place}.texts", str(refused))
        return given
    left_out = sum(len(of) for of in given.texts.values()) - sum(len(of) for of in texts.values())
    if left_out:
        warn(f"{given.place}.texts", f"{left_out} of the translations are of no text of the survey, and left out")
    return TranslationInFile(given.place, given.code, given.name, texts)


def _typed(content: Sequence[Any], texts: Texts) -> dict[str, str]:
    return {place.field: place.translated for place in coverage(content, texts).places if place.translated}


def _code(value: Any) -> str:
    try:
        return checked_code(value) if isinstance(value, str) else ""
    except LanguageRefused:
        return ""


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(of, dict) and all(isinstance(text, str) for text in of.values()) for of in value.values()
    )
