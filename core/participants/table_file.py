"""The participants' table as a CSV file, and what spreadsheets would take for a formula (PORTAL-115, DATA-44)."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.audit.access_log import end_access, record_access
from core.bulk import is_one_of
from core.models import (
    AccessKind,
    CustomField,
    FieldValue,
    Intervention,
    InterventionDate,
    Participant,
    ParticipantActivity,
    Study,
)
from core.models.audit_record import Action

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
HARMLESS = "'"
LAST_TIMES = {
    "Last Registration": "last_registered_at",
    "Last Timezone": "timezone_name",
    "Last Upload": "last_upload_at",
    "Last Survey Download": "last_surveys_at",
    "Last Set Password": "last_set_password_at",
    "Last Push Token Update": "last_set_push_token_at",
    "Last Device Settings Update": "last_settings_at",
    "Last OS Version": "last_os_version",
    "App Version Code": "last_version_code",
    "App Version Name": "last_version_name",
    "Last Heartbeat": "last_heartbeat_at",
}
FIXED_COLUMNS = ("Created On", "Patient ID", "Status", "OS Type", "First Registration Date", *LAST_TIMES)
"""All but a study's interventions and custom fields, which come after the fourth (DATA-44)."""
ACTIVE = (
    (timedelta(minutes=5), "Active (just now)"),
    (timedelta(hours=1), "Active (last hour)"),
    (timedelta(days=1), "Active (past day)"),
    (timedelta(days=7), "Active (past week)"),
)


def participants_file(session: Session, study: Study, numbers: Sequence[int], now: datetime, *, actor: Actor) -> str:
    """The table of DATA-44 for these participants, by patient id, with CRLF lines; the caller commits.

    Dates and times are in the study's zone. No cell is a formula, also none that a phone reported (PORTAL-115). Five
    queries, whatever the number of participants.
    """
    header, rows = table_of(session, study, numbers, now)
    record(session, actor, Action.PARTICIPANT_EXPORT, study=study, count=len(rows))
    file = table_as_csv(header, rows, study.zone)
    _record_access(session, study, [str(row[1]) for row in rows], len(file.encode()), actor)
    return file


Cell = str | datetime | None


def table_of(
    session: Session, study: Study, numbers: Sequence[int], now: datetime
) -> tuple[list[str], list[list[Cell]]]:
    """Header and rows of the table of DATA-44, by patient id; None is a missing value, times are in UTC.

    Five queries, whatever the number of participants.
    """
    interventions = _named(session, Intervention, study.id)
    fields = _named(session, CustomField, study.id)
    dates = _values(session, InterventionDate, "intervention_id", "happens_on", numbers)
    values = _values(session, FieldValue, "field_id", "value", numbers)
    own = [*interventions.values(), *fields.values()]
    rows: list[list[Cell]] = [
        [
            row.created_at.astimezone(study.zone).date().isoformat(),
            row.patient_id,
            old_status(row, now),
            row.os_type or "",
            *(str(dates.get((row.id, number), "")) for number in interventions),
            *(values.get((row.id, number), "") for number in fields),
            row.first_registered_at,
            *(getattr(row, column) for column in LAST_TIMES.values()),
        ]
        for row in _rows(session, study.id, numbers)
    ]
    return [*FIXED_COLUMNS[:4], *own, *FIXED_COLUMNS[4:]], rows


def table_as_csv(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], zone: ZoneInfo, *, is_for_programs: bool = False
) -> str:
    """The table as a file, times in this zone; no cell is a formula (PORTAL-115), but as it is for programs."""
    lines: list[list[str]] = [list(header), *([_shown(cell, zone) for cell in row] for row in rows)]
    return csv_text(lines if is_for_programs else [[harmless(cell) for cell in line] for line in lines])


def all_of_study(session: Session, study: Study) -> list[int]:
    """The participants of the study's table: all but those who were purged."""
    query = sa.select(Participant.id).where(Participant.study_id == study.id, Participant.purged_at.is_(None))
    return list(session.scalars(query))


def _record_access(session: Session, study: Study, patient_ids: list[str], size_bytes: int, actor: Actor) -> None:
    """Records the file in the log of data access; it names the participants if they are not all of the study."""
    all_of_study = session.scalar(sa.select(sa.func.count()).where(Participant.study_id == study.id))
    count, kind = len(patient_ids), AccessKind.PARTICIPANTS_TABLE
    named = None if count == all_of_study else patient_ids
    access = record_access(session, actor, kind, study, participants=count, patient_ids=named, streams=[])
    end_access(session, access, size_bytes)


def old_status(row: Any, now: datetime) -> str:
    """The status in the words of the existing platform, which programs know (DATA-44)."""
    if row.retired_at or row.purge_asked_at:
        return "Permanently Retired"
    if not row.device_id:
        return "Not Registered"
    silence = now - row.last_activity_at if row.last_activity_at else None
    return next((words for limit, words in ACTIVE if silence is not None and silence < limit), "Inactive")


def harmless(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run it as a formula."""
    return HARMLESS + text if text.startswith(FORMULA) else text


def without_harmless_mark(text: str) -> str:
    """The text without that apostrophe (CLAR-38)."""
    return text[1:] if text.startswith(HARMLESS) and text[1:].startswith(FORMULA) else text


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """Lines in Excel's dialect, with CRLF."""
    file = io.StringIO()
    csv.writer(file).writerows(lines)
    return file.getvalue()


def _rows(session: Session, study_id: int, numbers: Sequence[int]) -> Iterable[sa.Row[Any]]:
    activity = [getattr(ParticipantActivity, name) for name in LAST_TIMES.values() if name != "timezone_name"]
    person = (
        Participant.id,
        Participant.patient_id,
        Participant.created_at,
        Participant.os_type,
        Participant.device_id,
        Participant.timezone_name,
        Participant.retired_at,
        Participant.purge_asked_at,
        ParticipantActivity.first_registered_at,
        ParticipantActivity.last_activity_at,
    )
    query = sa.select(*person, *activity).outerjoin(
        ParticipantActivity, ParticipantActivity.participant_id == Participant.id
    )
    is_asked = (Participant.study_id == study_id, is_one_of(Participant.id, numbers))
    return session.execute(query.where(*is_asked).order_by(Participant.patient_id))


def _named(session: Session, model: type[Intervention] | type[CustomField], study_id: int) -> dict[int, str]:
    """Names by number, sorted ignoring case."""
    query = sa.select(model.id, model.name).where(model.study_id == study_id)
    return dict(session.execute(query.order_by(sa.func.lower(model.name), model.id)).all())  # type: ignore[arg-type]  # rows are pairs


def _values(session: Session, model: Any, key: str, column: str, numbers: Sequence[int]) -> dict[tuple[int, int], Any]:
    query = sa.select(model.participant_id, getattr(model, key), getattr(model, column))
    rows = session.execute(query.where(is_one_of(model.participant_id, numbers)))
    return {(participant, of): value for participant, of, value in rows}


def _shown(value: datetime | str | None, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        local = value.astimezone(zone)
        return f"{local:%Y-%m-%d %H:%M:%S} ({local:%Z})"
    return "None" if value is None else value
