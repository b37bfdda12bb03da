"""Downloading a study's data in the portal, with the session in place of an API key (PORTAL-240 to PORTAL-242)."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from flask import Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from core.access import Capability, decide
from core.audit import actor_of
from core.database import db
from core.downloads.members import participants_asked_for
from core.downloads.query import UnknownName
from core.downloads.recording import record_download
from core.downloads.sizes import download_size
from core.downloads.zip_stream import ZipContents, ZipDownload
from core.exports.asking import ExportRefused, ask_for_export
from core.exports.choice import file_ending
from core.models import ExportKind, Participant
from core.models.researcher import studies_of
from core.streams import DataStream
from webapp.attachments import attach
from webapp.flow_runs import BUILD_EXPORTS, start_run
from webapp.portal.access.rules import requires
from webapp.portal.downloads.forms import Choice, read_choice
from webapp.portal.downloads.section import PATH, downloads
from webapp.portal.frame.pages import is_htmx
from webapp.portal.frame.wording import STREAMS
from webapp.stores import sealed_store, settings

BACKGROUND_FORMS = {
    "csv": ("files", ExportKind.STREAMS, "csv", "CSV and sound files, as in a download"),
    "parquet": ("tables", ExportKind.STREAMS, "parquet", "Parquet tables, one for each stream"),
    "events": ("survey events", ExportKind.EVENTS, "csv", "Survey events as CSV: sent, opened, answered, late"),
    "events_parquet": ("survey events", ExportKind.EVENTS, "parquet", "Survey events as Parquet"),
}
"""What can be prepared in the background: what the file's name says, kind, form, and words for it."""
MOST_LISTED = 200  # participants as a list of ticks; of more, ids are typed


@downloads.get("/data_access_web_form")
@requires(Capability.OWN_STUDIES, is_return_page=True)
def choose() -> ResponseReturnValue:
    """The studies whose data the researcher may download; with only one, redirects to it."""
    studies = [
        study
        for study in studies_of(db.session(), g.researcher)
        if decide(g.actor, Capability.DATA_DOWNLOAD, study).is_allowed
    ]
    if len(studies) == 1:
        return redirect(url_for("downloads.page", study_number=studies[0].id))
    return render_template("portal/downloads/choose.html", studies=studies)


@downloads.get(PATH)
@requires(Capability.DATA_DOWNLOAD, is_return_page=True)
def page(study_number: int) -> ResponseReturnValue:
    """The form, with the size of all data; a large study's is asked for by the page, so that the form comes at once."""
    return _page(read_choice(MultiDict(), g.study.zone), is_first=True)


@downloads.post(f"{PATH}/size")
@requires(Capability.DATA_DOWNLOAD)
def size(study_number: int) -> ResponseReturnValue:
    """How much the typed choice would download: a fragment for HTMX, else the page."""
    choice = read_choice(request.form, g.study.zone)
    if is_htmx():
        return render_template("portal/downloads/_size.html", **_sized(choice))
    return _page(choice)


@downloads.post(f"{PATH}/download")
@requires(Capability.DATA_DOWNLOAD)
def download(study_number: int) -> ResponseReturnValue:
    """The zip, streamed as by the data API, with the same rules and record (DATA-21, DATA-22, DATA-26)."""
    choice = read_choice(request.form, g.study.zone)
    participants = _participants(choice)
    if choice.problems:
        return _page(choice), 422
    query, fields = choice.query(), {"study_pk": [str(study_number)], **choice.fields}
    record = record_download(db.session(), actor_of(g.researcher), g.study, query, participants, fields)
    db.session.commit()
    contents = ZipContents(db.engine, sealed_store(g.study), g.study, participants, query, has_registry=False)
    response = Response(ZipDownload(contents, record).stream(), content_type="application/zip")
    today: date = g.now.astimezone(g.study.zone).date()
    attach(response, f"{g.study.name} {today}.zip")
    return response


@downloads.post(f"{PATH}/exports")
@requires(Capability.DATA_DOWNLOAD)
def prepare(study_number: int) -> ResponseReturnValue:
    """Queues an export of the typed choice, and leads to the list of exports (PORTAL-242, CLAR-74)."""
    choice = read_choice(request.form, g.study.zone)
    wanted = BACKGROUND_FORMS.get(request.form.get("form", ""))
    if wanted is None:
        choice.problems["form"] = "Choose what to prepare."
    _participants(choice)
    if choice.problems or wanted is None:
        return _page(choice), 422
    what, kind, form, _ = wanted
    today: date = g.now.astimezone(g.study.zone).date()
    try:
        ask_for_export(
            db.session(),
            g.study,
            kind,
            form,
            choice.export(with_test="without_test" not in request.form),
            file_name=f"{g.study.name} {what} {today}.{file_ending(kind, form)}",
            actor=actor_of(g.researcher),
        )
    except ExportRefused as error:
        db.session.rollback()
        choice.problems["form"] = f"Not now: {error}."
        return _page(choice), 422
    db.session.commit()
    start_run(BUILD_EXPORTS)
    return redirect(url_for("downloads.exports", study_number=study_number))


def _page(choice: Choice, *, is_first: bool = False) -> str:
    columns = sa.select(Participant.patient_id, Participant.is_test).where(Participant.study_id == g.study.id)
    listed = db.session.execute(columns.order_by(Participant.patient_id).limit(MOST_LISTED + 1)).all()
    is_large = len(listed) > MOST_LISTED
    sized = {"choice": choice, "size": None} if is_first and is_large else _sized(choice)
    return render_template(
        "portal/downloads/page.html",
        is_size_later=is_first and is_large,
        forms=BACKGROUND_FORMS,
        days_kept=settings().exports_kept_days,
        typed=request.form,
        participants=None if is_large else listed,
        streams=sorted(((stream.value, STREAMS[stream]) for stream in DataStream), key=lambda named: named[1].lower()),
        **sized,
    )


def _sized(choice: Choice) -> dict[str, Any]:
    """What the size's template needs. `size` is None where it takes too long to sum, or the choice is wrong."""
    if choice.patient_ids:
        _participants(choice)
    if choice.problems:
        return {"choice": choice, "size": None}
    return {"choice": choice, "size": download_size(db.session(), g.study.id, choice.query())}


def _participants(choice: Choice) -> list[tuple[int, str]]:
    """Those that the choice names, all of them in this study; else a problem is added to the choice."""
    if choice.problems:
        return []
    try:
        found = participants_asked_for(db.session(), g.study, choice.query())
    except UnknownName:
        found = []
    known = {patient_id for _, patient_id in found}
    if unknown := [patient_id for patient_id in choice.patient_ids if patient_id not in known]:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        choice.problems["participants"] = f"Not in this study: {', '.join(unknown[:5])}{more}."
    return found
