"""Which questions of a tracking survey a phone shows, given the answers so far (PHONE-52, PHONE-56, SURVEY-26). Pure.

Answers are given by question id: a number for a slider, the index of the chosen answer for a radio button, the
indices of the ticked ones for a checkbox, a text for everything that is typed, and None for no answer.
"""

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.streams.table import Platform
from core.surveys.rules.checking import GROUPS, Finding, check_questions
from core.surveys.rules.conditions import compares
from core.surveys.rules.warnings import crashes_ios

Answer = float | str | tuple[int, ...] | None
TYPED_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
# Errors of a question that phones live with: they know what a comparison with a question means that is not there.
_ERRORS_THAT_PHONES_READ = ("unknown_question", "later_question", "own_question")


@dataclass(frozen=True)
class Stop:
    """The app goes no further than this question, whose place is counted from 0."""

    place: int
    reason: str


@dataclass(frozen=True)
class Way:
    """What one participant sees: places of the questions shown, in their order, and where the app stops, if it does.

    `asked` is the order of all questions that this participant could be asked, shown or not.
    """

    asked: tuple[int, ...]
    shown: tuple[int, ...]
    stop: Stop | None = None


def way_through(
    content: list[Any],
    settings: Mapping[str, Any],
    given: Mapping[str, Answer],
    platform: Platform,
    *,
    seed: int | str = 0,
    seen: Collection[str] = (),
) -> Way:
    """The questions that these answers show. Answers of questions that are not shown count as never given.

    `seed` decides the random order, and `seen` names questions shown before, for `randomize_with_memory`. Questions
    whose errors no phone can read, and logic on which the iOS app crashes (PHONE-55), end the way.
    """
    order = order_of(content, settings, platform, seed=seed, seen=seen)
    is_random = settings.get("randomize") is True
    problems = {place: reason for place, reason in problems_of(content, platform).items() if place in set(order)}
    shown: list[int] = []
    numbers: dict[str, tuple[float, ...]] = {}
    for place in order:
        if place in problems:
            return Way(tuple(order), tuple(shown), Stop(place, problems[place]))
        question = content[place]
        is_first = place == order[0] and platform is Platform.ANDROID
        if is_random or is_first or is_shown(question.get("display_if"), numbers, platform):
            shown.append(place)
            numbers[question["question_id"]] = numbers_of(question, given.get(question["question_id"]))
    return Way(tuple(order), tuple(shown))


def order_of(
    content: list[Any],
    settings: Mapping[str, Any],
    platform: Platform,
    *,
    seed: int | str = 0,
    seen: Collection[str] = (),
) -> list[int]:
    """Places of the questions that can be asked, in the order of asking (PHONE-52).

    Random order keeps the first `number_of_random_questions`. Null and too many are all of them; 0 is all on Android
    and none on iOS. With memory, questions in `seen` come after all others.
    """
    places = list(range(len(content)))
    if settings.get("randomize") is not True:
        return places
    random.Random(f"order|{seed}").shuffle(places)
    if settings.get("randomize_with_memory") is True:
        places.sort(key=lambda place: str(_id_of(content[place])) in seen)
    count = settings.get("number_of_random_questions")
    if isinstance(count, bool) or not isinstance(count, int) or (count == 0 and platform is Platform.ANDROID):
        return places
    return places[: max(count, 0)]


def problems_of(content: list[Any], platform: Platform) -> dict[int, str]:
    """Why the app cannot show a question, by the question's place; empty where all is well."""
    found: dict[int, str] = {}
    errors: dict[str, Finding] = {}
    for finding in check_questions(content):
        if finding.kind not in _ERRORS_THAT_PHONES_READ:
            errors.setdefault(finding.question_id, finding)
    for place, question in enumerate(content):
        error = errors.get(str(_id_of(question))) or errors.get(f"#{place + 1}")
        if error:
            found[place] = f"This question has an error: {error.message}"
        elif platform is Platform.IOS and (reason := next(crashes_ios(question.get("display_if")), "")):
            found[place] = reason
    return found


def is_shown(logic: Any, numbers: Mapping[str, tuple[float, ...]], platform: Platform) -> bool:
    """Whether a condition holds (PHONE-56).

    `numbers` holds for each question shown so far the numbers of its answer: none where it is unanswered, which makes
    a comparison false. A comparison with a question that is not in `numbers` is false on Android and true on iOS.
    """
    if not logic:
        return True
    ((name, operand),) = logic.items()
    if name == "not":
        return not is_shown(operand, numbers, platform)
    if name in GROUPS:
        parts = (is_shown(part, numbers, platform) for part in operand)
        return all(parts) if name == "and" else any(parts)
    asked, number = operand
    if asked not in numbers:
        return platform is Platform.IOS
    return any(compares(name, answer, float(number)) for answer in numbers[asked])


def numbers_of(question: Mapping[str, Any], answer: Answer) -> tuple[float, ...]:
    """The numbers that conditions compare: none without an answer, and for a typed text that is no number."""
    kind = question.get("question_type")
    if isinstance(answer, tuple):
        return tuple(float(index) for index in answer)
    if isinstance(answer, str):
        is_number = kind == "free_response" and question.get("text_field_type") == "NUMERIC"
        typed = answer.strip()
        return (float(typed),) if is_number and TYPED_NUMBER.fullmatch(typed) else ()
    return () if answer is None else (float(answer),)


def is_left_open(question: Mapping[str, Any], answer: Answer) -> bool:
    """Whether the app refuses to go on: the question is required and not answered. Texts to read ask nothing."""
    if question.get("required") is not True or question.get("question_type") == "info_text_box":
        return False
    return answer is None or answer == () or (isinstance(answer, str) and not answer.strip())


def _id_of(question: Any) -> Any:
    return question.get("question_id") if isinstance(question, dict) else None
