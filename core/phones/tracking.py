"""Stores what phones report with each request: status, receipts, versions (PHONE-120 to PHONE-125).

Costs a request one statement when the phone reports something, one more each when it lists pushes it received and when
its versions changed, and two more where the participant is watched closely.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
import zstandard
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import AppVersion, Participant, PhoneReport, StatusReport

REPORTS = {
    "notification_uuids": "notification_report",
    "active_survey_ids": "active_survey_ids",
    "supported_features": "supported_features",
    "device_status_report": "device_status",
}
# Far above what apps send. A longer report is cut, not refused.
MOST_REPORT_CHARACTERS = 200_000
MOST_RECEIPTS = 5_000


def remember_reports(
    session: Session, participant: Participant, fields: Mapping[str, str], endpoint: str, now: datetime
) -> None:
    """Keeps the reports that a request carries, the receipts in them and, if asked for, its device status.

    Fields that are absent leave what is known alone (PHONE-120). `endpoint` is the request's path. The caller commits.
    """
    told = {column: fields[field][:MOST_REPORT_CHARACTERS] for field, column in REPORTS.items() if field in fields}
    if told:
        newest = insert(PhoneReport).values(participant_id=participant.id, updated_at=now, **told)
        renewed = {column: newest.excluded[column] for column in (*told, "updated_at")}
        keep = newest.on_conflict_do_update(index_elements=["participant_id"], set_=renewed)
        session.execute(keep)
        if receipts := receipts_in(fields.get("notification_uuids", "")):
            session.execute(_RECEIPTS, {"participant_id": participant.id, "uuids": receipts, "now": now})
    if participant.is_watched_closely:
        _keep_status(session, participant, endpoint, now)


_RECEIPTS = sa.text(
    "WITH received AS (SELECT unnest(CAST(:uuids AS uuid[])) AS uuid), confirmed AS ("
    "UPDATE notification_attempts SET is_confirmed = true WHERE participant_id = :participant_id "
    "AND uuid IN (SELECT uuid FROM received) AND NOT is_confirmed AND status = 'success') "
    "INSERT INTO push_receipts (participant_id, uuid, received_at) "
    "SELECT :participant_id, uuid, :now FROM received ON CONFLICT DO NOTHING"
)
"""Also marks the attempts that the receipts confirm (NOTIF-50)."""


def receipts_in(report: str) -> list[str]:
    """The uuids in a JSON list of texts, each once and in order, so that two requests cannot deadlock.

    Anything else, and texts that are not uuids, are ignored (PHONE-123).
    """
    if not (report.startswith("[") and report.endswith("]")):
        return []
    try:
        items = json.loads(report)
    except (ValueError, RecursionError):
        return []
    uuids = {found for item in items if isinstance(item, str) and (found := _uuid(item))}
    return sorted(map(str, uuids))[:MOST_RECEIPTS]


def note_versions(session: Session, participant: Participant, now: datetime) -> None:
    """Adds the versions now known, unless the newest row has them (PHONE-121).

    The participant's activity row has been updated in this transaction, so that two requests come one after the other.
    """
    activity = participant.activity
    versions = {
        "os_type": participant.os_type,
        "version_code": activity.last_version_code or None,
        "version_name": activity.last_version_name or None,
        "os_version": activity.last_os_version or None,
    }
    newest = (
        sa.select(*(AppVersion.__table__.c[name] for name in versions))
        .where(AppVersion.participant_id == participant.id)
        .order_by(AppVersion.at.desc(), AppVersion.id.desc())
        .limit(1)
        .subquery()
    )
    is_known = sa.exists().where(*(newest.c[name].is_not_distinct_from(value) for name, value in versions.items()))
    row = {"participant_id": participant.id, "at": now} | versions
    values = sa.select(*(sa.literal(value, AppVersion.__table__.c[name].type) for name, value in row.items()))
    session.execute(sa.insert(AppVersion).from_select(list(row), values.where(~is_known)))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _keep_status(session: Session, participant: Participant, endpoint: str, now: datetime) -> None:
    known = session.scalar(sa.select(PhoneReport.device_status).where(PhoneReport.participant_id == participant.id))
    activity = participant.activity
    session.execute(
        sa.insert(StatusReport).values(
            participant_id=participant.id,
            at=now,
            os_type=participant.os_type,
            os_version=activity.last_os_version,
            version_code=activity.last_version_code,
            version_name=activity.last_version_name,
            endpoint=endpoint,
            report=zstandard.compress(known.encode()) if known else None,
        )
    )
