"""Drawing answers: where points and lines of a small chart go, in the units of its view box, 320 by 140 (PHONE-62)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from core.phones.survey_answers import Answer, AnswerFile

LEFT, RIGHT, TOP, BOTTOM = 50, 300, 20, 100
ABOVE, BELOW = -8, 16  # where the number stands, from its point


@dataclass(frozen=True)
class Point:
    """One answering of a question; all but `at` and `x` is None where no number was answered."""

    at: datetime
    x: float
    y: float | None
    value: str | None
    value_y: float | None = None


@dataclass(frozen=True)
class Chart:
    """A question over time. `lines` are runs of neighbouring points that have numbers; `low`, `high` its scale."""

    question: str
    points: list[Point]
    low: str
    high: str

    @property
    def has_gaps(self) -> bool:
        return any(point.y is None for point in self.points)

    @property
    def lines(self) -> list[str]:
        """Each run as the `points` of a polyline."""
        runs = (list(run) for has_number, run in groupby(self.points, lambda p: p.y is not None) if has_number)
        return [" ".join(f"{p.x:g},{p.y:g}" for p in run) for run in runs if len(run) > 1]


@dataclass(frozen=True)
class SurveyCharts:
    """The charts of a survey: one for each question that was ever answered with a number."""

    name: str
    times_answered: int
    charts: list[Chart]


def charts_of(files: Sequence[AnswerFile]) -> list[SurveyCharts]:
    """Charts by survey, in the order in which surveys come; files that were not read take no part."""
    readable = [file for file in files if file.answers is not None]
    return [_survey(list(group)) for _, group in groupby(readable, lambda file: file.survey_id)]


def _survey(files: list[AnswerFile]) -> SurveyCharts:
    files.sort(key=lambda file: file.answered_at)
    answers = [{answer.question_id: answer for answer in file.answers or ()} for file in files]
    # In the order of the newest file, which asks what the survey asks now.
    questions = dict.fromkeys(question for row in reversed(answers) for question in row)
    charts = []
    for question in questions:
        row = [found.get(question) for found in answers]
        if any(answer and answer.number is not None for answer in row):
            charts.append(_chart(row, [file.answered_at for file in files]))
    return SurveyCharts(files[0].survey_name or "Unnamed survey", len(files), charts)


def _chart(row: list[Answer | None], times: list[datetime]) -> Chart:
    newest = next(answer for answer in reversed(row) if answer)
    low, high = _scale(row)
    points = []
    for place, (answer, at) in enumerate(zip(row, times, strict=True)):
        x = LEFT + (RIGHT - LEFT) * (place / (len(row) - 1) if len(row) > 1 else 0.5)
        number = answer.number if answer else None
        y = None if number is None else round(BOTTOM - (BOTTOM - TOP) * (number - low) / (high - low), 1)
        points.append(Point(at, round(x, 1), y, None if number is None else f"{number:.6g}"))
    points = [replace(point, value_y=_value_y(points, place)) for place, point in enumerate(points)]
    return Chart(newest.question or "A question without text", points, f"{low:.6g}", f"{high:.6g}")


def _value_y(points: list[Point], place: int) -> float | None:
    """Above the point; below it in a valley, where the lines to its neighbours would run through the number."""
    y = points[place].y
    if y is None:
        return None
    around = [points[n].y for n in (place - 1, place + 1) if 0 <= n < len(points)]
    is_valley = any(other is not None for other in around) and all(other is None or other < y - 8 for other in around)
    return round(y + (BELOW if is_valley and y + BELOW <= BOTTOM else ABOVE), 1)


def _scale(row: list[Answer | None]) -> tuple[float, float]:
    """From the slider's limits where it has some, else from the numbers; never empty."""
    numbers = [answer.number for answer in row if answer and answer.number is not None]
    limits = [limit for answer in row if answer and answer.limits for limit in answer.limits]
    low, high = min(numbers + limits), max(numbers + limits)
    if not limits:
        low = min(low, 0)
    return (low, high) if low < high else (low, low + 1)
