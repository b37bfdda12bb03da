"""Going through a survey question by question, as on a phone: next, back, and what holds one up (SURVEY-26). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.surveys.rules.answering import Answer, Way, is_left_open

LONGEST_ANSWER = 10_000
MUST_ANSWER = "This question must be answered."


class AnswerRefused(Exception):
    """What was given is no answer to the question; the message says what one is."""


@dataclass(frozen=True)
class Position:
    """Where somebody is on a way: the question's place, or None at the end or where the app stops."""

    place: int | None

    def next_on(self, way: Way) -> "Position":
        """The next question shown; after the last one the end, or the place where the app stops."""
        if self.place is None or self.place not in way.shown:
            return first_of(way)
        after = way.shown[way.shown.index(self.place) + 1 :]
        return Position(after[0] if after else None)

    def before_on(self, way: Way) -> "Position":
        """The question shown before; the first one stays."""
        if self.place is None:
            return Position(way.shown[-1] if way.shown else None)
        if self.place not in way.shown:
            return first_of(way)
        return Position(way.shown[max(way.shown.index(self.place) - 1, 0)])


def first_of(way: Way) -> Position:
    """The first question shown; the end where there is none."""
    return Position(way.shown[0] if way.shown else None)


def read_answer(question: Mapping[str, Any], typed: Sequence[str]) -> Answer:
    """The answer that a form holds; None for no answer. Choices are indices. Raises AnswerRefused."""
    kind = question.get("question_type")
    texts = [text for text in typed if text.strip()]
    if kind == "checkbox":
        return tuple(sorted({_index(question, text) for text in texts}))
    if not texts or kind == "info_text_box":
        return None
    if kind == "radio_button":
        return _index(question, texts[0])
    if kind == "slider":
        return _on_slider(question, texts[0])
    if len(texts[0]) > LONGEST_ANSWER:
        raise AnswerRefused(f"An answer has up to {LONGEST_ANSWER} characters here.")
    return texts[0]


def holds_up(question: Mapping[str, Any], answer: Answer) -> str:
    """Why the app does not go on to the next question; empty where it does."""
    return MUST_ANSWER if is_left_open(question, answer) else ""


def _index(question: Mapping[str, Any], text: str) -> int:
    if not text.isdecimal() or len(text) > 6 or int(text) >= len(question["answers"]):
        raise AnswerRefused("The question has no such answer any more.")
    return int(text)


def _on_slider(question: Mapping[str, Any], text: str) -> int:
    least, most = int(float(question["min"])), int(float(question["max"]))
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise AnswerRefused(f"A whole number from {least} to {most}.")
    return value
