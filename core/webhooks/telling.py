"""Writes the messages of noted events, one for each webhook that is told of them (CLAR-75).

It runs in the web processes, every few seconds.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.config import Settings
from core.models import Participant, Study, Survey, Webhook, WebhookEvent, WebhookEventType
from core.outgoing.queueing import StudyMessage, queue_study_messages

AT_ONCE = 500


def tell_of_events(session: Session, settings: Settings, now: datetime) -> int:
    """Turns noted events into messages; returns how many events it took. The caller commits.

    Five statements, whatever the number of events. Several processes may call it: each event is taken once.
    """
    taken = sa.select(WebhookEvent.id).order_by(WebhookEvent.id).limit(AT_ONCE).with_for_update(skip_locked=True)
    # An array, so that the rows are chosen and locked once.
    gone = sa.delete(WebhookEvent).where(WebhookEvent.id == sa.any_(sa.func.array(taken.scalar_subquery())))
    events = sorted(
        session.scalars(gone.returning(WebhookEvent), execution_options={"synchronize_session": False}),
        key=lambda each: each.id,
    )
    if not events:
        return 0
    webhooks = webhooks_that_are_on(session, {each.study_id for each in events})
    people = _patient_ids(session, [each.participant_id for each in events])
    surveys = _surveys(session, events)
    messages = []
    for each in events:
        for webhook, study in webhooks:
            if webhook.study_id == each.study_id and _is_told(webhook, each):
                data = _data(settings, each, people[each.participant_id], surveys)
                messages.append(message_of(webhook, study, each.kind, data, each.at, f"event {each.id}", each))
    queue_study_messages(session, messages, now)
    return len(events)


def webhooks_that_are_on(session: Session, study_ids: Collection[int] | None = None) -> list[tuple[Webhook, Study]]:
    """The webhooks that are on, of these studies or of all, none of them hidden; without what is sealed; one query."""
    query = sa.select(Webhook, Study).join(Study, Study.id == Webhook.study_id)
    query = query.where(Webhook.is_on, Study.hidden_at.is_(None)).order_by(Webhook.id)
    if study_ids is not None:
        query = query.where(is_one_of(Webhook.study_id, study_ids))
    return [(webhook, study) for webhook, study in session.execute(query)]


def message_of(
    webhook: Webhook,
    study: Study,
    kind: str,
    data: Mapping[str, Any],
    at: datetime,
    what: str,
    of: WebhookEvent | None = None,
    participant_id: int | None = None,
) -> StudyMessage:
    """A message to the webhook. While it fails, new messages wait with the others until its next try."""
    return StudyMessage(
        webhook_id=webhook.id,
        study_id=study.id,
        participant_id=of.participant_id if of else participant_id,
        study=study.object_id,
        kind=kind,
        data=data,
        at=at,
        about=f"webhook {webhook.id} {what}",
        first_try_at=webhook.rests_until or at,
    )


def link_to(settings: Settings, study_id: int, page: str) -> str:
    """The address of a page of the study in the portal."""
    return f"https://{settings.domain_name}/view_study/{study_id}/{page}"


def _is_told(webhook: Webhook, event: WebhookEvent) -> bool:
    """What happened before the webhook was switched on is not told."""
    if event.kind not in webhook.events or event.at < webhook.on_since:
        return False
    is_answer = event.kind == WebhookEventType.ANSWER_ARRIVED
    return not (is_answer and webhook.survey_ids and event.data["survey"] not in webhook.survey_ids)


def _data(settings: Settings, event: WebhookEvent, patient_id: str, surveys: Mapping[int, str]) -> dict[str, Any]:
    if event.kind == WebhookEventType.DATA_PROCESSED:
        return {"participant_id": patient_id, **event.data}
    number, submission = event.data["survey"], event.data["submission"]
    return {
        "participant_id": patient_id,
        "survey_id": surveys[number],
        "submission_id": submission,
        "answered_at": event.data["answered_at"],
        "uploaded_at": event.data["uploaded_at"],
        "link": link_to(settings, event.study_id, f"survey/{number}/answers/submissions/{submission}"),
    }


def _patient_ids(session: Session, numbers: Sequence[int]) -> dict[int, str]:
    query = sa.select(Participant.id, Participant.patient_id).where(is_one_of(Participant.id, set(numbers)))
    return dict(session.execute(query).tuples().all())


def _surveys(session: Session, events: Sequence[WebhookEvent]) -> dict[int, str]:
    numbers = {each.data["survey"] for each in events if each.kind == WebhookEventType.ANSWER_ARRIVED}
    query = sa.select(Survey.id, Survey.object_id).where(is_one_of(Survey.id, numbers))
    return dict(session.execute(query).tuples().all())
