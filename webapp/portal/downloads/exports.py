"""The exports of a study: their list with its progress, and each one's file (PORTAL-242, CLAR-74)."""

import logging
from collections.abc import Callable
from hashlib import sha256
from itertools import chain
from typing import Any

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import ContentRange

from core.access import Capability, decide
from core.audit import actor_of
from core.audit.access_log import recorded_pieces
from core.crypto.seal import SealBroken
from core.database import db
from core.exports.asking import (
    OPEN,
    ExportRefused,
    cancel_export,
    delete_export,
    may_run_again,
    record_fetch,
    run_again,
)
from core.exports.files import export_prefix, read_file
from core.exports.listing import export_of_study, exports_of_study, has_file
from core.exports.standing import note_dead
from core.models import Export, ExportKind
from core.storage import ObjectMissing, StoreUnavailable
from webapp.attachments import attach
from webapp.flow_runs import BUILD_EXPORTS, start_run
from webapp.portal.access.rules import requires
from webapp.portal.downloads.section import PATH, downloads
from webapp.portal.frame.pages import fragment_or_redirect
from webapp.ranges import BehindTheEnd, asked_part
from webapp.stores import sealed_store

log = logging.getLogger(__name__)
LIST = f"{PATH}/exports"
ONE = f"{LIST}/<number:export_number>"
FORMS = {"csv": "CSV", "parquet": "Parquet", "xlsx": "Excel", "sav": "SPSS", "dta": "Stata"}
KINDS = {
    ExportKind.STREAMS.value: "Data",
    ExportKind.ANSWERS.value: "Answers to a survey",
    ExportKind.EVENTS.value: "Survey events",
}


@downloads.get(LIST)
@requires(Capability.DATA_DOWNLOAD)
def exports(study_number: int) -> ResponseReturnValue:
    """The list of the study's exports."""
    return render_template("portal/downloads/exports.html", **_listed())


@downloads.get(f"{LIST}/state")
@requires(Capability.DATA_DOWNLOAD, is_polled=True)
def exports_state(study_number: int) -> ResponseReturnValue:
    """What changes; the page polls it while one is not done. Its address says what it shows: nothing new is 204."""
    state = _listed()
    if request.args.get("version") == state["version"]:
        return "", 204
    page = url_for("downloads.exports", study_number=study_number)
    return fragment_or_redirect("portal/downloads/_exports.html", page, **state)


@downloads.get(f"{ONE}/file")
@requires(Capability.DATA_DOWNLOAD)
def export_file(study_number: int, export_number: int) -> ResponseReturnValue:
    """The file, or the part of it that `Range` asks for, so that a broken download can go on."""
    export = _export(export_number)
    if not has_file(export, g.now) or export.size_bytes is None or export.part_bytes is None:
        flash("The file of this export is not there, or not any more.", "warn")
        return redirect(url_for("downloads.exports", study_number=study_number))
    etag = f'"{(export.sha256 or b"").hex()}"'
    try:
        found = asked_part(export.size_bytes, etag)
    except BehindTheEnd:
        refused = Response(status=416)
        refused.headers["Content-Range"] = f"bytes */{export.size_bytes}"
        return refused
    start, end = found or (0, export.size_bytes)
    is_part = found is not None
    part = f"{start}-{end - 1}" if is_part else None
    prefix = export_prefix(g.study.object_id, export)
    pieces = read_file(sealed_store(g.study), prefix, export.part_bytes, start, end)
    try:
        first = next(pieces, b"")  # what is missing or damaged is told by a page, not by a broken file
    except (ObjectMissing, SealBroken, StoreUnavailable) as error:
        log.error("integrity: the file of export %s cannot be read", export.id, exc_info=error)
        flash("The file cannot be read from the object store now. Try again in a minute, or run it again.", "bad")
        return redirect(url_for("downloads.exports", study_number=study_number))
    record = record_fetch(db.session(), g.study, export, part=part, actor=actor_of(g.researcher))
    db.session.commit()
    answer = Response(recorded_pieces(db.engine, chain([first], pieces), record), status=206 if is_part else 200)
    answer.content_type = "application/zip" if export.file_name.endswith(".zip") else "application/octet-stream"
    answer.content_length = end - start
    attach(answer, export.file_name)
    answer.headers["Accept-Ranges"], answer.headers["ETag"] = "bytes", etag
    if is_part:
        answer.content_range = ContentRange("bytes", start, end, export.size_bytes)
    return answer


@downloads.post(f"{ONE}/again")
@requires(Capability.DATA_DOWNLOAD)
def export_again(study_number: int, export_number: int) -> ResponseReturnValue:
    """Queues an export again that failed, was cancelled or has expired."""
    return _changed(export_number, run_again)


@downloads.post(f"{ONE}/cancel")
@requires(Capability.DATA_DOWNLOAD)
def export_cancel(study_number: int, export_number: int) -> ResponseReturnValue:
    """Cancels an export that waits or runs."""
    return _changed(export_number, cancel_export)


@downloads.post(f"{ONE}/delete")
@requires(Capability.DATA_DOWNLOAD)
def export_delete(study_number: int, export_number: int) -> ResponseReturnValue:
    """Takes an export from the list, and has its file deleted."""
    return _changed(export_number, delete_export)


def _changed(number: int, change: Callable[..., None]) -> ResponseReturnValue:
    export = _export(number)
    try:
        change(db.session(), g.study, export, actor=actor_of(g.researcher))
    except ExportRefused as error:
        db.session.rollback()
        flash(f"Nothing was changed: {error}.", "warn")
    else:
        db.session.commit()
        start_run(BUILD_EXPORTS)  # it builds what is queued, and deletes what is left of others
    return redirect(url_for("downloads.exports", study_number=g.study.id))


def _export(number: int) -> Export:
    """The export, which the person might have made as well; 404 where there is none, or it is not theirs to see."""
    found = export_of_study(db.session(), g.study.id, number)
    if found is None:
        abort(404)
    if not _may_have(found.kind):
        abort(403)
    return found


def _may_have(kind: str) -> bool:
    needed = Capability.EXPORT_CREATE if kind == ExportKind.ANSWERS.value else Capability.DATA_DOWNLOAD
    return decide(g.actor, needed, g.study).is_allowed


def _listed() -> dict[str, Any]:
    session = db.session()
    if note_dead(session):
        session.commit()
    found = [export for export in exports_of_study(session, g.study.id) if _may_have(export.kind)]
    open_states = {state.value for state in OPEN}
    again = {export.id for export in found if may_run_again(export, g.now)}
    version = "-".join(f"{e.id}.{e.state[:2]}.{e.files_done}.{e.bytes_done}.{has_file(e, g.now):d}" for e in found)
    return {
        "exports": found,
        "open_states": open_states,
        "again": again,
        "is_open": any(export.state in open_states for export in found),
        "has_file": lambda export: has_file(export, g.now),
        "version": sha256(version.encode()).hexdigest()[:16],
        "forms": FORMS,
        "kinds": KINDS,
    }
