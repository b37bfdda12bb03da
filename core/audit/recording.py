"""Writing rows of the audit trail."""

from typing import Any

from sqlalchemy.orm import Session

from core.audit.actor import Actor
from core.models import AuditRecord, Participant, Study
from core.models.audit_record import Action


def record(
    session: Session,
    actor: Actor,
    action: Action,
    *,
    study: Study | None = None,
    participant: Participant | None = None,
    **detail: Any,
) -> None:
    """Adds a row; the caller commits it together with the change.

    `detail` holds ids, names of settings and their old and new values. No free text and no participant's values belong
    there (CLAR-20).
    """
    session.add(
        AuditRecord(
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action.value,
            study_object_id=study.object_id if study else None,
            patient_id=participant.patient_id if participant else None,
            detail=detail,
        )
    )
