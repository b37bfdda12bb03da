"""Response rates of a survey by day and participant, and how each question was answered (NOTIF-24, CLAR-56)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answers.distributions import Spread, distribution
from core.answers.overview import submission_figures
from core.answers.rates import ParticipantRow, ResponseRates, response_rates
from core.answers.rules.variables import variable_name
from core.database import db
from core.models import Survey
from webapp.portal.access.rules import requires
from webapp.portal.answers import wording
from webapp.portal.answers.charts import bins_of, outcome_columns
from webapp.portal.answers.choice import SPANS, Choice, read_choice
from webapp.portal.answers.section import answers
from webapp.portal.answers.survey import OF, the_survey

ROWS_OF_PAGE = 100
MOST_DAYS = 62  # as columns; of more, weeks are shown unless days are asked for
SORTS: Mapping[str, Callable[[ParticipantRow], Any]] = {
    "id": lambda row: row.patient_id,
    "rate": lambda row: (-1 if row.counts.rate is None else row.counts.rate, row.counts.answered),
    "answered": lambda row: row.counts.answered,
    "late": lambda row: row.counts.late,
    "missed": lambda row: row.counts.missed,
    "open": lambda row: row.counts.open,
    "extra": lambda row: row.extra,
    "time": lambda row: -1 if row.mean_minutes is None else row.mean_minutes,
}


@answers.get(OF)
@requires(Capability.ANSWERS_READ, is_return_page=True)
def page(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Response rates: in all, by day or week, and by participant; times to answer."""
    survey, session = the_survey(survey_number), db.session()
    choice = read_choice(request.args, g.study.zone, g.now)
    rates = response_rates(session, survey.id, first=choice.first, last=choice.last, with_test=choice.with_test)
    by = request.args.get("by", "")
    is_weekly = len(rates.days) > MOST_DAYS if by not in ("day", "week") else by == "week"
    shown = render_template(
        "portal/answers/page.html",
        survey=survey,
        choice=choice,
        spans=SPANS,
        rates=rates,
        figures=submission_figures(
            session, survey.id, since=choice.since, until=choice.until, with_test=choice.with_test
        ),
        nine_in_ten=_within(rates, 0.9),
        is_weekly=is_weekly,
        chart=outcome_columns(rates.weeks if is_weekly else rates.days),
        people=_people(rates),
        address=_address(survey, choice, by),
        wording=wording,
    )
    return shown, 422 if choice.problems else 200


def _address(survey: Survey, choice: Choice, by: str) -> Callable[..., str]:
    """A function that gives this page's address after changes of what it shows."""
    kept = {name: request.args[name] for name in ("sort", "order") if name in request.args}
    kept |= {"by": by} if by in ("day", "week") else {}

    def address(**changes: Any) -> str:
        of_choice = {name: changes.pop(name) for name in ("span", "with_test") if name in changes}
        arguments = choice.arguments(**of_choice) | kept | changes
        return url_for("answers.page", study_number=survey.study_id, survey_number=survey.id, **arguments)

    return address


@dataclass(frozen=True)
class People:
    """A page of the participants' rows, and how they are sorted."""

    rows: list[ParticipantRow]
    total: int
    number: int
    pages: int
    sort: str
    is_ascending: bool


def _people(rates: ResponseRates) -> People:
    sort = request.args.get("sort", "")
    sort = sort if sort in SORTS else "id"
    is_ascending = request.args.get("order", "up" if sort == "id" else "down") == "up"
    rows = sorted(rates.participants, key=lambda row: row.patient_id)
    rows.sort(key=SORTS[sort], reverse=not is_ascending)
    pages = max(1, -(-len(rows) // ROWS_OF_PAGE))
    asked = request.args.get("page", "1")
    number = min(max(int(asked[:6]), 1), pages) if asked.isascii() and asked.isdecimal() else 1
    start = (number - 1) * ROWS_OF_PAGE
    return People(rows[start : start + ROWS_OF_PAGE], len(rows), number, pages, sort, is_ascending)


def _within(rates: ResponseRates, share: float) -> int | None:
    """In how many minutes that share of the answers came."""
    wanted, seen = share * sum(rates.times.values()), 0
    for minutes, count in rates.times.items():
        seen += count
        if seen >= wanted:
            return minutes
    return None


@dataclass(frozen=True)
class ShownQuestion:
    """A question with all its wordings; those that nobody answered and that are not asked any more are left out."""

    number: int
    question_id: str
    wordings: list[Spread]


@answers.get(f"{OF}/questions")
@requires(Capability.ANSWERS_READ)
def questions(study_number: int, survey_number: int) -> ResponseReturnValue:
    """How each question was answered, each wording apart."""
    survey = the_survey(survey_number)
    choice = read_choice(request.args, g.study.zone, g.now)
    spreads = distribution(db.session(), survey.id, since=choice.since, until=choice.until, with_test=choice.with_test)
    shown: dict[int, ShownQuestion] = {}
    for spread in spreads:
        question = shown.setdefault(spread.number, ShownQuestion(spread.number, spread.question_id, []))
        question.wordings.insert(0, spread)
    page = render_template(
        "portal/answers/questions.html",
        survey=survey,
        choice=choice,
        spans=SPANS,
        questions=list(shown.values()),
        has_answers=any(_count(spread) for spread in spreads),
        count_of=_count,
        bins_of=bins_of,
        variable_name=variable_name,
        address=lambda **changes: url_for(
            "answers.questions",
            study_number=survey.study_id,
            survey_number=survey.id,
            **choice.arguments(**changes),
        ),
        wording=wording,
    )
    return page, 422 if choice.problems else 200


def _count(spread: Spread) -> int:
    """How many submissions have a row for the wording."""
    return spread.answered + spread.skipped + spread.unseen + spread.unreadable
