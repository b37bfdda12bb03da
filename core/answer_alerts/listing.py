"""Alerts and their rules, ready to show; each row only to those who see its participant (CLAR-58, PERM-95)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    AlertRecipient,
    AlertRule,
    AlertSeen,
    AnswerAlert,
    OutgoingMessage,
    Participant,
    Researcher,
    Study,
    Submission,
    Survey,
)
from core.operations.alerts import Sent, described_messages

PAGE = 50


class AlertState(StrEnum):
    """The lists of alerts: those that somebody must act on, those that were acknowledged, and older matches."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    EARLIER = "earlier"


@dataclass(frozen=True)
class AlertLine:
    """An alert in a list. `submitted_at` is when the participant answered, by the phone's clock."""

    alert: AnswerAlert
    patient_id: str
    is_test: bool
    survey_id: int
    survey_name: str
    question_id: str
    submitted_at: datetime | None


@dataclass(frozen=True)
class RuleLine:
    """A rule with the names of those it tells, and how many alerts it has raised that were told of."""

    rule: AlertRule
    survey_name: str
    recipients: tuple[Researcher, ...]
    escalation: tuple[Researcher, ...]
    raised: int


def open_alert_count(session: Session, study_id: int) -> int:
    """How many alerts of the study somebody must act on; one query by index, on each page."""
    query = (
        sa.select(sa.func.count())
        .select_from(AnswerAlert)
        .where(AnswerAlert.study_id == study_id, *_IS[AlertState.OPEN])
    )
    return session.scalar(query) or 0


def alerts_of(
    session: Session, study: Study, state: AlertState, *, before: tuple[datetime, int] | None = None
) -> tuple[list[AlertLine], bool]:
    """The newest alerts of this state, and whether there are older ones; `before` is (raised_at, id) of the last."""
    query = _lines().where(AnswerAlert.study_id == study.id, *_IS[state])
    if before:
        query = query.where(sa.tuple_(AnswerAlert.raised_at, AnswerAlert.id) < before)
    query = query.order_by(AnswerAlert.raised_at.desc(), AnswerAlert.id.desc()).limit(PAGE + 1)
    lines = [AlertLine(*row) for row in session.execute(query)]
    return lines[:PAGE], len(lines) > PAGE


def alert_line(session: Session, study: Study, number: int) -> AlertLine | None:
    """One alert of the study; None for another's, and for participants whom the person may not see."""
    row = session.execute(_lines().where(AnswerAlert.study_id == study.id, AnswerAlert.id == number)).one_or_none()
    return AlertLine(*row) if row else None


def seen_by(session: Session, alert: AnswerAlert) -> list[tuple[str, datetime]]:
    """Who has opened the alert, and when first."""
    query = (
        sa.select(Researcher.username, AlertSeen.seen_at)
        .join(Researcher, Researcher.id == AlertSeen.researcher_id)
        .where(AlertSeen.alert_id == alert.id)
    )
    return list(session.execute(query.order_by(AlertSeen.seen_at)).tuples())


def messages_about(session: Session, alert: AnswerAlert) -> list[Sent]:
    """The mails and webhooks of the alert, oldest first."""
    query = sa.select(OutgoingMessage).where(OutgoingMessage.answer_alert_id == alert.id).order_by(OutgoingMessage.id)
    return described_messages(session.scalars(query).all())


def rules_of(session: Session, study: Study) -> list[RuleLine]:
    """The study's rules that are in force, newest first; three queries."""
    raised = (
        sa.select(sa.func.count())
        .select_from(AnswerAlert)
        .where(AnswerAlert.rule_id == AlertRule.id, AnswerAlert.is_listed_only.is_(False))
        .correlate(AlertRule)
        .scalar_subquery()
    )
    query = (
        sa.select(AlertRule, Survey.name, raised)
        .join(Survey, Survey.id == AlertRule.survey_id)
        .where(AlertRule.study_id == study.id, AlertRule.removed_at.is_(None))
        .order_by(AlertRule.id.desc())
    )
    rows = session.execute(query).tuples().all()
    people = _people(session, [rule.id for rule, _, _ in rows])
    return [
        RuleLine(
            rule,
            name,
            tuple(person for person, late in people.get(rule.id, ()) if not late),
            tuple(person for person, late in people.get(rule.id, ()) if late),
            count,
        )
        for rule, name, count in rows
    ]


def rule_of(session: Session, study: Study, number: int) -> AlertRule | None:
    """A rule of the study that is in force, or None."""
    rule = session.get(AlertRule, number)
    return rule if rule and rule.study_id == study.id and rule.removed_at is None else None


_IS: dict[AlertState, tuple[sa.ColumnElement[bool], ...]] = {
    AlertState.OPEN: (AnswerAlert.acknowledged_at.is_(None), AnswerAlert.is_listed_only.is_(False)),
    AlertState.ACKNOWLEDGED: (AnswerAlert.acknowledged_at.is_not(None),),
    AlertState.EARLIER: (AnswerAlert.is_listed_only.is_(True), AnswerAlert.acknowledged_at.is_(None)),
}


def _lines() -> sa.Select[tuple[AnswerAlert, str, bool, int, str, str, datetime]]:
    return (
        sa.select(
            AnswerAlert,
            Participant.patient_id,
            Participant.is_test,
            Survey.id,
            Survey.name,
            AlertRule.question_id,
            Submission.submitted_at,
        )
        .join(Participant, Participant.id == AnswerAlert.participant_id)
        .join(AlertRule, AlertRule.id == AnswerAlert.rule_id)
        .join(Survey, Survey.id == AlertRule.survey_id)
        .outerjoin(Submission, Submission.id == AnswerAlert.submission_id)
    )


def _people(session: Session, rule_ids: Sequence[int]) -> dict[int, list[tuple[Researcher, bool]]]:
    query = (
        sa.select(AlertRecipient.rule_id, Researcher, AlertRecipient.is_escalation)
        .join(Researcher, Researcher.id == AlertRecipient.researcher_id)
        .where(AlertRecipient.rule_id.in_(rule_ids))
        .order_by(sa.func.lower(Researcher.username))
    )
    found: dict[int, list[tuple[Researcher, bool]]] = {}
    for rule_id, person, is_escalation in session.execute(query).tuples():
        found.setdefault(rule_id, []).append((person, is_escalation))
    return found
