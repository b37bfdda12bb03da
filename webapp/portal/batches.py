"""A batch of participants: how far it is, and the file of its passwords (CLAR-32, PORTAL-122)."""

from flask import abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.models import BatchState, ParticipantBatch
from core.participants.batches import batch_of_study, count_unregistered, renewed_passwords
from webapp.portal.adding import csv_name, csv_of
from webapp.portal.doors import in_study, portal

PATH = "/view_study/<number:study_number>/batches/<number:batch_number>"


@portal.get(PATH)
@in_study(Capability.PARTICIPANT_CREATE)
def batch_page(study_number: int, batch_number: int) -> ResponseReturnValue:
    """The page of a batch."""
    return render_template("portal/batch.html", **_shown(batch_number))


@portal.get(f"{PATH}/progress")
@in_study(Capability.PARTICIPANT_CREATE, is_polled=True)
def batch_progress(study_number: int, batch_number: int) -> ResponseReturnValue:
    """What changes while it is made; the page asks for it until it is done."""
    shown = _shown(batch_number)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(url_for("portal.batch_page", study_number=study_number, batch_number=batch_number))
    return render_template("portal/_batch.html", **shown)


@portal.post(f"{PATH}/passwords")
@in_study(Capability.PARTICIPANT_CREATE)
def batch_passwords(study_number: int, batch_number: int) -> ResponseReturnValue:
    """New passwords for those who never registered, as a file; those of earlier files no longer work."""
    batch = _batch(batch_number)
    if batch.state != BatchState.DONE.value:
        return redirect(url_for("portal.batch_page", study_number=study_number, batch_number=batch_number))
    new = renewed_passwords(db.session(), batch)
    db.session.commit()
    return csv_of(new, csv_name(batch.name))


def _shown(batch_number: int) -> dict[str, object]:
    batch = _batch(batch_number)
    is_done = batch.state == BatchState.DONE.value
    return {
        "batch": batch, "is_done": is_done, "unregistered": count_unregistered(db.session(), batch) if is_done else 0
    }  # fmt: skip


def _batch(batch_number: int) -> ParticipantBatch:
    batch = batch_of_study(db.session(), g.study.id, batch_number)
    if batch is None:
        abort(404)
    return batch
