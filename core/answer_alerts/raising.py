"""Raises alerts for submissions, in the transaction that writes them (CLAR-58).

Submissions that phones have just uploaded are told of; older ones, and those that were read later, are only listed.
"""

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, defer

from core.answer_alerts.rules.matching import Answered, Condition, Verdict, verdict
from core.bulk import is_one_of
from core.models import AlertRule, AnswerAlert, QuestionWording, Standing, Submission, SubmittedAnswer

log = logging.getLogger(__name__)

MOST_LISTED = 1_000
UNSEALED = (defer(AlertRule.webhook_address), defer(AlertRule.webhook_key))
"""Options of a query that reads rules without opening what is sealed in them."""


def raise_alerts(session: Session, submission_ids: Collection[int], *, is_new: bool) -> None:
    """Writes the alerts of these submissions; one to three queries.

    A submission of a survey with rules that could not be read at all matches each of them, unsurely.
    """
    if rules := _rules_of(session, submission_ids):
        _write(session, _matching(session, rules, is_one_of(Submission.id, submission_ids)), is_new=is_new)


def list_older_matches(session: Session, rule: AlertRule) -> int:
    """Lists the newest submissions so far that match the rule; returns how many. Nobody is told."""
    newest = (
        sa.select(Submission.id)
        .where(Submission.survey_id == rule.survey_id)
        .order_by(Submission.submitted_at.desc())
        .limit(MOST_LISTED)
    )
    found = _matching(session, [rule], Submission.id.in_(newest))
    _write(session, found, is_new=False)
    return len(found)


def _rules_of(session: Session, submission_ids: Collection[int]) -> list[AlertRule]:
    """The rules in force, without their sealed columns: processing goes on also where the server's secret changed."""
    of = sa.select(Submission.survey_id).where(is_one_of(Submission.id, submission_ids))
    query = sa.select(AlertRule).where(AlertRule.survey_id.in_(of), AlertRule.removed_at.is_(None))
    return list(session.scalars(query.options(*UNSEALED)))


def _matching(
    session: Session, rules: Iterable[AlertRule], which: sa.ColumnElement[bool]
) -> list[tuple[AlertRule, Any, Verdict]]:
    """Rule, submission and verdict, for each pair that matches."""
    by_question: dict[tuple[int, str], list[AlertRule]] = {}
    for rule in rules:
        by_question.setdefault((rule.survey_id, rule.question_id), []).append(rule)
    surveys = {survey_id for survey_id, _ in by_question}
    is_asked = sa.and_(
        QuestionWording.id == SubmittedAnswer.wording_id,
        QuestionWording.question_id.in_({question_id for _, question_id in by_question}),
    )
    answers = (
        sa.select(SubmittedAnswer, QuestionWording.question_id, QuestionWording.options)
        .join(QuestionWording, is_asked)
        .subquery()
    )
    query = (
        sa.select(
            Submission.id,
            Submission.survey_id,
            Submission.participant_id,
            Submission.received_at,
            Submission.problem,
            (Submission.answered + Submission.skipped + Submission.unseen + Submission.unreadable).label("rows"),
            answers.c.question_id,
            answers.c.state,
            answers.c.number,
            answers.c.choices,
            answers.c.options,
        )
        .outerjoin(answers, answers.c.submission_id == Submission.id)
        .where(
            which,
            Submission.survey_id.in_(surveys),
            Submission.is_recording.is_(False),
            Submission.standing != Standing.DUPLICATE.value,
        )
    )
    found = []
    for row in session.execute(query):
        if row.question_id is None:
            if row.problem and not row.rows:
                of_survey = [rule for key, some in by_question.items() if key[0] == row.survey_id for rule in some]
                found += [(rule, row, Verdict.UNSURE) for rule in of_survey]
            continue
        for rule in by_question.get((row.survey_id, row.question_id), ()):
            said = _verdict(rule, row)
            if said is not Verdict.NO:
                found.append((rule, row, said))
    return found


def _verdict(rule: AlertRule, row: Any) -> Verdict:
    """What the answer is to the rule. A rule that cannot be applied stops no upload: somebody looks at the answer."""
    try:
        return verdict(condition_of(rule), _answered(row))
    except Exception:
        log.exception("answer alerts: rule %d cannot be applied", rule.id)
        return Verdict.UNSURE


def condition_of(rule: AlertRule) -> Condition:
    """The rule's condition, as answers are compared with it."""
    return Condition(rule.comparison, rule.value, tuple(rule.options), tuple(rule.others))


def _answered(row: Any) -> Answered:
    choices, options = row.choices or (), row.options or ()
    return Answered(row.state, row.number, tuple(options[index] for index in choices if index < len(options)))


def _write(session: Session, found: list[tuple[AlertRule, Any, Verdict]], *, is_new: bool) -> None:
    if not found:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "rule_id": rule.id,
            "study_id": rule.study_id,
            "participant_id": row.participant_id,
            "submission_id": row.id,
            "raised_at": now,
            "is_listed_only": not is_new or row.received_at < rule.effective_from,
            "is_unsure": said is Verdict.UNSURE,
        }
        for rule, row, said in found
    ]
    written = insert(AnswerAlert).on_conflict_do_nothing(index_elements=["rule_id", "submission_id"])
    session.execute(written, rows)
