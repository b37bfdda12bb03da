"""CSV files of fields and dates, and of new participants: a preview of everything first, then all or nothing (CLAR-38).

A browser keeps the chosen file only while its page stays, so the preview is a part that HTMX swaps in below the form.
Without scripts the file is chosen once more to import it. The digest of the previewed file comes with the confirmation:
another file is previewed again.
"""

from typing import Any

from flask import flash, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.participants.batches import ask_for_batch
from core.participants.columns import columns_of_study
from core.participants.creating import MOST_AT_ONCE
from core.participants.enrolling import own_sites
from core.participants.refusals import ParticipantRefused
from core.participants.table_import import import_table, preview_import, rows_of_batch
from core.participants.table_reading import FileRefused, ReadTable, read_table
from webapp.flow_runs import CREATE_PARTICIPANTS, REBUILD_SCHEDULES, start_run
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import is_htmx, lead_to
from webapp.portal.participants.section import participants

IMPORT = "/view_study/<number:study_number>/import_participants"
ADD = "/view_study/<number:study_number>/add_participants_from_file"


@participants.get(IMPORT)
@requires(Capability.PARTICIPANT_FIELDS)
def import_fields(study_number: int) -> ResponseReturnValue:
    """The page that asks for a file of fields and dates."""
    return _page("fields")


@participants.post(IMPORT, endpoint="import_file")
@requires(Capability.PARTICIPANT_FIELDS)
def import_file(study_number: int) -> ResponseReturnValue:
    """Previews the file, or imports it once that very file was confirmed."""
    clears = request.form.get("clears") == "true"
    try:
        table = read_table(db.session(), g.study, _data(), clears=clears)
        preview = preview_import(db.session(), g.study, table)
        if request.form.get("confirmed") != table.digest or not preview.is_possible:
            return _page("fields", table=table, preview=preview, clears=clears)
        _, waits = import_table(db.session(), g.study, table, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except (FileRefused, ParticipantRefused) as refused:
        db.session.rollback()
        return _page("fields", problem=str(refused), clears=clears)
    if waits and not start_run(REBUILD_SCHEDULES, only_asked=True):
        flash("No Prefect server took the rebuild of events. It begins by itself when one is there again.", "warn")
    flash(f"Imported: {preview.participants:,} participants changed.", "good")
    return lead_to(url_for("participants.list", study_number=study_number))


@participants.get(ADD)
@requires(Capability.PARTICIPANT_CREATE)
def add_from_file(study_number: int) -> ResponseReturnValue:
    """The page that asks for a file of new participants."""
    return _page("people")


@participants.post(ADD, endpoint="add_file")
@requires(Capability.PARTICIPANT_CREATE)
def add_file(study_number: int) -> ResponseReturnValue:
    """Previews the file, or asks for a batch of its participants once that very file was confirmed."""
    name, site = request.form.get("name", "").strip() or "from a file", request.form.get("site", "")
    try:
        table = read_table(db.session(), g.study, _data(), clears=False, needs_ids=False)
        rows = rows_of_batch(db.session(), g.study, table, site=site)
        if len(rows) > MOST_AT_ONCE:
            raise FileRefused(f"A batch has at most {MOST_AT_ONCE:,} participants; the file has {len(rows):,}.")
        if request.form.get("confirmed") != table.digest or table.errors:
            return _page("people", table=table, name=name, site=site)
        batch = ask_for_batch(
            db.session(), g.study, len(rows), name, rows=rows, site=site, actor=actor_of(g.researcher)
        )
        db.session.commit()
    except (FileRefused, ParticipantRefused) as refused:
        db.session.rollback()
        return _page("people", problem=str(refused), name=name, site=site)
    if not start_run(CREATE_PARTICIPANTS):
        flash("No Prefect server took this batch. It is kept, and begins by itself when one is there again.", "warn")
    return lead_to(url_for("participants.batch", study_number=study_number, batch_number=batch.id))


def _data() -> bytes:
    file = request.files.get("file")
    if file is None or not file.filename:
        raise FileRefused("Choose a file.")
    data: bytes = file.read()
    return data


def _page(kind: str, *, problem: str = "", table: ReadTable | None = None, **values: Any) -> ResponseReturnValue:
    """The page with what the file would do; for HTMX only that."""
    template = "portal/participants/_import.html" if is_htmx() else "portal/participants/import.html"
    columns = [column for column in columns_of_study(db.session(), g.study.id) if column.is_value]
    sites = own_sites(db.session(), g.study.id)
    page = render_template(
        template, kind=kind, problem=problem, table=table, columns=columns, own_sites=sites, **values
    )
    return page, 422 if problem or (table and table.errors) else 200
