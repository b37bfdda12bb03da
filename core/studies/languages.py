"""Languages of a study: which there are, by which custom field participants have them, and what pushes say (CLAR-62).

Phones do not tell their language, so a custom field does. Without a value, or with an unknown one, the base language
counts.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.bulk import is_one_of
from core.models import CustomField, FieldValue, Participant, Study, StudyLanguage, SurveyTranslation
from core.models.audit_record import Action
from core.surveys.former_translations import keep_translations

TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
LONGEST_NAME = 60
LONGEST_TEXT = 178  # longer ones are cut off on a locked iPhone's screen
MOST_LANGUAGES = 40
TEXTS = ("title", "one_survey", "several_surveys", "heartbeat")
BASE_CODE = "en"


class LanguageRefused(ValueError):
    """A language or a text cannot be stored; the message says why, and `field` where."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def languages_of(session: Session, study: Study) -> list[StudyLanguage]:
    """The study's languages, the base language first, then by name; empty while nobody has set any up."""
    query = sa.select(StudyLanguage).where(StudyLanguage.study_id == study.id)
    return list(session.scalars(query.order_by(StudyLanguage.is_base.desc(), StudyLanguage.name, StudyLanguage.id)))


def language_field(session: Session, study: Study) -> CustomField | None:
    """The custom field that tells participants' languages."""
    return session.get(CustomField, study.language_field_id) if study.language_field_id else None


def codes_of_participants(session: Session, participant_ids: Collection[int]) -> dict[int, str]:
    """The language codes of these participants, of any studies, but for the base language; one query."""
    query = (
        sa.select(Participant.id, StudyLanguage.code)
        .join(Study, Study.id == Participant.study_id)
        .join(
            FieldValue,
            sa.and_(FieldValue.participant_id == Participant.id, FieldValue.field_id == Study.language_field_id),
        )
        .join(StudyLanguage, _has_language())
        .where(is_one_of(Participant.id, participant_ids), StudyLanguage.is_base.is_(False))
        # The code counts before the name of another language.
        .order_by(Participant.id, (sa.func.lower(StudyLanguage.code) == _value()).desc(), StudyLanguage.id)
        .distinct(Participant.id)
    )
    return dict(session.execute(query).tuples().all())


@dataclass(frozen=True)
class Spread:
    """How many participants who take part have each language, by code, and the values that are no language."""

    by_code: dict[str, int]
    unknown: dict[str, int]


def spread_of_languages(session: Session, study: Study) -> Spread:
    """Counts participants by language; empty and unknown values count for the base language. Two queries."""
    value = sa.func.coalesce(sa.func.btrim(FieldValue.value), "")
    has_value = sa.and_(FieldValue.participant_id == Participant.id, FieldValue.field_id == study.language_field_id)
    query = (
        sa.select(value, sa.func.count())
        .select_from(Participant)
        .outerjoin(FieldValue, has_value)
        .where(Participant.study_id == study.id, Participant.retired_at.is_(None), Participant.purge_asked_at.is_(None))
        .group_by(value)
    )
    languages = languages_of(session, study)
    known = {mark.lower(): each.code for each in languages for mark in (each.name, each.code)}
    by_code: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for text, count in session.execute(query):
        code = known.get(text.lower())
        if code is None and text:
            unknown[text] += count
        by_code[code or (languages[0].code if languages else BASE_CODE)] += count
    return Spread(dict(by_code), dict(unknown))


def texts_by_language(session: Session, study_ids: Collection[int]) -> dict[int, dict[str | None, Mapping[str, str]]]:
    """What pushes say, by study and language code; the base language's under None. One query.

    Each mapping holds those of `TEXTS` that are set; the base language's stand where a language has none.
    """
    rows = session.scalars(
        sa.select(StudyLanguage)
        .where(is_one_of(StudyLanguage.study_id, study_ids))
        .order_by(StudyLanguage.study_id, StudyLanguage.is_base.desc())
    )
    found: dict[int, dict[str | None, Mapping[str, str]]] = {}
    for row in rows:
        own = {name: text for name in TEXTS if (text := getattr(row, name))}
        of_study = found.setdefault(row.study_id, {})
        of_study[None if row.is_base else row.code] = {**of_study.get(None, {}), **own}
    return found


