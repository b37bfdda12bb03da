"""Checking the questions of a tracking survey and their skip logic (SURVEY-20 to SURVEY-22)."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.surveys.content import KEYS_OF_TYPES

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
GROUPS = ("and", "or")
FIELD_TYPES = ("NUMERIC", "SINGLE_LINE_TEXT", "MULTI_LINE_TEXT")
NUMERIC_TYPES = ("slider", "radio_button", "checkbox")
SLIDER_ENDS = range(-100, 101)
NUMBER_TEXT = re.compile(
    r"[+-]?[0-9]+(\.[0-9]*)?"
)  # `float` also takes "1_0", " 5" and "1e1", which phones cannot read
MOST_LAYERS = 50


class Level(StrEnum):
    """Whether a finding forbids to publish."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """What is wrong with a survey, and where: a question's id, `#n` if it has none, empty for the survey as a whole."""

    question_id: str
    kind: str
    message: str
    level: Level = Level.ERROR


class _Wrong(Exception):
    """The first thing that is wrong with a question."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def check_questions(content: Any) -> list[Finding]:
    """The first error of each question of a tracking survey, in their order; empty where all is right."""
    if not isinstance(content, list):
        return [Finding("", "malformed", "The content is a list of questions.")]
    places: dict[str, int] = {}
    for place, question in enumerate(content):
        if isinstance(question, dict) and isinstance(question.get("question_id"), str):
            places.setdefault(question["question_id"], place)
    return list(_findings(content, places))


def _findings(content: list[Any], places: Mapping[str, int]) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, question in enumerate(content):
        name = question.get("question_id") if isinstance(question, dict) else None
        where = name if isinstance(name, str) and name else f"#{place + 1}"
        try:
            if not isinstance(question, dict):
                raise _Wrong("malformed", "A question is an object.")
            if name is None or name == "":
                raise _Wrong("missing_question_id", "The question has no id.")
            if not isinstance(name, str):
                raise _Wrong("malformed", "A question's id is a text.")
            if name in seen:
                raise _Wrong("duplicate_question_id", "Another question has this id.")
            seen.add(name)
            _check_own(question)
            _check_logic(question.get("display_if"), place, name, content, places, 0)
        except _Wrong as wrong:
            yield Finding(where, wrong.kind, str(wrong))


def _check_own(question: dict[str, Any]) -> None:
    """What the question's own type asks for (SURVEY-15, SURVEY-16)."""
    kind = question.get("question_type")
    if not isinstance(kind, str) or kind not in KEYS_OF_TYPES:
        raise _Wrong("unknown_question_type", f"{kind!r} is no type of question.")
    if not isinstance(question.get("question_text", ""), str | None):
        raise _Wrong("malformed", "A question's text is a text.")
    if kind == "slider":
        least, most = _end(question.get("min")), _end(question.get("max"))
        if least is None or most is None or least >= most:
            raise _Wrong("bad_slider_range", "A slider goes from a whole number to a greater one.")
    elif kind in ("radio_button", "checkbox"):
        _check_answers(question.get("answers"))
    elif kind == "free_response" and question.get("text_field_type") not in FIELD_TYPES:
        raise _Wrong("unknown_field_type", f"{question.get('text_field_type')!r} is no type of field.")


def _check_answers(answers: Any) -> None:
    if answers is None or answers == []:
        raise _Wrong("no_answers", "A question to choose from has at least one answer.")
    if not isinstance(answers, list) or not all(
        isinstance(a, dict) and isinstance(a.get("text"), str) for a in answers
    ):
        raise _Wrong("malformed", "Answers are a list of objects with a text.")
    if not all(answer["text"].strip() for answer in answers):
        raise _Wrong("no_answers", "An answer has a text.")


def _end(value: Any) -> int | None:
    """The end of a slider, from a number or a text of digits; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not NUMBER_TEXT.fullmatch(value):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # the latter for whole numbers of hundreds of digits
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None


def _check_logic(logic: Any, place: int, own: str, content: list[Any], places: Mapping[str, int], layer: int) -> None:
    """The grammar of SURVEY-21. Raises _Wrong for the first error."""
    if logic is None and layer == 0:
        return
    if logic is None or logic == {} or logic == []:
        raise _Wrong("empty_logic", "The logic is empty.")
    if not isinstance(logic, dict) or layer > MOST_LAYERS:
        raise _Wrong("malformed", "Logic is an object with one operator.")
    if len(logic) > 1:
        raise _Wrong("unknown_operator", "Logic has one operator at each place.")
    ((operator, operand),) = logic.items()
    if operand == [] or operand == {}:
        raise _Wrong("empty_logic", f"“{operator}” has no parts.")
    if operator in GROUPS:
        if not isinstance(operand, list):
            raise _Wrong("malformed", f"“{operator}” has a list of parts.")
        for part in operand:
            _check_logic(part, place, own, content, places, layer + 1)
    elif operator == "not":
        _check_logic(operand, place, own, content, places, layer + 1)
    elif operator in COMPARISONS:
        _check_comparison(operand, place, own, content, places)
    else:
        raise _Wrong("unknown_operator", f"“{operator}” is no operator.")


def _check_comparison(operand: Any, place: int, own: str, content: list[Any], places: Mapping[str, int]) -> None:
    if not isinstance(operand, list) or len(operand) > 2 or not isinstance(operand[0], str | None):
        raise _Wrong("malformed", "A comparison names a question and a number.")
    asked: Any = operand[0]
    if asked == own:
        raise _Wrong("own_question", "A question cannot depend on itself.")
    if len(operand) == 1 or operand[1] is None or operand[1] == "":
        raise _Wrong("no_value", "The number to compare with is missing.")
    if asked not in places:
        raise _Wrong("unknown_question", f"There is no question {asked}.")
    if places[asked] >= place:
        raise _Wrong("later_question", "A question depends on earlier ones only.")
    if not _is_number(operand[1]):
        raise _Wrong("value_not_a_number", f"{operand[1]!r} is not a number.")
    question = content[places[asked]]
    kind = question.get("question_type")
    is_numeric = kind in NUMERIC_TYPES or (kind == "free_response" and question.get("text_field_type") == "NUMERIC")
    is_known = isinstance(kind, str) and kind in KEYS_OF_TYPES
    if kind == "free_response":
        is_known = question.get("text_field_type") in FIELD_TYPES
    if not is_numeric and is_known:  # one of no known type is an error of its own
        raise _Wrong("question_not_numeric", "The answer of that question is no number.")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value):
        return False
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False
