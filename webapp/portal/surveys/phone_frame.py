"""The phone that a preview shows: its state, which travels in the form, and what is on its screen (SURVEY-26)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.streams.table import Platform
from core.surveys.rules.answer_files import answers_file
from core.surveys.rules.answering import Answer, Way, way_through
from core.surveys.rules.stepping import AnswerRefused, Position, first_of, holds_up, read_answer
from webapp.portal.surveys import wording

ANSWER = "answer-"
"""Names of fields with answers: this, and the question's id."""
AT, GO, APP, SEED = "at", "go", "app", "seed"
AT_END = "end"
MOST_SEEDS = 1_000_000
APPS = {"android": Platform.ANDROID, "ios": Platform.IOS}
NAMES = {Platform.ANDROID: "Android", Platform.IOS: "iOS"}


class Fields(Protocol):
    """What a form or a query holds: several values for a name."""

    def getlist(self, name: str, /) -> list[str]: ...


@dataclass(frozen=True)
class Screen:
    """What the phone shows now. `question` is None at the end, where the app stops, and for an audio survey.

    `number` of `total`: which of the questions that can be asked this is, from 1. `answers` holds every answer so
    far by question id as the form's fields keep it. `file` are lines of the file that would be uploaded, at the end.
    """

    way: Way
    platform: Platform
    seed: int
    question: Mapping[str, Any] | None
    number: int = 0
    total: int = 0
    is_first: bool = True
    problem: str = ""
    answers: dict[str, list[str]] = field(default_factory=dict)
    given: dict[str, Answer] = field(default_factory=dict)
    answered: list[tuple[int, Mapping[str, Any], str]] = field(default_factory=list)
    file: list[str] = field(default_factory=list)
    stopped_at: int = 0
    stopped_for: str = ""

    @property
    def app(self) -> str:
        """The platform as forms and addresses name it."""
        return "ios" if self.platform is Platform.IOS else "android"

    @property
    def app_name(self) -> str:
        return NAMES[self.platform]

    @property
    def other_seed(self) -> int:
        """Another seed, for another order."""
        return secrets.randbelow(MOST_SEEDS)


def screen_of(content: list[Any], settings: Mapping[str, Any], fields: Fields, *, is_step: bool) -> Screen:
    """The screen after what a form asks for: the first question without a step, else the next or the one before."""
    platform = APPS.get(_first(fields, APP), Platform.IOS)
    seed = _seed(_first(fields, SEED))
    ids = _places(content)
    answers = {name: fields.getlist(ANSWER + name) for name in ids} if is_step else {}
    at = _first(fields, AT)
    position = Position(ids.get(at)) if is_step else None
    given, problems = _read(content, ids, answers)
    way = way_through(content, settings, given, platform, seed=seed)
    problem, is_back = "", _first(fields, GO) == "back"
    is_known = at == AT_END if position is None or position.place is None else position.place in way.shown
    if position is None or not is_known:
        position = first_of(way)
    elif is_back:
        position = position.before_on(way)
    else:
        problem = _problem(content, position, given, problems)
        position = position if problem else position.next_on(way)
    return _screen(content, way, platform, seed, position, answers, given, problem)


def _screen(
    content: list[Any],
    way: Way,
    platform: Platform,
    seed: int,
    position: Position,
    answers: dict[str, list[str]],
    given: dict[str, Answer],
    problem: str,
) -> Screen:
    kept = {name: [text for text in texts if text] for name, texts in answers.items()}
    kept = {name: texts for name, texts in kept.items() if texts}
    common: dict[str, Any] = {"answers": kept, "given": given, "total": len(way.asked)}
    if position.place is not None:
        return Screen(
            way,
            platform,
            seed,
            content[position.place],
            number=way.asked.index(position.place) + 1,
            is_first=position == first_of(way),
            problem=problem,
            **common,
        )
    if way.stop:
        common |= {"stopped_at": way.stop.place + 1, "stopped_for": way.stop.reason}
        return Screen(way, platform, seed, None, is_first=not way.shown, **common)
    answered = [
        (place + 1, content[place], wording.given_answer(content[place], given.get(content[place]["question_id"])))
        for place in way.shown
        if content[place]["question_type"] != "info_text_box"
    ]
    file = answers_file(content, way, given, platform)
    return Screen(way, platform, seed, None, is_first=not way.shown, answered=answered, file=file, **common)


def _places(content: list[Any]) -> dict[str, int]:
    """Places of the questions by id; of equal ids the first."""
    found: dict[str, int] = {}
    for place, question in enumerate(content):
        if isinstance(question, dict) and isinstance(question.get("question_id"), str):
            found.setdefault(question["question_id"], place)
    return found


def _read(
    content: list[Any], places: Mapping[str, int], answers: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Answer], dict[str, str]]:
    """Answers by question id, and what is wrong with those that are none."""
    given: dict[str, Answer] = {}
    problems: dict[str, str] = {}
    for name, typed in answers.items():
        if any(text.strip() for text in typed):
            try:
                given[name] = read_answer(content[places[name]], typed)
            except AnswerRefused as refused:
                problems[name] = str(refused)
            except (KeyError, TypeError, ValueError):  # the question has an error, and the way ends before it
                continue
    return given, problems


def _problem(content: list[Any], position: Position, given: Mapping[str, Answer], problems: Mapping[str, str]) -> str:
    if position.place is None:
        return ""
    question = content[position.place]
    name = question["question_id"]
    return problems.get(name) or holds_up(question, given.get(name))


def _first(fields: Fields, name: str) -> str:
    return next(iter(fields.getlist(name)), "")


def _seed(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
