"""The histories of one participant, in pages, as programs get them (DATA-40 to DATA-43).

Each is read page by page behind the last row, so that memory does not grow with the list. Times are UTC without
microseconds.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import sqlalchemy as sa
import zstandard
from sqlalchemy.orm import Session

from core.models import (
    AppVersion,
    Heartbeat,
    NotificationAttempt,
    Participant,
    PushReceipt,
    StatusReport,
    Survey,
    SurveyVersion,
    UploadRecord,
)
from core.models.schedule import SUCCESS

PAGE_ROWS = 10_000
STATUS_PAGE_ROWS = 1_000
MOST_STATUS_BYTES = 1 << 20


@dataclass(frozen=True)
class History:
    """A history: the table, the column of its time, how many rows are read at once, and a row as programs get it."""

    table: Any
    time: Any
    row: Callable[[Any, Participant], dict[str, Any]]
    page_rows: int = PAGE_ROWS


def in_utc(at: datetime | None) -> str | None:
    """`2026-03-01T09:00:00Z`; None where there is no time (DATA-42)."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else None


def _upload(row: Any, participant: Participant) -> dict[str, Any]:
    name = row.path.partition(f"{participant.patient_id}/")[2] or row.path
    return {"file_size": row.size_bytes, "timestamp": in_utc(row.received_at), "file_name": name}


def _heartbeat(row: Any, participant: Participant) -> dict[str, Any]:
    return {"timestamp": in_utc(row.at)}


def _version(row: Any, participant: Participant) -> dict[str, Any]:
    return {
        "app_version_code": row.version_code,
        "app_version_name": row.version_name,
        "os_version": row.os_version,
        "created_on": in_utc(row.at),
    }


def _status(row: Any, participant: Participant) -> dict[str, Any]:
    return {
        "created_on": in_utc(row.at),
        "endpoint": row.endpoint,
        "app_os": row.os_type,
        "os_version": row.os_version,
        "app_version": row.version_code,
        "device_status": _report(row.report),
    }


UPLOADS = History(UploadRecord, UploadRecord.received_at, _upload)
HEARTBEATS = History(Heartbeat, Heartbeat.at, _heartbeat)
VERSIONS = History(AppVersion, AppVersion.at, _version)
STATUSES = History(StatusReport, StatusReport.at, _status, STATUS_PAGE_ROWS)


def history_rows(session: Session, history: History, participant: Participant) -> Iterator[dict[str, Any]]:
    """The rows of the participant's history, oldest first. No transaction is open between pages."""
    table = history.table
    columns = sa.select(*table.__table__.columns)  # rows that no session keeps
    base = columns.where(table.participant_id == participant.id).order_by(history.time, table.id)
    last: tuple[datetime, int] | None = None
    while True:
        query = base if last is None else base.where(sa.tuple_(history.time, table.id) > last)
        page = session.execute(query.limit(history.page_rows)).all()
        rows = [history.row(row, participant) for row in page]
        session.commit()
        yield from rows
        if len(page) < history.page_rows:
            return
        last = getattr(page[-1], history.time.key), page[-1].id


def notification_history(
    session: Session, participant: Participant, zone: tzinfo, *, is_utc: bool
) -> dict[str, list[dict[str, Any]]]:
    """The attempts to notify the participant, by survey id, by scheduled time and creation (DATA-40).

    Times are in this zone with its offset, or UTC. `confirmed_received` is when the phone reported it, else False.
    """

    def shown(at: datetime) -> str | None:
        return in_utc(at) if is_utc else at.astimezone(zone).replace(microsecond=0).isoformat()

    received = sa.and_(
        PushReceipt.participant_id == NotificationAttempt.participant_id, PushReceipt.uuid == NotificationAttempt.uuid
    )
    query = (
        sa.select(*NotificationAttempt.__table__.columns, Survey.object_id, PushReceipt.received_at)
        .join(SurveyVersion, SurveyVersion.id == NotificationAttempt.survey_version_id)
        .join(Survey, Survey.id == SurveyVersion.survey_id)
        .outerjoin(PushReceipt, received)
        .where(NotificationAttempt.participant_id == participant.id)
        .order_by(NotificationAttempt.scheduled_at, NotificationAttempt.attempted_at, NotificationAttempt.id)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for attempt in session.execute(query.execution_options(yield_per=PAGE_ROWS)):
        kind = f"manual - {attempt.researcher_name}"[:32] if attempt.researcher_name else attempt.kind
        found.setdefault(attempt.object_id, []).append(
            {
                "timestamp": shown(attempt.attempted_at),
                "type": kind,
                "scheduled_time": shown(attempt.scheduled_at),
                "confirmed_received": in_utc(attempt.received_at) or False,
                "uuid": str(attempt.uuid) if attempt.uuid else None,
                "resend": attempt.was_resend,
                "push_rejected": attempt.status != SUCCESS,
            }
        )
    return found


def _report(compressed: bytes | None) -> dict[str, Any]:
    """The report as an object; what is cut or broken is an empty one (PHONE-124)."""
    try:
        text = zstandard.decompress(compressed or b"", max_output_size=MOST_STATUS_BYTES)
        report = json.loads(text)
    except (zstandard.ZstdError, ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}
