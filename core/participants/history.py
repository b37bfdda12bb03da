"""Everything that was done to a participant, and what its phones did: from the audit trail and the phones' events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    AppVersion,
    AuditRecord,
    Participant,
    ParticipantEvent,
    Study,
)

PAGE = 50
PHONE = "phone"


@dataclass(frozen=True)
class HistoryEntry:
    """One line: when, who (a user name, or `phone`), what (an action of the audit trail, or a kind of event)."""

    at: datetime
    who: str
    what: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class PhoneState:
    """From `at` on, a phone ran these versions."""

    at: datetime
    os_type: str | None
    os_version: str | None
    app_version: str | None


def history_of(session: Session, study: Study, participant: Participant, page: int) -> tuple[list[HistoryEntry], bool]:
    """Fifty entries, the newest first, and whether there are more; one query over both tables."""
    done = sa.select(
        AuditRecord.at, AuditRecord.actor_name.label("who"), AuditRecord.action.label("what"), AuditRecord.detail
    ).where(AuditRecord.patient_id == participant.patient_id, AuditRecord.study_object_id == study.object_id)
    event = ParticipantEvent
    phones = sa.select(event.at, sa.literal(PHONE).label("who"), event.kind.label("what"), event.detail).where(
        ParticipantEvent.participant_id == participant.id
    )
    both = sa.union_all(done, phones).subquery()
    query = sa.select(both).order_by(both.c.at.desc()).limit(PAGE + 1).offset((page - 1) * PAGE)
    rows = [HistoryEntry(*row) for row in session.execute(query)]
    return rows[:PAGE], len(rows) > PAGE


def phone_states(session: Session, participant_id: int) -> list[PhoneState]:
    """The newest fifty changes of app and system, the newest first (PHONE-121)."""
    query = sa.select(
        AppVersion.at,
        AppVersion.os_type,
        AppVersion.os_version,
        sa.func.coalesce(AppVersion.version_name, AppVersion.version_code),
    ).where(AppVersion.participant_id == participant_id)
    return [PhoneState(*row) for row in session.execute(query.order_by(AppVersion.at.desc()).limit(PAGE))]
