"""Rules of alerts: made, changed, removed; and alerts acknowledged (CLAR-58)."""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.answer_alerts.raising import list_older_matches
from core.answer_alerts.recipients import possible_recipients
from core.answer_alerts.rules.matching import same_text
from core.audit import Actor, record
from core.models import AlertRecipient, AlertRule, AlertSeen, AnswerAlert, Comparison, Participant, Study, Survey
from core.models.audit_record import Action
from core.outgoing.addresses import AddressRefused, checked_address

ESCALATES = range(5, 7 * 24 * 60 + 1)
LONGEST_NOTE = 2_000
KINDS_WITH_CHOICES = ("radio_button", "checkbox")


class RuleRefused(ValueError):
    """A rule cannot be saved; the message says why, and `field` where."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NoteRefused(ValueError):
    """An alert cannot be acknowledged with this note; the message says why."""


@dataclass(frozen=True)
class RuleForm:
    """What somebody wants of a rule. `options` are the texts of answers that match, for choices.

    `webhook_address` is None for none. Recipients are numbers of researchers.
    """

    comparison: Comparison
    value: float | None = None
    options: Sequence[str] = ()
    recipients: Sequence[int] = ()
    escalation: Sequence[int] = ()
    escalates_after_minutes: int | None = None
    webhook_address: str | None = None


@dataclass(frozen=True)
class Question:
    """A question that alerts can watch: its id, number within the survey, type, text, and the texts of its answers."""

    id: str
    number: int
    kind: str
    text: str
    options: tuple[str, ...] = field(default=())

    @property
    def has_choices(self) -> bool:
        return self.kind in KINDS_WITH_CHOICES


def watchable(content: Sequence[Any]) -> list[Question]:
    """The questions of the content that have choices or numbers, in order."""
    found = []
    for number, question in enumerate(content, 1):
        if not isinstance(question, dict) or not isinstance(question.get("question_id"), str):
            continue
        kind = question.get("question_type")
        is_numeric = kind == "slider" or (kind == "free_response" and question.get("text_field_type") == "NUMERIC")
        if kind not in KINDS_WITH_CHOICES and not is_numeric:
            continue
        answers = question.get("answers") if kind in KINDS_WITH_CHOICES else []
        texts = tuple(str(a.get("text", "")) for a in answers or [] if isinstance(a, dict))
        found.append(
            Question(question["question_id"], number, str(kind), str(question.get("question_text", "")), texts)
        )
    return found


def save_rule(
    session: Session,
    study: Study,
    survey: Survey,
    question: Question,
    form: RuleForm,
    now: datetime,
    *,
    rule: AlertRule | None = None,
    is_strict: bool = True,
    actor: Actor,
) -> tuple[AlertRule, int]:
    """Makes a rule, or changes one; returns it, and how many older submissions match, which are listed only.

    A changed condition acts on what is processed from now on; what waits to be processed is not lost. The caller
    commits. Raises RuleRefused.
    """
    condition = _condition(question, form)
    recipients = _recipients(session, study, form)
    address = _address(form, is_strict=is_strict)
    if not form.recipients and address is None:
        raise RuleRefused("Choose somebody who is told, or an address.", "recipients")
    minutes = form.escalates_after_minutes
    if minutes is not None and minutes not in ESCALATES:
        raise RuleRefused("After 5 minutes to 7 days.", "escalates_after_minutes")
    if (minutes is None) != (not form.escalation):
        raise RuleRefused("Give both: after how long, and who is told then.", "escalates_after_minutes")
    _wait_for_submissions(session, survey)
    is_new = rule is None
    if rule is None:
        rule = AlertRule(study_id=study.id, survey_id=survey.id, question_id=question.id, effective_from=now)
        session.add(rule)
    is_changed = is_new or condition != {name: getattr(rule, name) for name in condition}
    for name, value in condition.items():
        setattr(rule, name, value)
    rule.escalates_after_minutes = minutes
    if address != rule.webhook_address:
        rule.webhook_address, rule.webhook_key = address, secrets.token_urlsafe(32) if address else None
    session.flush()
    session.execute(sa.delete(AlertRecipient).where(AlertRecipient.rule_id == rule.id))
    session.add_all([AlertRecipient(rule_id=rule.id, **row) for row in recipients])
    record(
        session,
        actor,
        Action.ALERT_RULE_SAVE,
        study=study,
        survey=survey.object_id,
        question=question.id,
        comparison=rule.comparison,
        recipients=len(form.recipients),
    )
    session.flush()
    return rule, list_older_matches(session, rule) if is_changed else 0


def _wait_for_submissions(session: Session, survey: Survey) -> None:
    """Waits for transactions that write submissions of the survey, and lets others wait for this one.

    Each submission is either there to be listed, or its transaction sees the rule: none falls between. Rows that refer
    to the survey lock it against this lock.
    """
    session.execute(sa.select(Survey.id).where(Survey.id == survey.id).with_for_update())


def remove_rule(session: Session, study: Study, rule: AlertRule, now: datetime, *, actor: Actor) -> None:
    """Nothing raises alerts by this rule any more; its alerts stay. The caller commits."""
    rule.removed_at = rule.removed_at or now
    record(session, actor, Action.ALERT_RULE_REMOVE, study=study, question=rule.question_id)


def acknowledge(session: Session, alert: AnswerAlert, note: str, now: datetime, *, actor: Actor) -> bool:
    """Says that somebody has acted; messages that wait are not sent any more. The caller commits.

    Returns False if somebody else was first; their note stays. Raises NoteRefused.
    """
    note = note.strip()
    if not note or len(note) > LONGEST_NOTE:
        raise NoteRefused(f"Say what was done, in 1 to {LONGEST_NOTE:,} characters.")
    session.flush()
    session.refresh(alert, with_for_update=True)
    if alert.acknowledged_at is not None:
        return False
    alert.acknowledged_at, alert.acknowledged_by, alert.note = now, actor.name, note
    study, participant = session.get_one(Study, alert.study_id), session.get_one(Participant, alert.participant_id)
    record(session, actor, Action.ALERT_ACKNOWLEDGE, study=study, participant=participant, alert=alert.id)
    return True


def note_seen(session: Session, alert: AnswerAlert, researcher_id: int, now: datetime) -> None:
    """Notes that this person has opened the alert; the first time counts. The caller commits."""
    row = insert(AlertSeen).values(alert_id=alert.id, researcher_id=researcher_id, seen_at=now)
    session.execute(row.on_conflict_do_nothing())


def edited_since(rule: AlertRule, question: Question | None) -> bool:
    """Whether the question has answers that the rule does not know, or is gone: the rule should be looked at again."""
    if question is None:
        return True
    known = {same_text(text) for text in (*rule.options, *rule.others)}
    return rule.comparison == Comparison.ANY_OF and any(same_text(text) not in known for text in question.options)


def _condition(question: Question, form: RuleForm) -> dict[str, Any]:
    if question.has_choices != (form.comparison is Comparison.ANY_OF):
        raise RuleRefused("This comparison does not fit the question.", "comparison")
    if not question.has_choices:
        if form.value is None or not math.isfinite(form.value):
            raise RuleRefused("Give a number.", "value")
        return {"comparison": form.comparison.value, "value": form.value, "options": [], "others": []}
    options = [text for text in question.options if text in form.options]
    if not options:
        raise RuleRefused("Choose the answers that raise an alert.", "options")
    others = [text for text in question.options if text not in form.options]
    return {"comparison": form.comparison.value, "value": None, "options": options, "others": others}


def _recipients(session: Session, study: Study, form: RuleForm) -> list[dict[str, Any]]:
    possible = {person.id for person in possible_recipients(session, study)}
    if not {*form.recipients, *form.escalation} <= possible:
        raise RuleRefused("Somebody of these may not read answers of the study.", "recipients")
    chosen = [(number, False) for number in dict.fromkeys(form.recipients)]
    chosen += [(number, True) for number in dict.fromkeys(form.escalation)]
    return [{"researcher_id": number, "is_escalation": is_escalation} for number, is_escalation in chosen]


def _address(form: RuleForm, *, is_strict: bool) -> str | None:
    if not form.webhook_address:
        return None
    try:
        return checked_address(form.webhook_address, is_strict=is_strict)
    except AddressRefused as refused:
        raise RuleRefused(str(refused), "webhook_address") from None
