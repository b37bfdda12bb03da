"""Writing rows of the audit trail."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit.actor import Actor
from core.bulk import given_rows
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
) -> AuditRecord:
    """Adds a row and returns it; the caller commits it together with the change.

    `detail` holds ids, names of settings and their old and new values. No free text and no participant's values belong
    there (CLAR-20).
    """
    row = AuditRecord(
        **_common(actor, action, study), patient_id=participant.patient_id if participant else None, detail=detail
    )
    session.add(row)
    return row


def record_each(
    session: Session,
    actor: Actor,
    action: Action,
    *,
    study: Study,
    part_of: AuditRecord,
    details: Mapping[str, Mapping[str, Any]],
) -> None:
    """Adds a row for each participant of a change of many, by patient id, in one statement; the caller commits.

    `part_of` is the row of the whole change, which `record` returned.
    """
    if not details:
        return
    session.flush()
    common = _common(actor, action, study) | {"part_of": part_of.id}
    given = given_rows(AuditRecord, [{"patient_id": of, "detail": dict(detail)} for of, detail in details.items()])
    table = AuditRecord.__table__
    values = [sa.literal(value, table.c[name].type) for name, value in common.items()]
    rows = sa.select(*values, given.c.patient_id, given.c.detail)
    session.execute(sa.insert(AuditRecord).from_select([*common, "patient_id", "detail"], rows))


def _common(actor: Actor, action: Action, study: Study | None) -> dict[str, Any]:
    """The columns that say who did what, where and from where."""
    role = actor.role_in(study.id if study else None)
    return {
        "actor_kind": actor.kind.value,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "actor_role": role.value if role else None,
        "action": action.value,
        "study_object_id": study.object_id if study else None,
        "request_id": actor.origin.request_id,
        "address": actor.origin.address,
    }
