"""What makes a question the same question to those who answer it: its texts, options and limits (CLAR-56). Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.answers.reading import LISTS, ReadAnswer, number_in
from core.surveys.rules.answer_files import without_separators

NO_QUESTION = "info_text_box"


@dataclass(frozen=True)
class Wording:
    """A question as it was shown. `options` are the texts of its answers in order, `least` and `most` a slider's ends.

    `digest` is equal for all that apps write alike: they keep commas and line ends out of their files.
    """

    question_id: str
    kind: str
    text: str
    options: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    field_type: str = ""

    @property
    def digest(self) -> bytes:
        """SHA-256 of all that makes the wording, as files have it."""
        return _digest(self)


@lru_cache(maxsize=4_096)
def _digest(wording: Wording) -> bytes:
    """Kept, since a file has the same questions as the one before."""
    texts = [_as_in_files(text) for text in (wording.text, *wording.options)]
    parts = [wording.question_id, wording.kind, texts, wording.least, wording.most, wording.field_type]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def wording_in_file(answer: ReadAnswer) -> Wording:
    """The wording that a row of an answer file has."""
    least, most = answer.limits or (None, None)
    return Wording(answer.question_id, answer.kind, answer.question, answer.options, least, most, answer.field_type)


def wordings_in(content: Iterable[Any]) -> list[Wording]:
    """The wordings of a survey's questions in order; texts to read, and what is no question, are left out."""
    questions = (q for q in content if isinstance(q, Mapping) and isinstance(q.get("question_id"), str))
    return [_wording(q) for q in questions if q["question_id"].strip() and q.get("question_type") != NO_QUESTION]


def _wording(question: Mapping[str, Any]) -> Wording:
    kind = _storable(str(question.get("question_type") or ""))
    least = most = None
    if kind == "slider":
        least, most = number_in(str(question.get("min"))), number_in(str(question.get("max")))
        least, most = (None, None) if least is None or most is None else (least, most)
    answers = question.get("answers") if kind in LISTS else ()
    options = [str(a.get("text", "")) for a in answers if isinstance(a, Mapping)] if isinstance(answers, list) else []
    field_type = _storable(str(question.get("text_field_type") or "")) if kind == "free_response" else ""
    text = str(question.get("question_text") or "")
    question_id = _storable(question["question_id"].strip())
    return Wording(question_id, kind, _storable(text), tuple(map(_storable, options)), least, most, field_type)


def _as_in_files(text: str) -> str:
    return without_separators(text).strip()


def _storable(text: str) -> str:
    """The text with marks in place of what PostgreSQL cannot hold, NUL and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
