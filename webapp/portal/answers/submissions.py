"""The submissions of a survey, and one of them with what was typed (CLAR-56)."""

from collections.abc import Sequence
from datetime import datetime

from flask import abort, g, render_template, request
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answers.rules.variables import variable_name
from core.answers.submitted import ShownAnswer, ShownSubmission, answers_of, shown_submissions, submissions_of
from core.answers.versions import versions_of
from core.database import db
from core.models import Participant, Survey
from core.models.participant import participant_in_study
from webapp.portal.access.rules import requires
from webapp.portal.answers import wording
from webapp.portal.answers.section import answers
from webapp.portal.answers.survey import OF, the_survey

ROWS_OF_PAGE = 50
ONE = f"{OF}/submissions/<number:submission_number>"


@answers.get(f"{OF}/submissions")
@requires(Capability.ANSWERS_READ)
def submissions(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The newest submissions, a column for each question; with `only=problems` those that could not be read wholly.

    With `participant` those of one.
    """
    survey = the_survey(survey_number)
    only_problems, with_test = request.args.get("only") == "problems", request.args.get("tests") == "shown"
    person = _person(request.args.get("participant", ""))
    found = submissions_of(
        db.session(),
        survey.id,
        participant_id=person.id if person else None,
        before=_before(),
        limit=ROWS_OF_PAGE + 1,
        only_problems=only_problems,
        with_test=with_test or person is not None,
    )
    rows, last = found[:ROWS_OF_PAGE], found[ROWS_OF_PAGE - 1] if len(found) > ROWS_OF_PAGE else None
    return render_template(
        "portal/answers/submissions.html",
        survey=survey,
        person=person,
        rows=rows,
        older=cursor_of(last) if last else None,
        is_first="before" not in request.args,
        only_problems=only_problems,
        with_test=with_test,
        wording=wording,
        **columns_of(rows),
    )


def _person(patient_id: str) -> Participant | None:
    """The participant whose submissions are asked for. Aborts with 404 for one who is not in the study."""
    if not patient_id:
        return None
    person = participant_in_study(db.session(), g.study.id, patient_id)
    if person is None:
        abort(404, "There is no such participant in the study.")
    return person


def columns_of(rows: Sequence[ShownSubmission]) -> dict[str, object]:
    """The columns of a table of submissions: questions in all their wordings, and scores, with the cells by both."""
    questions: dict[int, ShownAnswer] = {}
    scores: dict[int, str] = {}
    for each in rows:
        questions |= {answer.wording_id: answer for answer in each.answers}
        scores |= {score.score_id: score.name for score in each.scores}
    ordered = sorted(questions.values(), key=lambda answer: (answer.variable_number, answer.revision))
    return {
        "questions": [(of.wording_id, variable_name(of.variable_number, of.revision), of.question) for of in ordered],
        "scores": sorted(scores.items()),
        "given": {each.id: {answer.wording_id: answer for answer in each.answers} for each in rows},
        "scored": {each.id: {score.score_id: score for score in each.scores} for each in rows},
    }


@answers.get(ONE)
@requires(Capability.ANSWERS_READ, is_return_page=True)
def submission(study_number: int, survey_number: int, submission_number: int) -> ResponseReturnValue:
    """One submission with typed texts, scores, and where it comes from."""
    survey = the_survey(survey_number)
    one = submission_of(survey, submission_number)
    session = db.session()
    versions = [version.id for version in versions_of(session, [survey.id]).get(survey.id, [])]
    return render_template(
        "portal/answers/submission.html",
        survey=survey,
        one=one,
        answers_given=answers_of(session, [one.id], with_texts=True).get(one.id, ()),
        version=versions.index(one.survey_version_id) + 1 if one.survey_version_id in versions else None,
        variable_name=variable_name,
        wording=wording,
    )


def submission_of(survey: Survey, number: int) -> ShownSubmission:
    """The survey's submission. Aborts with 404, also for one of a participant whom the person may not see (PERM-95)."""
    found = shown_submissions(db.session(), [number])
    if not found or found[0].survey_id != survey.id:
        abort(404, "There is no such submission of the survey.")
    return found[0]


def cursor_of(last: ShownSubmission) -> str:
    """The argument `before` of the page that goes on behind this submission."""
    return f"{last.submitted_at.isoformat()}_{last.id}"


def _before() -> tuple[datetime, int] | None:
    """Where the page before ended, from the address; None for the first page and for what makes no sense."""
    at, _, number = request.args.get("before", "").partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    return (moment, int(number)) if moment.tzinfo and is_number else None
