"""The logs as CSV files, streamed so that memory does not grow with their size."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flask import Response, g
from sqlalchemy.orm import Session

from core.audit import actor_of
from core.audit.access_log import record_access, recorded_pieces
from core.database import db
from core.models import AccessKind, AuditRecord, SignInRecord, Study
from core.participants.table_file import harmless
from webapp.attachments import attach
from webapp.portal.frame.audit_words import words_of_change

LINES_AT_ONCE = 1_000
CHANGE_COLUMNS = (
    "Time (UTC)",
    "Who",
    "Acted as",
    "Role",
    "Action",
    "In words",
    "Study",
    "Participant",
    "Details",
    "Address",
    "Request",
    "Row",
    "Part of row",
)
ACCESS_COLUMNS = (
    "Started (UTC)",
    "Ended (UTC)",
    "Who",
    "API key",
    "What",
    "Study",
    "Participants",
    "Patient ids",
    "Data streams",
    "Bytes",
    "Broke off",
    "Address",
    "Request",
)
SIGN_IN_COLUMNS = ("Time (UTC)", "User name", "Outcome", "Address", "Browser", "Request")
Line = Sequence[str]


def change_line(row: AuditRecord) -> Line:
    """A row of the audit trail."""
    return (
        _time(row.at),
        row.actor_name,
        row.actor_kind,
        row.actor_role or "",
        row.action,
        words_of_change(row),
        row.study_object_id or "",
        row.patient_id or "",
        json.dumps(row.detail, ensure_ascii=False) if row.detail else "",
        row.address or "",
        row.request_id or "",
        str(row.id),
        _text(row.part_of),
    )


def access_line(row: Any) -> Line:
    """A row of the log of data access. `all` stands for all participants or streams."""
    return (
        _time(row.started_at),
        _time(row.ended_at),
        row.username,
        row.key_name or "",
        row.kind,
        row.study_object_id or "",
        _text(row.participants),
        _listed(row.patient_ids) if row.participants is not None else "",
        _listed(row.streams) if row.participants is not None else "",
        _text(row.size_bytes),
        row.error or "",
        row.address or "",
        row.request_id or "",
    )


def sign_in_line(row: SignInRecord) -> Line:
    """A row of the log of sign-ins."""
    return (
        _time(row.at),
        row.username or "unknown name",
        row.outcome,
        row.address or "",
        row.browser,
        row.request_id or "",
    )


def log_file(
    name: str,
    columns: Line,
    rows_of: Callable[[Session], Iterator[Any]],
    line_of: Callable[[Any], Line],
    study: Study | None,
) -> Response:
    """The rows as a download of that file name. That it was made is in the log of data access, with its size."""
    access = record_access(db.session(), actor_of(g.researcher), AccessKind.AUDIT_TRAIL, study)
    db.session.commit()
    engine = db.engine

    def pieces() -> Iterator[bytes]:
        with Session(engine) as session:
            yield from _pieces(columns, map(line_of, rows_of(session)))

    response = Response(recorded_pieces(engine, pieces(), access), content_type="text/csv; charset=utf-8")
    attach(response, name)
    return response


def _pieces(columns: Line, lines: Iterator[Line]) -> Iterator[bytes]:
    yield _csv([columns])
    while batch := list(islice(lines, LINES_AT_ONCE)):
        yield _csv(batch)


def _csv(lines: Iterable[Line]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([harmless(cell) for cell in line] for line in lines)
    return file.getvalue().encode()


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def _listed(names: list[str] | None) -> str:
    return "all" if names is None else " ".join(names)


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
