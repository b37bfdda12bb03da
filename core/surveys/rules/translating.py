"""Translations of a survey: its texts in another language with one structure. Pure (CLAR-55, CLAR-59).

A translation stands beside the base text that it was made for. When that text is edited it no longer counts, and the
base text is shown until somebody has looked at it: nobody answers another question than the others. So the texts of a
draft can be translated before it is published, too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PROMPT = "prompt"
"""Where the prompt of an audio survey stands among the texts, in place of a question's id."""
LONGEST = 10_000

Texts = Mapping[str, Mapping[str, str]]
"""By question id, the translations by their base texts: of the question itself and of its answers."""


class TranslationRefused(ValueError):
    """Translations cannot be stored; the message says why, and `place` is the field of the text."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True)
class Place:
    """A text of a survey: of which question (its id and number, counted from 1), and the base text.

    `answer` is its place among the answers, None for the question's own text. `translated` is None while there is none;
    `earlier` holds translations of the question that were made for texts that have gone.
    """

    question_id: str
    number: int
    base: str
    answer: int | None = None
    translated: str | None = None
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def field(self) -> str:
        """A name for forms and files."""
        return f"text-{self.question_id}" if self.answer is None else f"answer-{self.question_id}-{self.answer}"


@dataclass
class Coverage:
    """Every text that participants read, in order, and how many there are, are translated, or were before an edit."""

    places: list[Place] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.places)

    @property
    def done(self) -> int:
        return sum(place.translated is not None for place in self.places)

    @property
    def outdated(self) -> int:
        """Untranslated texts of questions that have translations of texts that have gone."""
        return sum(place.translated is None and bool(place.earlier) for place in self.places)


def coverage(content: Sequence[Any], texts: Texts) -> Coverage:
    """The texts of the content with their translations. Empty texts need none; ids that stand twice have none."""
    return Coverage(list(_places(content, texts)))


def translated(content: Sequence[Any], texts: Texts) -> list[Any]:
    """The content with the translations that count; the rest, and all but texts, stays as it is."""
    return [
        _translated(question, of) if isinstance(question, dict) and (of := texts.get(_id(question) or "")) else question
        for question in content
    ]


def texts_of(content: Sequence[Any], typed: Mapping[str, str], before: Texts, kept: Sequence[Any]) -> dict[str, Any]:
    """What is stored: the texts typed at the fields of the content's places; empty ones are left out.

    Translations of before stay for texts of `kept`, another content, and for questions that are not whole. Answers of
    one question that differ must differ in each language, so that an answer can be told by its text. Raises
    TranslationRefused.
    """
    texts: dict[str, dict[str, str]] = {}
    for place in _places(content, {}):
        text = typed.get(place.field, "").strip()
        if len(text) > LONGEST:
            raise TranslationRefused(f"A text has at most {LONGEST:,} characters.", place.field)
        if text:
            of_question = texts.setdefault(place.question_id, {})
            of_question[place.base] = text if place.answer is None else " ".join(text.split())
    _check_answers(content, texts)
    shown = {(place.question_id, place.base) for place in _places(content, {})}
    elsewhere = {(place.question_id, place.base) for place in _places(kept, {})}
    open_questions = {place.question_id for place in _places(content, texts) if place.translated is None}
    for question_id, of in before.items():
        for base, text in of.items():
            is_kept = (question_id, base) in elsewhere or question_id in open_questions
            if (question_id, base) not in shown and is_kept:
                texts.setdefault(question_id, {})[base] = text
    return texts


def _check_answers(content: Sequence[Any], texts: Texts) -> None:
    shown: dict[tuple[str, str], str] = {}
    for place in _places(content, texts):
        if place.answer is None:
            continue
        text = (place.translated or place.base).strip()
        if shown.setdefault((place.question_id, text.casefold()), place.base) != place.base:
            raise TranslationRefused(
                f"Question {place.number}: two answers would read “{text}”. Answers of one question must differ in "
                "each language.",
                place.field,
            )


def _places(content: Sequence[Any], texts: Texts) -> Iterator[Place]:
    ids = Counter(_id(question) for question in content if isinstance(question, dict))
    for number, question in enumerate(content, 1):
        if not isinstance(question, dict) or not (question_id := _id(question)) or ids[question_id] > 1:
            continue
        listed = [(None, _text(question.get(_key(question_id)))), *enumerate(_answers(question))]
        of, bases = texts.get(question_id) or {}, {base for _, base in listed}
        earlier = tuple((base, text) for base, text in of.items() if base not in bases)
        for answer, base in listed:
            if base.strip():
                yield Place(question_id, number, base, answer, of.get(base), () if base in of else earlier)


def _translated(question: dict[str, Any], of: Mapping[str, str]) -> dict[str, Any]:
    key, answers = _key(_id(question)), question.get("answers")
    changed = {**question, key: of.get(_text(question[key])) or question[key]} if key in question else dict(question)
    if isinstance(answers, list):
        changed["answers"] = [
            {**each, "text": of.get(_text(each.get("text"))) or each.get("text")} if isinstance(each, dict) else each
            for each in answers
        ]
    return changed


def _key(question_id: str | None) -> str:
    return PROMPT if question_id == PROMPT else "question_text"


def _id(question: Mapping[str, Any]) -> str | None:
    """The question's id; `PROMPT` for the one entry of an audio survey; None for what has no usable id."""
    if "question_type" not in question and PROMPT in question:
        return PROMPT
    found = question.get("question_id")
    return found if isinstance(found, str) and found else None


def _answers(question: Mapping[str, Any]) -> list[str]:
    answers = question.get("answers")
    listed = answers if isinstance(answers, list) else []
    return [_text(each.get("text")) if isinstance(each, dict) else "" for each in listed]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
