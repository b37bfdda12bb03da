"""A study's settings file: the download, and the import with a preview of everything first (PORTAL-97, SURVEY-53)."""

import hashlib
import json
from typing import Any

from flask import Response, flash, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.studies.settings_file.importing import ImportPlan, ImportRefused, Ticks, import_file, plan_import
from core.studies.settings_file.reading import FileUnreadable, read_study_file
from core.studies.settings_file.writing import file_name, study_file_text
from webapp.attachments import attach
from webapp.flow_runs import REBUILD_SCHEDULES, start_run
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import is_htmx, lead_to
from webapp.portal.frame.wording import counted
from webapp.portal.studies.section import studies

IMPORT = "/import_study_settings_file/<number:study_number>"


@studies.get("/export_study_settings_file/<number:study_number>")
@requires(Capability.STUDY_EXPORT)
def export_file(study_number: int) -> ResponseReturnValue:
    """App settings, surveys and interventions as JSON (SURVEY-50)."""
    response = Response(study_file_text(db.session(), g.study), content_type="application/json; charset=utf-8")
    attach(response, file_name(g.study))
    return response


@studies.get(IMPORT)
@requires(Capability.STUDY_IMPORT)
def import_page(study_number: int) -> ResponseReturnValue:
    """The page that asks for a file."""
    return _page(Ticks())


@studies.post(IMPORT, endpoint="import_file")
@requires(Capability.STUDY_IMPORT)
def bring_in(study_number: int) -> ResponseReturnValue:
    """Previews the file, or imports it once what it does to the study as it is now was confirmed."""
    form = request.form
    ticks = Ticks(*(form.get(name) == "true" for name in ("device_settings", "surveys", "timezone")))
    try:
        data = uploaded_settings_file()
        plan = plan_import(db.session(), g.study, read_study_file(data), ticks)
    except FileUnreadable as unreadable:
        return _page(ticks, problem=str(unreadable))
    shown = json.dumps(plan.as_json(), default=str, sort_keys=True)  # changes with the file, and with the study
    digest = hashlib.sha256(data + repr((ticks, shown)).encode()).hexdigest()
    if form.get("confirmed") != digest or plan.errors:
        return _page(ticks, plan=plan, digest=digest)
    try:
        waits = import_file(db.session(), g.study, plan, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except ImportRefused as refused:
        db.session.rollback()
        return _page(ticks, problem=str(refused))
    if waits and not start_run(REBUILD_SCHEDULES, only_asked=True):
        flash("No Prefect server took the rebuild of events. It begins by itself when one is there again.", "warn")
    surveys, settings = counted(len(plan.surveys), "survey"), counted(len(plan.settings), "app setting")
    flash(f"Imported: {surveys} added, {settings} changed.", "good")
    return lead_to(url_for("studies.edit", study_number=study_number))


def uploaded_settings_file() -> bytes:
    """The bytes of the file in the field `upload`. Raises FileUnreadable without a file whose name ends in .json."""
    upload = request.files.get("upload")
    if upload is None or not upload.filename:
        raise FileUnreadable("Choose a settings file.")
    if not upload.filename.lower().endswith(".json"):
        raise FileUnreadable("The name of a settings file ends in .json.")
    data: bytes = upload.read()
    return data


def _page(ticks: Ticks, *, problem: str = "", plan: ImportPlan | None = None, **values: Any) -> ResponseReturnValue:
    template = "portal/studies/_import.html" if is_htmx() else "portal/studies/import.html"
    page = render_template(template, ticks=ticks, problem=problem, plan=plan, **values)
    return page, 422 if problem or (plan and plan.errors) else 200