def set_language_field(session: Session, study: Study, field: CustomField | None, *, actor: Actor) -> None:
    """Says which custom field tells participants' languages; None: all have the base language. The caller commits."""
    if field is not None and field.study_id != study.id:
        raise LanguageRefused("The study has no such field.", "field")
    _lock(session, study)
    before = language_field(session, study)
    study.language_field_id = field.id if field else None
    names = [each.name if each else None for each in (before, field)]
    record(session, actor, Action.STUDY_LANGUAGE_FIELD, study=study, before=names[0], after=names[1])


def save_language(
    session: Session,
    study: Study,
    code: str,
    name: str,
    texts: Mapping[str, str],
    *,
    language: StudyLanguage | None = None,
    actor: Actor,
) -> StudyLanguage:
    """Adds a language, or changes one; the first of a study is its base language. The caller commits.

    `texts` are those of `TEXTS`; empty ones are taken from the base language. Raises LanguageRefused.
    """
    code, name, checked = checked_language(code, name, texts)
    _lock(session, study)
    known = languages_of(session, study)
    if len(known) >= MOST_LANGUAGES and language is None:
        raise LanguageRefused(f"A study has at most {MOST_LANGUAGES} languages.")
    taken = {mark.lower() for other in known if other is not language for mark in (other.code, other.name)}
    for field, mark in (("code", code), ("name", name)):
        if mark.lower() in taken:
            raise LanguageRefused(f"The study has the language {mark} already.", field)
    before = None
    if language is None:
        language = StudyLanguage(study_id=study.id, is_base=not known)
        session.add(language)
    else:
        before = _described(language)
    language.code, language.name = code, name
    for each, text in checked.items():
        setattr(language, each, text)
    session.flush()
    record(session, actor, Action.STUDY_LANGUAGE_SAVE, study=study, before=before, after=_described(language))
    return language


def remove_language(session: Session, study: Study, language: StudyLanguage, now: datetime, *, actor: Actor) -> None:
    """Removes a language; its participants have the base language then. The caller commits. Raises LanguageRefused.

    Its translations go with it, but answers that phones still upload in it are read.
    """
    _lock(session, study)
    if language.is_base and len(languages_of(session, study)) > 1:
        raise LanguageRefused("The base language goes last: texts that others lack are taken from it.")
    record(session, actor, Action.STUDY_LANGUAGE_REMOVE, study=study, before=_described(language))
    keep_translations(session, now, SurveyTranslation.language_id == language.id)
    session.delete(language)
    session.flush()


def checked_language(code: str, name: str, texts: Mapping[str, str]) -> tuple[str, str, dict[str, str | None]]:
    """Code, name and texts as they are stored, None for empty texts. Raises LanguageRefused."""
    code, name = checked_code(code), " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise LanguageRefused(f"A language has a name of 1 to {LONGEST_NAME} characters.", "name")
    return code, name, {each: _checked_text(each, texts.get(each, "")) for each in TEXTS}


def checked_code(code: str) -> str:
    """The tag as it is usually written: `pt-BR`. Raises LanguageRefused."""
    code = code.strip()
    if not TAG.fullmatch(code):
        raise LanguageRefused("A language has a code such as es or pt-BR.", "code")
    first, *rest = code.split("-")
    return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])


def _checked_text(name: str, text: str) -> str | None:
    text = " ".join(text.split())
    if len(text) > LONGEST_TEXT:
        raise LanguageRefused(f"A text has at most {LONGEST_TEXT} characters.", name)
    return text or None


def _value() -> sa.ColumnElement[str]:
    return sa.func.lower(sa.func.btrim(FieldValue.value))


def _has_language() -> sa.ColumnElement[bool]:
    names = (sa.func.lower(StudyLanguage.code), sa.func.lower(StudyLanguage.name))
    return sa.and_(StudyLanguage.study_id == Study.id, sa.or_(*(each == _value() for each in names)))


def _lock(session: Session, study: Study) -> None:
    session.execute(sa.select(Study.id).where(Study.id == study.id).with_for_update())


def _described(language: StudyLanguage) -> dict[str, str]:
    texts: Sequence[tuple[str, str | None]] = [(name, getattr(language, name)) for name in ("code", "name", *TEXTS)]
    return {name: text for name, text in texts if text}
