"""Answers and scores of one participant over time: a series of numbers for each question and score."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.answers.reading import AnswerState
from core.answers.rules.variables import variable_name
from core.answers.submitted import ShownAnswer, ShownSubmission

SERIES_KINDS = ("radio_button", "slider", "free_response")


@dataclass(frozen=True)
class Point:
    """A value of one submission, and the option's text where it is the code of one."""

    submission_id: int
    at: datetime
    value: float
    text: str = ""


@dataclass(frozen=True)
class Series:
    """The values of one question, in one wording, or of one score, oldest first; `variable` names it in exports.

    `ends` are the least and greatest number that the question allows, if it has such.
    """

    variable: str
    title: str
    is_score: bool
    points: tuple[Point, ...]
    ends: tuple[float, float] | None = None


def series_of(submissions: Sequence[ShownSubmission]) -> list[Series]:
    """The series in submissions of one participant: scores first, then questions by number.

    Questions with one answer to choose, sliders and typed numbers have one; questions with several answers and texts
    have none. Files that were sent twice count once.
    """
    scores: dict[int, tuple[str, str, list[Point]]] = {}
    questions: dict[tuple[int, int], tuple[ShownAnswer, list[Point]]] = {}
    for each in sorted(submissions, key=lambda of: (of.submitted_at, of.id)):
        if each.standing == "duplicate":
            continue
        for score in each.scores:
            if score.value is not None:
                _, _, points = scores.setdefault(score.score_id, (score.variable, score.name, []))
                points.append(Point(each.id, each.submitted_at, score.value))
        for answer in each.answers:
            value = _value(answer)
            if value is not None:
                key = answer.variable_number, answer.revision
                _, points = questions.setdefault(key, (answer, []))
                points.append(Point(each.id, each.submitted_at, value, answer.chosen[0] if answer.chosen else ""))
    found = [Series(variable, title, True, tuple(points)) for _, (variable, title, points) in sorted(scores.items())]
    for key, (of, points) in sorted(questions.items()):
        found.append(Series(variable_name(*key), of.question, False, tuple(points), of.ends))
    return found


def _value(answer: ShownAnswer) -> float | None:
    if answer.state is not AnswerState.ANSWERED or answer.kind not in SERIES_KINDS:
        return None
    return float(answer.choices[0]) if answer.choices else answer.number
