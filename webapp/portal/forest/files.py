"""Files of Forest: input, output and report of a task, measures and the log as CSV (PORTAL-253)."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from flask import Response, abort, g
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.access import Capability, SiteLimit
from core.audit import actor_of
from core.audit.access_log import record_access, recorded_pieces
from core.database import db
from core.downloads.recording import record_download
from core.downloads.zip_stream import ZipContents, ZipDownload
from core.forest.listing import LOG_COLUMNS, SUMMARY_COLUMNS, log_rows, summary_rows, tree_columns, tree_rows
from core.forest.sources import query_of
from core.forest.states import forest_store
from core.forest.tasks import task_of
from core.forest.trees import Tree
from core.limits import limit_session
from core.models import AccessKind, ForestTask, Participant, Study
from core.participants.table_file import harmless
from core.storage import ObjectMissing
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.forest.section import forest, require_forest
from webapp.portal.forest.views import OF, ONE
from webapp.stores import object_store, sealed_store, settings

LINES_AT_ONCE = 500
Rows = Callable[[Session, Study], Iterable[Sequence[Any]]]
STUDY = "/studies/<number:study_number>"


@forest.get(f"{OF}/download")
@requires(Capability.FOREST_RUN)
def log_file(study_number: int) -> ResponseReturnValue:
    """The log as CSV, also while Forest is off."""
    return _csv_file(
        f"forest_task_log_{g.now.astimezone(g.study.zone):%Y-%m-%dT%H-%M-%S}.csv",
        LOG_COLUMNS,
        log_rows,
        AccessKind.LIST,
    )


@forest.get(f"{STUDY}/download_summary_statistics_csv")
@requires(Capability.FOREST_DOWNLOAD)
def summary_file(study_number: int) -> ResponseReturnValue:
    """All daily summaries of the study."""
    require_forest()
    name = f"Data Volumes and Summary Statistics - {g.study.name}.csv"
    return _csv_file(name, SUMMARY_COLUMNS, summary_rows, AccessKind.STATISTICS)


@forest.get(f"{STUDY}/download_participant_tree_data/<task_id>")
@requires(Capability.FOREST_DOWNLOAD)
def tree_file(study_number: int, task_id: str) -> ResponseReturnValue:
    """All days of the task's participant that its tree has written."""
    task, patient_id = _task(task_id)
    number = task.id
    today = g.now.astimezone(g.study.zone).date()
    return _csv_file(
        f"{patient_id}_{task.tree}_data_{today}.csv",
        tree_columns(task.tree),
        lambda session, _: tree_rows(session, session.get_one(ForestTask, number)),
        AccessKind.STATISTICS,
        [patient_id],
    )


@forest.get(f"{ONE}/download")
@requires(Capability.FOREST_DOWNLOAD)
def input_file(study_number: int, task_id: str) -> ResponseReturnValue:
    """The data that the task reads, as they are now."""
    task, patient_id = _task(task_id)
    query = query_of(Tree(task.tree), task.start_on, task.end_on, g.study.zone)
    participants = [(task.participant_id, patient_id)]
    record = record_download(db.session(), actor_of(g.researcher), g.study, query, participants, {})
    db.session.commit()
    contents = ZipContents(db.engine, sealed_store(g.study), g.study, participants, query, has_registry=False)
    response = Response(ZipDownload(contents, record).stream(), content_type="application/zip")
    return _attached(response, f"{patient_id}_{task.tree}_{task.start_on}_{task.end_on}_data.zip")


@forest.get(f"{ONE}/download_output")
@requires(Capability.FOREST_DOWNLOAD)
def output_file(study_number: int, task_id: str) -> ResponseReturnValue:
    """The zip of the library's output and the report; 404 where there is none."""
    task, patient_id = _task(task_id)
    if task.output_path is None:
        abort(404)
    try:
        pieces, _ = forest_store(object_store(), g.study, settings()).open(task.output_path)
    except ObjectMissing:
        abort(404)
    access = _recorded(AccessKind.STATISTICS, [patient_id])
    made = f"{task.created_at.astimezone(g.study.zone):%Y-%m-%dT%H-%M-%S}"
    name = f"{patient_id}_{task.tree}_{task.start_on}_{task.end_on}_output_{made}.zip"
    return _attached(Response(recorded_pieces(db.engine, pieces, access), content_type="application/zip"), name)


def _task(task_id: str) -> tuple[ForestTask, str]:
    """The task of the page's study and its patient id, or 404."""
    require_forest()
    task = task_of(db.session(), g.study, task_id)
    if task is None:
        abort(404)
    return task, db.session.get_one(Participant, task.participant_id).patient_id


def _recorded(kind: AccessKind, patient_ids: list[str] | None) -> int:
    access = record_access(
        db.session(),
        actor_of(g.researcher),
        kind,
        g.study,
        participants=len(patient_ids) if patient_ids is not None else None,
        patient_ids=patient_ids,
    )
    db.session.commit()
    return access


def _csv_file(
    name: str,
    columns: Sequence[str],
    rows: Rows,
    kind: AccessKind,
    patient_ids: list[str] | None = None,
) -> Response:
    access = _recorded(kind, patient_ids)
    pieces = _pieces(columns, rows, db.engine, g.study.id, dict(g.actor.limits))
    return _attached(Response(recorded_pieces(db.engine, pieces, access), content_type="text/csv; charset=utf-8"), name)


def _pieces(
    columns: Sequence[str], rows: Rows, engine: Engine, study_id: int, limits: dict[int, SiteLimit]
) -> Iterator[bytes]:
    """The table, read through a session of its own, which has the limits of the person who asks (PERM-95)."""
    yield _lines([columns])
    with Session(engine) as session:
        limit_session(session, limits)
        waiting = iter(rows(session, session.get_one(Study, study_id)))
        while batch := list(islice(waiting, LINES_AT_ONCE)):
            yield _lines(batch)


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return file.getvalue().encode()


def _attached(response: Response, name: str) -> Response:
    attach(response, name)
    return response
