"""Reads answer files of both apps, old and new, to the same rows (CLAR-56). Pure.

Both apps write a line for each question: id, type, text, answer options, answer; without quotes, with other characters
in place of commas and line ends. They differ in the names of types, in how lists are written, and in radio buttons:
iOS and older Android apps write the answer's text, newer Android apps its index.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from core.streams.table import Platform
from core.surveys.rules.answer_files import ANDROID_TYPES, SKIPPED, UNSEEN, without_separators

TYPES_OF_ANDROID = {name.lower(): kind for kind, name in ANDROID_TYPES.items()}
LISTS = ("radio_button", "checkbox")
NUMERIC = "NUMERIC"
SEPARATORS = ("; ", ";")
MOST_STEPS = 2_000
MOST_DIGITS = 15
LIMITS = re.compile(r"min = (-?[0-9]{1,9}(?:\.[0-9]{1,9})?); max = (-?[0-9]{1,9}(?:\.[0-9]{1,9})?)", re.ASCII)
FIELD_TYPE = re.compile(r"Text-field input type = ([A-Z_]{1,40})", re.ASCII)


class AnswerState(StrEnum):
    """What a row says: an answer, a question left open, one that was not shown, or an answer that cannot be mapped."""

    ANSWERED = "answered"
    SKIPPED = "skipped"
    UNSEEN = "unseen"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class ReadAnswer:
    """One row of an answer file.

    `kind` is the type of the question as surveys name it, empty if unknown; `options` are the texts of the answers to
    choose from, as the row has them; `indices` those that were chosen, counted from 0, ascending; `number` a slider's
    or a typed number. `text` is the answer as written. `problem` says why an answer is unreadable. `limits` are a
    slider's least and greatest value, `field_type` is that of a question with a typed answer.
    """

    question_id: str
    kind: str
    question: str
    options: tuple[str, ...]
    state: AnswerState
    text: str = ""
    indices: tuple[int, ...] = ()
    number: float | None = None
    problem: str = ""
    limits: tuple[float, float] | None = None
    field_type: str = ""


Versions = Sequence[Mapping[str, Mapping[str, Any]]]
"""Questions by id of the survey's versions, the one that counted at the time of the answers first."""


def read_answers(contents: bytes, versions: Versions = ()) -> list[ReadAnswer]:
    """The rows of an answer file, in its order. Lines without a question id are left out.

    `versions` tell options apart that hold `;`, and types that the row does not name.
    """
    text = contents.decode(errors="replace").replace("\0", "\ufffd")  # which PostgreSQL cannot hold
    lines = text.replace("\r\n", "\n").split("\n")[1:]
    rows = (line.split(",") for line in lines)
    return [_read(row, versions) for row in rows if len(row) >= 5 and row[0].strip()]


def number_in(text: str) -> float | None:
    """The number; None for what phones do not mean as one, such as `nan`, `1_0` or text."""
    plain = text.lstrip("+-")
    whole, _, fraction = plain.partition(".")
    if not whole + fraction or len(text) - len(plain) > 1 or len(whole) > MOST_DIGITS:
        return None
    if not all(part.isascii() and (part.isdecimal() or not part) for part in (whole, fraction)):
        return None
    return float(text)


def _read(row: Sequence[str], versions: Versions) -> ReadAnswer:
    read = _answer(row, versions)
    if read.kind == "slider" and (limits := LIMITS.search(row[3])):
        return replace(read, limits=(float(limits[1]), float(limits[2])))
    if read.kind == "free_response" and (field_type := FIELD_TYPE.search(row[3])):
        return replace(read, field_type=field_type[1])
    return read


