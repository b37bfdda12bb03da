"""Figures of a study's surveys: rates of all of them, and how many submissions came, or could not be read."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.rates import Counts
from core.models import CountedEvent, Outcome, Participant, Submission, Survey


@dataclass(frozen=True)
class SubmissionFigures:
    """How many submissions there are, how many could not be read or not wholly, and when the newest was submitted."""

    submissions: int
    with_problem: int
    newest_at: datetime | None


def rates_of_surveys(
    session: Session, study_id: int, *, since: date | None = None, participant_id: int | None = None
) -> dict[int, Counts]:
    """Counts of the events of each survey of a study that has any, by the survey's number; one query.

    From the day `since` on, of everybody but the study team, or of one participant.
    """
    columns = [sa.func.count().filter(CountedEvent.outcome == each.value).label(each.value) for each in Outcome]
    query = sa.select(CountedEvent.survey_id, *columns, sa.func.count(CountedEvent.opened_at).label("opened"))
    query = query.where(CountedEvent.survey_id.in_(sa.select(Survey.id).where(Survey.study_id == study_id)))
    if since is not None:
        query = query.where(CountedEvent.on_day >= since)
    if participant_id is not None:
        query = query.where(CountedEvent.participant_id == participant_id)
    else:
        query = query.where(CountedEvent.participant_id.not_in(_of_team()))
    return {
        row.survey_id: Counts(row.answered, row.late, row.missed, row.open, row.opened)
        for row in session.execute(query.group_by(CountedEvent.survey_id))
    }


def submission_figures(
    session: Session,
    survey_id: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    with_test: bool = False,
) -> SubmissionFigures:
    """Figures of a survey's submissions from `since` (included) to `until` (not included); one query."""
    is_wrong = sa.or_(Submission.problem.is_not(None), Submission.unreadable > 0)
    query = sa.select(
        sa.func.count().label("submissions"),
        sa.func.count().filter(is_wrong).label("with_problem"),
        sa.func.max(Submission.submitted_at).label("newest_at"),
    ).where(Submission.survey_id == survey_id)
    if since is not None:
        query = query.where(Submission.submitted_at >= since)
    if until is not None:
        query = query.where(Submission.submitted_at < until)
    if not with_test:
        query = query.where(Submission.participant_id.not_in(_of_team()))
    row = session.execute(query).one()
    return SubmissionFigures(row.submissions, row.with_problem, row.newest_at)


def submissions_by_survey(session: Session, participant_id: int) -> dict[int, int]:
    """How many submissions of each survey a participant sent, by the survey's number; one query."""
    query = sa.select(Submission.survey_id, sa.func.count()).where(
        Submission.participant_id == participant_id, Submission.survey_id.is_not(None)
    )
    return {number: count for number, count in session.execute(query.group_by(Submission.survey_id)).tuples() if number}


def _of_team() -> sa.Select[tuple[int]]:
    return sa.select(Participant.id).where(Participant.is_test)
