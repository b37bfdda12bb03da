"""The measures of a study over time: median and quartiles of its participants, and who has any (CLAR-82)."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.measures.catalogue import MEASURES, Measure
from core.measures.of_study import StudyDay, measured_people, newest_day, study_measures
from core.measures.origins import origins
from webapp.portal.access.rules import requires
from webapp.portal.measures import wording
from webapp.portal.measures.choice import SPANS, read_choice
from webapp.portal.measures.drawing import Drawing, draw
from webapp.portal.measures.section import OF_STUDY, measures
from webapp.stores import settings

MOST_DAYS = 366
ROWS_OF_PAGE = 100


@dataclass(frozen=True)
class Chart:
    """A measure with its days and its drawing; `has_run` tells whether its tree ever ran for somebody."""

    measure: Measure
    rows: list[StudyDay]
    drawing: Drawing
    has_run: bool


@measures.get(OF_STUDY)
@requires(Capability.MEASURES_VIEW, is_return_page=True)
def study(study_number: int) -> ResponseReturnValue:
    """A chart for each chosen measure, and a page of the participants with measures."""
    session, least = db.session(), settings().measures_least_hours
    newest = newest_day(session, g.study.id)
    choice = read_choice(request.args, newest or today(), MOST_DAYS)
    within: dict[str, Any] = {"least_hours": least, "with_test": choice.with_test}
    found = study_measures(session, g.study, choice.measures, choice.first, choice.last, **within)
    runs = origins(session, g.study)
    has_run = {origin.tree for origin in runs}
    number = page_number()
    start = (number - 1) * ROWS_OF_PAGE
    people, total = measured_people(
        session, g.study, choice.first, choice.last, limit=ROWS_OF_PAGE, offset=start, **within
    )
    page = render_template(
        "portal/measures/study.html",
        choice=choice,
        spans=SPANS,
        newest=newest,
        charts=[
            Chart(
                measure,
                rows := found[measure.name],
                draw(rows, choice.first, choice.last),
                bool(rows) or measure.tree in has_run,
            )
            for measure in choice.measures
        ],
        origins=runs,
        people=people,
        total=total,
        number=number,
        pages=max(1, -(-total // ROWS_OF_PAGE)),
        least_hours=least,
        all_measures=MEASURES.values(),
        wording=wording,
        address=lambda **changes: url_for("measures.study", study_number=g.study.id, **choice.arguments(**changes)),
    )
    return page, 422 if choice.problems else 200


def today() -> date:
    """The date in the study's zone."""
    day: date = g.now.astimezone(g.study.zone).date()
    return day


def page_number() -> int:
    """The page that is asked for, from 1; 1 for anything that is no number."""
    asked = request.args.get("page", "1")[:6]
    return max(int(asked), 1) if asked.isascii() and asked.isdecimal() else 1
