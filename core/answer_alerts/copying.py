"""Rules of alerts follow a copied survey (CLAR-50)."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answer_alerts.recipients import possible_recipients
from core.audit import Actor, record
from core.models import AlertRecipient, AlertRule, Study, Survey
from core.models.audit_record import Action

COPIED = ("comparison", "value", "options", "others", "escalates_after_minutes")


def copy_rules(
    session: Session,
    source: Survey,
    copy: Survey,
    target: Study,
    names: Mapping[str, str],
    now: datetime,
    *,
    actor: Actor,
) -> list[str]:
    """Gives a copy the rules of its source; returns what was left out, in words. The caller commits.

    `names` are the new ids of questions. They tell those who may read answers of the target; addresses of webhooks stay
    behind, since their recipients have no key for another study.
    """
    query = sa.select(AlertRule).where(AlertRule.survey_id == source.id, AlertRule.removed_at.is_(None))
    rules = session.scalars(query.order_by(AlertRule.id)).all()
    possible = {person.id for person in possible_recipients(session, target)} if rules else set()
    left_out = 0
    for rule in rules:
        people = session.scalars(sa.select(AlertRecipient).where(AlertRecipient.rule_id == rule.id)).all()
        told = [each for each in people if each.researcher_id in possible]
        if not any(not each.is_escalation for each in told):
            left_out += 1
            continue
        new = AlertRule(
            study_id=target.id,
            survey_id=copy.id,
            question_id=names.get(rule.question_id, rule.question_id),
            effective_from=now,
            **{name: getattr(rule, name) for name in COPIED},
        )
        if not any(each.is_escalation for each in told):
            new.escalates_after_minutes = None
        session.add(new)
        session.flush()
        for each in told:
            session.add(
                AlertRecipient(rule_id=new.id, researcher_id=each.researcher_id, is_escalation=each.is_escalation)
            )
        of = f"{copy.object_id} {new.question_id}"
        record(session, actor, Action.ALERT_RULE_SAVE, study=target, copied_to=of, recipients=len(told))
    return [f"{left_out} of the rules of alerts, whose people have no role there"] if left_out else []
