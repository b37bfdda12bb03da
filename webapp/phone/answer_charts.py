"""Charts of survey answers: coordinates of points and lines in an SVG view box of 320 by 140 units (PHONE-62)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from core.phones.survey_answers import Answer, AnswerFile

LEFT, RIGHT, TOP, BOTTOM = 50, 300, 20, 100
ABOVE, BELOW = -8, 16  # distance of a number's text from its point


@dataclass(frozen=True)
class Point:
    """One answer to a question. `y`, `value` and `value_y` are None if it was not a number."""

    at: datetime
    x: float
    y: float | None
    value: str | None
    value_y: float | None = None


@dataclass(frozen=True)
class Chart:
    """The answers to one question over time. `low` and `high` are the ends of its scale, as texts."""

    question: str
    points: list[Point]
    low: str
    high: str

    @property
    def has_gaps(self) -> bool:
        return any(point.y is None for point in self.points)

    @property
    def lines(self) -> list[str]:
        """One `points` attribute of an SVG polyline for each run of neighbouring points that have numbers."""
        runs = (list(run) for has_number, run in groupby(self.points, lambda p: p.y is not None) if has_number)
        return [" ".join(f"{p.x:g},{p.y:g}" for p in run) for run in runs if len(run) > 1]


@dataclass(frozen=True)
class SurveyCharts:
    """The charts of one survey: one for each question with at least one number as answer."""

    name: str
    times_answered: int
    charts: list[Chart]


def charts_of(files: Sequence[AnswerFile]) -> list[SurveyCharts]:
    """Charts by survey, in the order of `files`, which are grouped by survey. Files that were not read are left out."""
    readable = [file for file in files if file.answers is not None]
    return [_survey(list(group)) for _, group in groupby(readable, lambda file: file.survey_id)]


def _survey(files: list[AnswerFile]) -> SurveyCharts:
    files.sort(key=lambda file: file.answered_at)
    answers = [{answer.question_id: answer for answer in file.answers or ()} for file in files]
    # The newest file has the current order of the questions.
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
    """Where the number's text goes: above the point, or below it in a valley, where lines would cross the text."""
    y = points[place].y
    if y is None:
        return None
    around = [points[n].y for n in (place - 1, place + 1) if 0 <= n < len(points)]
    is_valley = any(other is not None for other in around) and all(other is None or other < y - 8 for other in around)
    return round(y + (BELOW if is_valley and y + BELOW <= BOTTOM else ABOVE), 1)


def _scale(row: list[Answer | None]) -> tuple[float, float]:
    """The lowest and highest value of the axis, which differ: from the slider's limits and the numbers."""
    numbers = [answer.number for answer in row if answer and answer.number is not None]
    limits = [limit for answer in row if answer and answer.limits for limit in answer.limits]
    low, high = min(numbers + limits), max(numbers + limits)
    if not limits:
        low = min(low, 0)
    return (low, high) if low < high else (low, low + 1)
