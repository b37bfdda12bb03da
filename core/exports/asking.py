"""Asks for exports, and changes them: each function records what it did, and its caller commits (CLAR-74)."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.audit.access_log import end_access, record_access
from core.exports.choice import FORMS, ExportChoice
from core.exports.selecting import count_participants
from core.limits import limit_in
from core.models import AccessKind, Export, ExportKind, ExportState, Study
from core.models.audit_record import Action
from core.streams import DataStream

OPEN = (ExportState.QUEUED, ExportState.RUNNING)
AGAIN = (ExportState.FAILED, ExportState.CANCELLED, ExportState.EXPIRED)
MOST_OPEN = 20
"""So many exports of a study may wait or run at a time."""


class ExportRefused(Exception):
    """The export cannot be asked for, or no longer changed so. The message says why."""


def ask_for_export(
    session: Session,
    study: Study,
    kind: ExportKind,
    form: str,
    choice: ExportChoice,
    *,
    file_name: str,
    actor: Actor,
) -> Export:
    """Queues an export, of the participants whom the session may see (PERM-95). Raises ExportRefused."""
    if form not in FORMS[kind]:
        raise ExportRefused("there is no such form of file")
    _require_room(session, study)
    export = Export(
        study_id=study.id,
        researcher_id=actor.id,
        asked_by=actor.name,
        site_limit=_site_limit(session, study),
        kind=kind.value,
        form=form,
        choice=choice.model_dump(mode="json", exclude_defaults=True),
        file_name=file_name,
    )
    session.add(export)
    session.flush()
    _record(session, Action.EXPORT_CREATE, study, export, actor)
    _record_asking(session, study, export, actor)
    return export


def run_again(session: Session, study: Study, export: Export, *, actor: Actor) -> None:
    """Queues an export again that failed, was cancelled or expired. Raises ExportRefused."""
    _require_room(session, study)
    _move(
        session,
        export,
        (*AGAIN, ExportState.DONE) if may_run_again(export, datetime.now(UTC)) else AGAIN,
        state=ExportState.QUEUED.value,
        reason=None,
        files_total=None,
        files_done=0,
        bytes_done=0,
        started_at=None,
        ended_at=None,
        expires_at=None,
    )
    _record(session, Action.EXPORT_RUN_AGAIN, study, export, actor)
    _record_asking(session, study, export, actor)


def may_run_again(export: Export, now: datetime) -> bool:
    """Whether it failed, was cancelled or has expired; the state says the last only after the nightly clean-up."""
    has_expired = export.expires_at is not None and export.expires_at <= now
    return export.state in [state.value for state in AGAIN] or (export.state == ExportState.DONE and has_expired)


def cancel_export(session: Session, study: Study, export: Export, *, actor: Actor) -> None:
    """Cancels an export that waits or runs; its builder stops within seconds. Raises ExportRefused."""
    _move(session, export, OPEN, state=ExportState.CANCELLED.value, ended_at=datetime.now(UTC))
    _record(session, Action.EXPORT_CANCEL, study, export, actor)


def delete_export(session: Session, study: Study, export: Export, *, actor: Actor) -> None:
    """Takes an export from the list; its file can no longer be fetched, and the next run deletes it."""
    now = datetime.now(UTC)
    ended = {"ended_at": sa.func.coalesce(Export.ended_at, now), "removed_at": now}
    state = sa.case(
        (Export.state.in_([each.value for each in OPEN]), ExportState.CANCELLED.value),
        (Export.state == ExportState.DONE.value, ExportState.EXPIRED.value),
        else_=Export.state,
    )
    _move(session, export, list(ExportState), state=state, **ended)
    _record(session, Action.EXPORT_DELETE, study, export, actor)


def record_fetch(session: Session, study: Study, export: Export, *, part: str | None, actor: Actor) -> int:
    """Records that somebody fetches the file, before its first byte; returns the number in the log of data access.

    `part` is the range of bytes that was asked for, None for all.
    """
    _record(session, Action.EXPORT_FETCH, study, export, actor)
    return _record_access(session, AccessKind.EXPORT_FILE, study, export, actor, {"part": part} if part else {})


def _move(session: Session, export: Export, states: Collection[ExportState], **values: Any) -> None:
    """Changes the export if it is in one of these states: a builder or another request may have been faster."""
    changed = sa.update(Export).where(
        Export.id == export.id, Export.state.in_([state.value for state in states]), Export.removed_at.is_(None)
    )
    found = session.scalar(changed.values(**values).returning(Export.id))
    session.refresh(export)
    if found is None:
        raise ExportRefused(f"the export is {export.state} by now")


def _require_room(session: Session, study: Study) -> None:
    waiting = sa.select(sa.func.count()).select_from(Export)
    waiting = waiting.where(Export.study_id == study.id, Export.state.in_([state.value for state in OPEN]))
    if (session.scalar(waiting) or 0) >= MOST_OPEN:
        raise ExportRefused(f"{MOST_OPEN} exports of this study wait already; cancel one, or wait until they are done")


def _site_limit(session: Session, study: Study) -> dict[str, Any] | None:
    limit = limit_in(session, study.id)
    return None if limit is None else {"field": limit.field_id, "values": list(limit.values)}


def _record(session: Session, action: Action, study: Study, export: Export, actor: Actor) -> None:
    record(session, actor, action, study=study, export=export.id, kind=export.kind, form=export.form)


def _record_asking(session: Session, study: Study, export: Export, actor: Actor) -> None:
    end_access(session, _record_access(session, AccessKind.EXPORT, study, export, actor, {}), 0)


def _record_access(
    session: Session, kind: AccessKind, study: Study, export: Export, actor: Actor, more: dict[str, str]
) -> int:
    choice = ExportChoice.model_validate(export.choice)
    streams = choice.streams
    if export.kind == ExportKind.ANSWERS.value:
        streams = (DataStream.SURVEY_ANSWERS,)
    return record_access(
        session,
        actor,
        kind,
        study,
        participants=count_participants(session, study.id, choice),
        patient_ids=choice.patient_ids,
        streams=None if streams is None else [stream.value for stream in streams],
        parameters={"export": export.id, "kind": export.kind, "form": export.form, **export.choice, **more},
    )