def _answer(row: Sequence[str], versions: Versions) -> ReadAnswer:
    """The id, type, text and options come first; whatever commas there are belong to the answer."""
    question_id, kind_text, question, options_text = (part.strip() for part in row[:4])
    text = ",".join(row[4:]).strip()
    kind, platform = _kind(kind_text)
    known = [version[question_id] for version in versions if question_id in version]
    kind = kind or (str(known[0].get("question_type", "")) if known else "")
    options = _options(options_text, known) if kind in LISTS else ()
    about = (question_id, kind, question, options)
    if text == UNSEEN:
        return ReadAnswer(*about, AnswerState.UNSEEN)
    if text in ("", SKIPPED, "[]"):
        return ReadAnswer(*about, AnswerState.SKIPPED)
    if kind in LISTS:
        return _chosen(about, text, platform)
    if kind == "slider" or (kind == "free_response" and NUMERIC in options_text):
        number = number_in(text)
        is_unreadable = number is None and kind == "slider"
        state, problem = (AnswerState.UNREADABLE, "no number") if is_unreadable else (AnswerState.ANSWERED, "")
        return ReadAnswer(*about, state, text, number=number, problem=problem)
    return ReadAnswer(*about, AnswerState.ANSWERED, text)


def _kind(text: str) -> tuple[str, Platform]:
    """The type as surveys name it, empty if unknown, and the platform whose app writes it so."""
    if (kind := TYPES_OF_ANDROID.get(text.lower())) is not None:
        return kind, Platform.ANDROID
    return text if text in ANDROID_TYPES else "", Platform.IOS


def _options(text: str, known: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The texts of the answers to choose from: those of a version that reads so, else what is between the marks."""
    inner = _without_brackets(text)
    for question in known:
        answers = question.get("answers")
        texts = [without_separators(str(a.get("text", ""))) for a in answers or () if isinstance(a, Mapping)]
        if any(separator.join(texts).strip() == inner.strip() for separator in SEPARATORS):
            return tuple(texts)
    return tuple(option.strip() for option in inner.split(";")) if inner else ()


def _without_brackets(text: str) -> str:
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _chosen(about: tuple[str, str, str, tuple[str, ...]], text: str, platform: Platform) -> ReadAnswer:
    """A choice of one or several answers, mapped to indices if exactly one reading is possible."""
    kind, options = about[1], about[3]
    readings = _single(text, options, platform) if kind == "radio_button" else _several(text, options)
    if len(readings) == 1:
        return ReadAnswer(*about, AnswerState.ANSWERED, text, indices=readings.pop())
    problem = "it can be read in several ways" if readings else "it is none of the answers"
    return ReadAnswer(*about, AnswerState.UNREADABLE, text, problem=problem)


def _single(text: str, options: Sequence[str], platform: Platform) -> set[tuple[int, ...]]:
    """Android writes an index or, in older apps, the text: where options are numbers, both readings count."""
    readings: set[tuple[int, ...]] = {(index,) for index, option in enumerate(options) if option == text}
    is_index = platform is Platform.ANDROID and text.isascii() and text.isdecimal() and int(text[:6]) < len(options)
    return readings | {(int(text),)} if is_index else readings


def _several(text: str, options: Sequence[str]) -> set[tuple[int, ...]]:
    """The sets of options whose texts give this list; once there are two, no more are looked for."""
    search = _Search(options)
    for separator in SEPARATORS:
        search.take(_without_brackets(text), separator, ())
    return search.found


class _Search:
    """Looks for sets of options that make up a list of texts, in at most so many steps: options may repeat."""

    def __init__(self, options: Sequence[str]) -> None:
        self.options = options
        self.found: set[tuple[int, ...]] = set()
        self._steps = 0

    def take(self, rest: str, separator: str, taken: tuple[int, ...]) -> None:
        """Takes one option after the other from the beginning of the text, each at most once."""
        self._steps += 1
        if len(self.found) > 1 or self._steps > MOST_STEPS:
            return
        for index, option in enumerate(self.options):
            if index in taken:
                continue
            if rest == option:
                self.found.add(tuple(sorted((*taken, index))))
            elif rest.startswith(option + separator):
                self.take(rest[len(option + separator) :], separator, (*taken, index))
