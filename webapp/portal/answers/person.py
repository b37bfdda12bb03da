"""The answers of one participant over time, survey by survey (CLAR-56)."""

from dataclasses import dataclass

from flask import abort, g, render_template, request
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answers.over_time import Series, series_of
from core.answers.overview import rates_of_surveys, submissions_by_survey
from core.answers.rates import Counts, response_rates
from core.answers.submitted import submissions_of
from core.database import db
from core.models import Survey
from core.surveys.listing import survey_lines
from webapp.portal.access.rules import requires
from webapp.portal.answers import wording
from webapp.portal.answers.charts import Line, line_through
from webapp.portal.answers.section import answers
from webapp.portal.answers.submissions import ROWS_OF_PAGE, columns_of, cursor_of

MOST_SHOWN = 400  # submissions that are drawn: a year of a daily survey


@dataclass(frozen=True)
class AnsweredSurvey:
    """A survey of the study with what the participant did with it."""

    survey: Survey
    counts: Counts
    submissions: int


@dataclass(frozen=True)
class Drawn:
    """A series with its line."""

    series: Series
    line: Line


@answers.get("/view_study/<number:study_number>/participant/<patient_id>/answers")
@requires(Capability.ANSWERS_READ)
def person(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The surveys of a participant with rates, and one of them over time: scores, answers, all submissions."""
    session, participant = db.session(), g.participant
    surveys = _surveys()
    asked = request.args.get("survey", "")
    chosen = next((line for line in surveys if str(line.survey.id) == asked), None)
    if asked and chosen is None:
        abort(404, "There is no such survey in the study.")
    chosen = chosen or next((line for line in surveys if line.submissions), None)
    found = []
    rates = None
    if chosen:
        found = submissions_of(session, chosen.survey.id, participant_id=participant.id, limit=MOST_SHOWN)
        rates = response_rates(session, chosen.survey.id, participant_id=participant.id, with_test=True)
    rows = found[:ROWS_OF_PAGE]
    return render_template(
        "portal/answers/person.html",
        participant=participant,
        surveys=surveys,
        chosen=chosen,
        survey=chosen.survey if chosen else None,
        rates=rates,
        rows=rows,
        older=cursor_of(rows[-1]) if len(found) > len(rows) else None,
        is_cut=len(found) == MOST_SHOWN,
        most_shown=MOST_SHOWN,
        drawn=[Drawn(series, line_through(series.points, *series.ends or ())) for series in series_of(found)],
        wording=wording,
        **columns_of(rows),
    )


def _surveys() -> list[AnsweredSurvey]:
    """Those of the study that exist, and deleted ones with submissions of the participant."""
    session = db.session()
    rates = rates_of_surveys(session, g.study.id, participant_id=g.participant.id)
    submissions = submissions_by_survey(session, g.participant.id)
    lines = survey_lines(session, g.study.id)
    lines += [line for line in survey_lines(session, g.study.id, deleted=True) if line.survey.id in submissions]
    return [
        AnsweredSurvey(line.survey, rates.get(line.survey.id, Counts()), submissions.get(line.survey.id, 0))
        for line in lines
    ]
