"""Surveys on a phone: what the apps require, which questions they show, and the files of a filled-in survey."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.phones.platforms import Platform

ANSWERS_HEADER = "question id,question type,question text,question answer options,answer"
TIMINGS_HEADER = "timestamp,question id,question type,question text,question answer options,answer"

_ANDROID_TYPES = {
    "info_text_box": "Info Text Box",
    "slider": "Slider Question",
    "radio_button": "Radio Button Question",
    "checkbox": "Checkbox Question",
    "free_response": "Open Response Question",
    "date": "Date Question",
    "time": "Time Question",
    "date_time": "DateTime Question",
}
_FIELD_TYPES = ("NUMERIC", "SINGLE_LINE_TEXT", "MULTI_LINE_TEXT")
_COMMENTS = ("fine", "a bit tired", "better than yesterday", "nothing to add", "long day")

Json = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """A filled-in survey: the records of the two files that both apps write for it."""

    survey_id: str
    timings: list[str]
    answers: list[str]


def complaints(surveys: Any) -> list[str]:
    """What an app would crash on or refuse in a survey download (PHONE-44 to PHONE-55); [] when all is well."""
    if not isinstance(surveys, list):
        return ["the survey download is not an array"]
    found: list[str] = []
    for survey in surveys:
        if not isinstance(survey, dict) or not isinstance(survey.get("_id"), str):
            found.append("a survey without _id")
            continue
        name = survey["_id"]
        if survey.get("survey_type") not in ("tracking_survey", "audio_survey"):
            found.append(f"{name}: survey_type {survey.get('survey_type')!r}")
        if not isinstance(survey.get("settings"), dict) or "always_available" not in survey["settings"]:
            found.append(f"{name}: settings without always_available")
        timings = survey.get("timings")
        if not isinstance(timings, list) or len(timings) != 7:
            found.append(f"{name}: timings are not seven arrays")
        elif any(type(second) is not int or not 0 <= second <= 86400 for day in timings for second in day):
            found.append(f"{name}: a timing outside 0…86400")
        content = survey.get("content")
        if not isinstance(content, list):
            found.append(f"{name}: content is not an array")
        elif survey.get("survey_type") == "audio_survey":
            if not content or "prompt" not in content[0]:
                found.append(f"{name}: an audio survey without a prompt")
        else:
            found += [f"{name}: {text}" for question in content for text in _question_complaints(question)]
    return found


def _question_complaints(question: Json) -> list[str]:
    found = []
    if not question.get("question_id"):
        found.append("a question without question_id")
    kind = question.get("question_type")
    if kind not in _ANDROID_TYPES:
        found.append(f"question_type {kind!r}")
    if kind == "free_response" and question.get("text_field_type") not in _FIELD_TYPES:
        found.append(f"text_field_type {question.get('text_field_type')!r}")
    if kind == "slider" and not (isinstance(question.get("min"), str) and isinstance(question.get("max"), str)):
        found.append("a slider whose min and max are not texts")
    if kind in ("radio_button", "checkbox") and not isinstance(question.get("answers"), list):
        found.append("a question without its answers")
    return found


def is_shown(logic: Json | None, given: Mapping[str, list[float]]) -> bool:
    """Whether a question's `display_if` holds for the answers so far (PHONE-56, Android's reading).

    `given` has the numbers of each answered question: a value, an index, or the indexes of a checkbox.
    """
    if not logic:
        return True
    operator, operand = next(iter(logic.items()))
    if operator == "not":
        return not is_shown(operand, given)
    if operator in ("and", "or"):
        parts = [is_shown(part, given) for part in operand]
        return all(parts) if operator == "and" else any(parts)
    compare = {
        "==": float.__eq__,
        "!=": float.__ne__,
        "<": float.__lt__,
        "<=": float.__le__,
        ">": float.__gt__,
        ">=": float.__ge__,
    }[operator]
    return any(compare(float(value), float(operand[1])) for value in given.get(operand[0], []))


def fill_in(survey: Json, platform: Platform, seed: str, at_ms: int) -> Filled:
    """Answers a tracking survey at a Unix time in milliseconds; the same arguments give the same answers."""
    dice = random.Random(f"answers|{seed}|{survey['_id']}|{at_ms}")
    ios = platform is Platform.IOS
    given: dict[str, list[float]] = {}
    answers = [ANSWERS_HEADER]
    timings = [TIMINGS_HEADER + (",event" if ios else "")]
    clock = at_ms
    if not ios:
        timings.append(f"{clock},Survey first rendered and displayed to user")
    for i, question in enumerate(survey["content"]):
        # Android shows the first question whatever its condition says.
        if not (i == 0 and not ios) and not is_shown(question.get("display_if"), given):
            continue
        kind, question_id = question["question_type"], question["question_id"]
        numbers, answer = _answer(question, dice, ios)
        given[question_id] = numbers
        options = _options(question, ios)
        row = f"{question_id},{kind if ios else _ANDROID_TYPES[kind]},{_clean(question['question_text'])},{options}"
        clock += dice.randint(400, 1500)
        if ios:
            timings.append(f"{clock},{row},,present")
        if kind != "info_text_box":
            clock += dice.randint(900, 6000)
            timings.append(f"{clock},{row},{answer}" + (",changed" if ios else ""))
            answers.append(f"{row},{answer}")
        if ios:
            clock += dice.randint(200, 900)
            timings.append(f"{clock},{row},{answer},unpresent")
    clock += dice.randint(500, 2000)
    timings.append(f"{clock},,,,,,submitted" if ios else f"{clock},User hit submit")
    return Filled(survey["_id"], timings, answers)


def recording(survey: Json, seed: str, at_ms: int) -> tuple[str, bytes]:
    """Extension and bytes of a short answer to an audio survey; not playable, only of the right shape."""
    dice = random.Random(f"recording|{seed}|{survey['_id']}|{at_ms}")
    noise = dice.randbytes(dice.randint(4_000, 12_000))
    if survey.get("settings", {}).get("audio_survey_type") == "raw":
        size = (36 + len(noise)).to_bytes(4, "little")
        return "wav", b"RIFF" + size + b"WAVEfmt \x10\x00\x00\x00" + noise
    return "mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42" + noise


def _answer(question: Json, dice: random.Random, ios: bool) -> tuple[list[float], str]:
    """The numbers that conditions compare, and the text that the file holds."""
    kind = question["question_type"]
    if kind == "slider":
        low, high = int(question["min"]), int(question["max"])
        value = round(min(high, max(low, dice.gauss(low + 0.6 * (high - low), 0.2 * (high - low)))))
        return [value], str(value)
    if kind in ("radio_button", "checkbox"):
        texts = [_clean(answer["text"]) for answer in question["answers"]]
        if not texts:
            return [], ""
        if kind == "radio_button":
            index = dice.randrange(len(texts))
            return [index], texts[index]
        chosen = [i for i in range(len(texts)) if dice.random() < 0.4]
        return list(map(float, chosen)), _list_text([texts[i] for i in chosen], ios)
    if kind == "free_response":
        if question["text_field_type"] == "NUMERIC":
            value = dice.randint(0, 12)
            return [value], str(value)
        return [], dice.choice(_COMMENTS)
    if kind == "date":
        return [], f"2024-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
    if kind == "time":
        return [], f"{dice.randint(6, 22):02d}:{dice.randint(0, 59):02d}"
    if kind == "date_time":
        return [], f"2024-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d} {dice.randint(6, 22):02d}:30"
    return [], ""


def _options(question: Json, ios: bool) -> str:
    """The answer options as the apps write them."""
    kind = question["question_type"]
    if kind == "slider":
        return f"min = {question['min']}; max = {question['max']}"
    if kind in ("radio_button", "checkbox"):
        return _list_text([_clean(answer["text"]) for answer in question["answers"]], ios)
    if kind == "free_response":
        return f"Text-field input type = {question['text_field_type']}"
    return ""


def _list_text(texts: list[str], ios: bool) -> str:
    return ";".join(texts) if ios else f"[{'; '.join(texts)}]"


def _clean(text: str) -> str:
    """Both apps keep commas and line ends out of their CSV by writing something else in their place."""
    return text.replace(",", ";").replace("\n", " ").replace("\r", " ").replace("\t", " ")
