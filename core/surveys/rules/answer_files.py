"""The rows that the apps write about an answered question (PHONE-71, CLAR-56). Pure."""

from collections.abc import Mapping
from typing import Any

from core.streams.table import Platform
from core.surveys.rules.answering import Answer, Way

ANSWERS_HEADER = "question id,question type,question text,question answer options,answer"
TIMINGS_HEADER = f"timestamp,{ANSWERS_HEADER}"
SKIPPED, UNSEEN = "NO_ANSWER_SELECTED", "NOT_PRESENTED"
ANDROID_TYPES = {
    "info_text_box": "Info Text Box",
    "slider": "Slider Question",
    "radio_button": "Radio Button Question",
    "checkbox": "Checkbox Question",
    "free_response": "Open Response Question",
    "date": "Date Question",
    "time": "Time Question",
    "date_time": "DateTime Question",
}


def answers_file(content: list[Any], way: Way, given: Mapping[str, Answer], platform: Platform) -> list[str]:
    """Lines of the answers file of somebody who took this way and submitted: the header, then a line per question.

    Questions that were shown and left open say so. The iOS app also lists those that it did not show; Android leaves
    them out. Texts to read are in no answers file.
    """
    lines = [ANSWERS_HEADER]
    for place in way.asked:
        question = content[place]
        if question["question_type"] == "info_text_box":
            continue
        if place in way.shown:
            answer = answer_text(question, given.get(question["question_id"]), platform) or SKIPPED
            lines.append(f"{question_fields(question, platform)},{answer}")
        elif platform is Platform.IOS:
            lines.append(f"{question_fields(question, platform)},{UNSEEN}")
    return lines


def question_fields(question: Mapping[str, Any], platform: Platform) -> str:
    """The four fields of a row that are about the question: id, type, text and answer options."""
    kind = question["question_type"]
    kind = kind if platform is Platform.IOS else ANDROID_TYPES[kind]
    text = without_separators(question.get("question_text") or "")
    return f"{question['question_id']},{kind},{text},{_options(question, platform)}"


def answer_text(question: Mapping[str, Any], answer: Answer, platform: Platform) -> str:
    """The answer as the app writes it; empty where there is none.

    Radio buttons are the index of the answer on Android, as its newer versions write, and the text on iOS.
    """
    if answer is None or answer == ():
        return ""
    if isinstance(answer, tuple):
        return _list_text([_text_of(question, index) for index in answer], platform)
    if question["question_type"] == "radio_button" and not isinstance(answer, str):
        return str(int(answer)) if platform is Platform.ANDROID else _text_of(question, int(answer))
    return without_separators(str(answer).strip())


def without_separators(text: str) -> str:
    """Both apps keep commas and line ends out of their files by writing something else in their place."""
    return text.replace(",", ";").replace("\n", " ").replace("\r", " ").replace("\t", " ")


def _options(question: Mapping[str, Any], platform: Platform) -> str:
    kind = question["question_type"]
    if kind == "slider":
        return f"min = {question['min']}; max = {question['max']}"
    if kind in ("radio_button", "checkbox"):
        return _list_text([without_separators(answer["text"]) for answer in question["answers"]], platform)
    if kind == "free_response":
        return f"Text-field input type = {question['text_field_type']}"
    return ""


def _text_of(question: Mapping[str, Any], index: int) -> str:
    return without_separators(question["answers"][index]["text"])


def _list_text(texts: list[str], platform: Platform) -> str:
    return ";".join(texts) if platform is Platform.IOS else f"[{'; '.join(texts)}]"
