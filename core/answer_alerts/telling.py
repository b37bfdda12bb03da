"""Tells recipients of alerts: messages are written for new alerts, and for those nobody acknowledged (CLAR-58).

It runs in the web processes, every few seconds. A message holds ids and a link, never what was answered.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.answer_alerts.raising import UNSEALED
from core.answer_alerts.recipients import refusal
from core.config import Settings
from core.crypto.secrets import SecretUnreadable
from core.models import AlertRecipient, AlertRule, AnswerAlert, OutgoingMessage, Participant, Researcher, Study, Survey
from core.outgoing.queueing import queue_mail, queue_webhook

log = logging.getLogger(__name__)

AT_ONCE = 50
NOBODY = "Nobody could be told"


def tell_of_alerts(session: Session, settings: Settings, now: datetime) -> int:
    """Writes the messages of alerts of which nobody was told yet, and of those that are to be escalated.

    Returns how many alerts it looked at; the caller commits. Several processes may call it: each alert is told once.
    """
    fresh = _locked(session, sa.and_(AnswerAlert.told_at.is_(None), AnswerAlert.acknowledged_at.is_(None)))
    for alert, rule in fresh:
        _tell_surely(session, settings, alert, rule, now, is_escalation=False)
        alert.told_at = now
    waited = sa.func.make_interval(0, 0, 0, 0, 0, AlertRule.escalates_after_minutes)
    is_late = AnswerAlert.raised_at + waited <= now
    unheeded = (AnswerAlert.told_at.is_not(None), AnswerAlert.acknowledged_at.is_(None))
    late = _locked(session, sa.and_(*unheeded, AnswerAlert.escalated_at.is_(None), is_late))
    for alert, rule in late:
        _tell_surely(session, settings, alert, rule, now, is_escalation=True)
        alert.escalated_at = now
    return len(fresh) + len(late)


def refuse_message(session: Session, message: OutgoingMessage) -> str | None:
    """Why a message about an alert is not sent now: the alert was acknowledged, or the recipient lost the right to it.

    A webhook's recipient has the right while the study is there and the rule has this address.
    """
    if message.answer_alert_id is None:
        return None
    alert = session.get_one(AnswerAlert, message.answer_alert_id)
    if alert.acknowledged_at is not None:
        return "Not sent any more: the alert was acknowledged."
    if message.researcher_id is not None:
        reason = refusal(session, session.get_one(Researcher, message.researcher_id), alert)
    else:
        address, _, reason = _webhook_of(
            session.get_one(AlertRule, alert.rule_id), session.get_one(Study, alert.study_id)
        )
        if address != message.address and not reason:
            reason = "the rule has another address now"
    return f"Not sent: {reason}." if reason else None


def _webhook_of(rule: AlertRule, study: Study) -> tuple[str | None, str | None, str]:
    """The address and key of the rule's webhook, if it has one, or why it has no use now."""
    try:
        address, key = rule.webhook_address, rule.webhook_key
    except SecretUnreadable:
        return None, None, "it cannot be read with this server's FLASK_SECRET_KEY"
    if address is not None and study.hidden_at is not None:
        return None, None, "the study was deleted"
    return address, key, ""


def about_alert(alert: AnswerAlert) -> str:
    """How messages name the alert that they tell of."""
    return f"answer alert {alert.id}"


def _locked(session: Session, which: sa.ColumnElement[bool]) -> Sequence[tuple[AnswerAlert, AlertRule]]:
    query = (
        sa.select(AnswerAlert, AlertRule)
        .join(AlertRule, AlertRule.id == AnswerAlert.rule_id)
        .options(*UNSEALED)
        .where(AnswerAlert.is_listed_only.is_(False), which)
        .order_by(AnswerAlert.id)
        .limit(AT_ONCE)
        .with_for_update(of=AnswerAlert, skip_locked=True)
    )
    return [(alert, rule) for alert, rule in session.execute(query)]


def _tell_surely(
    session: Session, settings: Settings, alert: AnswerAlert, rule: AlertRule, now: datetime, *, is_escalation: bool
) -> None:
    """Tells, or notes at the alert that nobody could be told: a fault of one alert keeps no other waiting."""
    try:
        with session.begin_nested():
            _tell(session, settings, alert, rule, now, is_escalation=is_escalation)
    except SQLAlchemyError:
        raise
    except Exception as error:
        log.exception("answer alerts: the messages of alert %d cannot be written", alert.id)
        alert.untold = f"{NOBODY}. The server could not write the messages ({type(error).__name__})"


def _tell(
    session: Session, settings: Settings, alert: AnswerAlert, rule: AlertRule, now: datetime, *, is_escalation: bool
) -> None:
    study = session.get_one(Study, alert.study_id)
    participant = session.get_one(Participant, alert.participant_id)
    survey = session.get_one(Survey, rule.survey_id)
    link = f"https://{settings.domain_name}/view_study/{study.id}/alerts/{alert.id}"
    subject = f"[{study.name}] {'Nobody acknowledged: alert' if is_escalation else 'Alert'} on an answer"
    text = (
        f"Participant {participant.patient_id} gave an answer to the survey “{survey.name or 'without a name'}” that "
        f"matches a rule of the study. What was answered is not in this mail.\n\n"
        f"Uploaded before {alert.raised_at:%Y-%m-%d %H:%M} UTC. Phones may upload hours after somebody answered.\n\n"
        f"Look at it and acknowledge it:\n{link}\n"
    )
    if is_escalation:
        text = f"Nobody has acknowledged this alert in {rule.escalates_after_minutes} minutes.\n\n{text}"
    about = f"{about_alert(alert)}{' escalated' if is_escalation else ''}"
    people = session.scalars(
        sa.select(Researcher)
        .join(AlertRecipient, AlertRecipient.researcher_id == Researcher.id)
        .where(AlertRecipient.rule_id == rule.id, AlertRecipient.is_escalation.is_(is_escalation))
    ).all()
    untold = []
    for person in people:
        if reason := refusal(session, person, alert):
            untold.append(f"{person.username}: {reason}")
            continue
        of = {"answer_alert_id": alert.id, "researcher_id": person.id, "study_id": study.id}
        queue_mail(session, person.mail_address or "", subject, text, about=f"{about} {person.id}", now=now, **of)
    address, key, reason = _webhook_of(rule, study)
    if reason:
        untold.append(f"the web address: {reason}")
    if address is not None:
        event = "answer_alert.escalated" if is_escalation else "answer_alert.raised"
        data = {
            "alert": alert.id,
            "study": study.object_id,
            "participant": participant.patient_id,
            "survey": survey.object_id,
            "question": rule.question_id,
            "link": link,
        }
        contents = {"type": event, "timestamp": now.isoformat(), "data": data}
        queue_webhook(
            session,
            address,
            contents,
            about=about,
            now=now,
            signing_key=key,
            study_id=study.id,
            answer_alert_id=alert.id,
        )
    if untold:
        alert.untold = "; ".join(untold)
    if len(untold) == len(people) + bool(reason) and address is None:
        alert.untold = f"{NOBODY}. {'; '.join(untold)}".strip()
        log.error("answer alerts: nobody could be told of alert %d", alert.id)
