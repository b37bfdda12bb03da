"""Decodes content and settings of a survey from all stored forms, and prepares them for phones.

Pure, without the database.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

from core.storable import not_storable, readable

MOST_LAYERS = 100
# Keys of a question that belong to some types only (PHONE-53).
KEYS_OF_TYPES: dict[str, tuple[str, ...]] = {
    "info_text_box": (),
    "slider": ("min", "max"),
    "radio_button": ("answers",),
    "checkbox": ("answers",),
    "free_response": ("text_field_type",),
    "date": (),
    "time": (),
    "date_time": (),
}
_TYPED_KEYS = frozenset(key for keys in KEYS_OF_TYPES.values() for key in keys)


class ContentRefused(Exception):
    """Content or settings do not have a survey's form; the message says what is expected."""


def decoded_content(value: Any, *, is_null_empty: bool = False) -> list[Any]:
    """The questions, or the prompt, however often the list is encoded as a text; an empty text is none (SURVEY-19).

    Null is refused unless it comes from old data, where it is none. Raises ContentRefused.
    """
    value = _unwrapped(value)
    if value == "" or (is_null_empty and value is None):
        return []
    if not isinstance(value, list):
        raise ContentRefused("the content of a survey is a list")
    return value


def decoded_settings(value: Any, *, is_null_empty: bool = False) -> dict[str, Any]:
    """The settings as an object, however often it is encoded as a text. Raises ContentRefused."""
    value = _unwrapped(value)
    if value == "" or (is_null_empty and value is None):
        return {}
    if not isinstance(value, dict):
        raise ContentRefused("the settings of a survey are an object")
    return value


def _unwrapped(value: Any) -> Any:
    """What is in a JSON text that may hold a JSON text."""
    for _ in range(MOST_LAYERS):
        if not isinstance(value, str) or not value:
            return value
        try:
            value = json.loads(value, parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError):
            raise ContentRefused("not JSON") from None
    return value


def _finite(text: str) -> float:
    """NaN and the infinities are written as no JSON that a phone reads."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number in JSON")
    return number


def questions_for_phones(content: Iterable[Any]) -> list[Any]:
    """The content with the ends of sliders as texts, which phones expect (PHONE-54)."""
    return [_with_texts_for_ends(q) if isinstance(q, dict) else q for q in content]


def _with_texts_for_ends(question: dict[str, Any]) -> dict[str, Any]:
    if question.get("question_type") != "slider":
        return question
    return {key: _as_text(value) if key in ("min", "max") else value for key, value in question.items()}


def _as_text(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if value == int(value) else str(value)


def questions_to_store(content: Iterable[Any]) -> list[Any]:
    """The content as it is stored: also without keys that belong to another type of question (SURVEY-15), and with
    numbers in comparisons that were given as texts (SURVEY-22).
    """
    return [_with_numbers(_own_keys(q)) if isinstance(q, dict) else q for q in questions_for_phones(content)]


def _with_numbers(question: dict[str, Any]) -> dict[str, Any]:
    logic = question.get("display_if")
    return question | {"display_if": _numbers_in(logic)} if isinstance(logic, dict) else question


def _numbers_in(logic: Any) -> Any:
    """The logic with a number in each comparison whose value is a text that reads as one; the rest as it is."""
    if isinstance(logic, list):
        return [_numbers_in(part) for part in logic]
    if not isinstance(logic, dict):
        return logic
    return {
        name: [operand[0], _number_of(operand[1])] if _is_comparison(operand) else _numbers_in(operand)
        for name, operand in logic.items()
    }


def _is_comparison(operand: Any) -> bool:
    return isinstance(operand, list) and len(operand) == 2 and all(isinstance(part, str) for part in operand)


def _number_of(text: str) -> Any:
    """The number that the text stands for, a whole one as an integer; the text where it is none."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number) or "_" in text:
        return text
    return int(number) if number == int(number) else number


def _own_keys(question: dict[str, Any]) -> dict[str, Any]:
    own = KEYS_OF_TYPES.get(str(question.get("question_type")))
    if own is None:
        return question
    return {key: value for key, value in question.items() if key in own or key not in _TYPED_KEYS}


def content_to_store(content: list[Any], *stored: str) -> str:
    """The JSON text to store for this content, with the texts `stored` before it, such as the published one.

    Content that is equal to one of them as a whole gives that text, byte for byte. Else questions that are equal to a
    stored one stay as they are, and others are normalised (SURVEY-27, CLAR-50). Raises ContentRefused.
    """
    refuse_unstorable(content, "content")
    known: dict[str, Any] = {}
    for text in stored:
        try:
            before = decoded_content(text, is_null_empty=True)
        except ContentRefused:
            continue
        if canonical(content) == canonical(before):
            return text
        for question in before:
            known.setdefault(canonical(question), question)
    edited = questions_to_store(content)
    return json.dumps([known.get(canonical(old), new) for old, new in zip(content, edited, strict=True)])


def settings_to_store(settings: dict[str, Any], *stored: str) -> str:
    """The JSON text to store for these settings; those equal to a stored text give that text, byte for byte.

    Raises ContentRefused.
    """
    refuse_unstorable(settings, "settings")
    for text in stored:
        try:
            if canonical(settings) == canonical(decoded_settings(text, is_null_empty=True)):
                return text
        except ContentRefused:
            continue
    return json.dumps(settings_without_zero(settings))


def refuse_unstorable(value: Any, place: str) -> None:
    """Raises ContentRefused for NUL, halves of surrogate pairs, numbers beyond a double, and over 100 layers."""
    for at, reason in not_storable(value, place):
        raise ContentRefused(f"{readable(at)} {reason}")


def canonical(value: Any) -> str:
    """A text that is equal for two JSON values if they say the same to phones: 2 and 2.0 do, 1 and true do not.

    The order of keys does not matter.
    """
    return json.dumps(_whole_numbers(value), sort_keys=True)


def _whole_numbers(value: Any) -> Any:
    """The value with integers in place of whole floats, as browsers write them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_numbers(part) for key, part in value.items()}
    return [_whole_numbers(part) for part in value] if isinstance(value, list) else value


def settings_without_zero(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with null in place of no random questions at all, which would be none on iOS (PHONE-52)."""
    if settings.get("number_of_random_questions") == 0:
        return settings | {"number_of_random_questions": None}
    return settings
