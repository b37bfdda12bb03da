"""Surveys on a phone: what the apps require, which questions they show, and the files of a filled-in survey."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.streams.table import Platform as OurPlatform
from core.surveys.rules.answer_files import (
    ANDROID_TYPES,
    TIMINGS_HEADER,
    answer_text,
    answers_file,
    question_fields,
)
from core.surveys.rules.answering import Answer, Stop, way_through
from ops.phones.platforms import Platform

OPEN_SHARE = 0.05
"""The share of questions that are left open though the app would let them be answered."""
_FIELD_TYPES = ("NUMERIC", "SINGLE_LINE_TEXT", "MULTI_LINE_TEXT")
_COMMENTS = ("fine", "a bit tired", "better than yesterday", "nothing to add", "long day")

Json = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """A filled-in survey: the records of the two files that both apps write for it, and the ids of what was shown."""

    survey_id: str
    timings: list[str]
    answers: list[str]
    shown: list[str]


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
    if kind not in ANDROID_TYPES:
        found.append(f"question_type {kind!r}")
    if kind == "free_response" and question.get("text_field_type") not in _FIELD_TYPES:
        found.append(f"text_field_type {question.get('text_field_type')!r}")
    if kind == "slider" and not (isinstance(question.get("min"), str) and isinstance(question.get("max"), str)):
        found.append("a slider whose min and max are not texts")
    if kind in ("radio_button", "checkbox") and not isinstance(question.get("answers"), list):
        found.append("a question without its answers")
    return found


def fill_in(survey: Json, platform: Platform, seed: str, at_ms: int, *, seen: Collection[str] = ()) -> Filled | Stop:
    """Answers a tracking survey at a Unix time in milliseconds; the same arguments give the same answers.

    Questions are shown as the app shows them (PHONE-52, PHONE-56). A few that are not required stay open. `seen` names
    questions that this phone showed before. Where the app stops on the way, it is said at which question and why.
    """
    dice = random.Random(f"answers|{seed}|{survey['_id']}|{at_ms}")
    of = OurPlatform[platform.name]
    content: list[Json] = survey["content"]
    given = {q["question_id"]: _answer(q, dice) for q in content if isinstance(q, dict) and "question_id" in q}
    way = way_through(content, survey["settings"], given, of, seed=f"{seed}|{at_ms}", seen=seen)
    if way.stop:
        return way.stop
    questions = [content[place] for place in way.shown]
    timings = (_ios_timings if platform is Platform.IOS else _android_timings)(questions, given, at_ms, dice)
    shown = [question["question_id"] for question in questions]
    return Filled(survey["_id"], timings, answers_file(content, way, given, of), shown)


def _android_timings(questions: list[Json], given: Mapping[str, Answer], at_ms: int, dice: random.Random) -> list[str]:
    clock = at_ms
    timings = [TIMINGS_HEADER, f"{clock},Survey first rendered and displayed to user"]
    for question in questions:
        clock += dice.randint(1300, 7500)
        if answer := answer_text(question, given[question["question_id"]], OurPlatform.ANDROID):
            timings.append(f"{clock},{question_fields(question, OurPlatform.ANDROID)},{answer}")
    return [*timings, f"{clock + dice.randint(500, 2000)},User hit submit"]


def _ios_timings(questions: list[Json], given: Mapping[str, Answer], at_ms: int, dice: random.Random) -> list[str]:
    clock = at_ms
    timings = [f"{TIMINGS_HEADER},event"]
    for question in questions:
        row = question_fields(question, OurPlatform.IOS)
        answer = answer_text(question, given[question["question_id"]], OurPlatform.IOS)
        clock += dice.randint(400, 1500)
        timings.append(f"{clock},{row},,present")
        if answer:
            clock += dice.randint(900, 6000)
            timings.append(f"{clock},{row},{answer},changed")
        clock += dice.randint(200, 900)
        timings.append(f"{clock},{row},{answer},unpresent")
    return [*timings, f"{clock + dice.randint(500, 2000)},,,,,,submitted"]


def recording(survey: Json, seed: str, at_ms: int) -> tuple[str, bytes]:
    """Extension and bytes of a short answer to an audio survey; not playable, only of the right shape."""
    dice = random.Random(f"recording|{seed}|{survey['_id']}|{at_ms}")
    noise = dice.randbytes(dice.randint(4_000, 12_000))
    if survey.get("settings", {}).get("audio_survey_type") == "raw":
        size = (36 + len(noise)).to_bytes(4, "little")
        return "wav", b"RIFF" + size + b"WAVEfmt \x10\x00\x00\x00" + noise
    return "mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42" + noise


def _answer(question: Json, dice: random.Random) -> Answer:
    """An answer as `way_through` takes it."""
    kind = question["question_type"]
    if kind == "info_text_box" or (question.get("required") is not True and dice.random() < OPEN_SHARE):
        return None
    if kind == "slider":
        low, high = int(float(question["min"])), int(float(question["max"]))
        return round(min(high, max(low, dice.gauss(low + 0.6 * (high - low), 0.2 * (high - low)))))
    if kind == "radio_button":
        return dice.randrange(len(question["answers"])) if question["answers"] else None
    if kind == "checkbox":
        count = len(question["answers"])
        return tuple(i for i in range(count) if dice.random() < 0.4) or tuple(range(min(count, 1)))
    if kind == "free_response":
        return str(dice.randint(0, 12)) if question["text_field_type"] == "NUMERIC" else dice.choice(_COMMENTS)
    day, minute = f"2024-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}", dice.randint(0, 59)
    time = f"{dice.randint(6, 22):02d}:{minute:02d}"
    return {"date": day, "time": time}.get(kind, f"{day} {time}")
