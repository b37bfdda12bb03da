"""A batch of participants: its progress, and the file of its passwords (CLAR-32, PORTAL-122)."""

from typing import Any

from flask import abort, g, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import BatchState, ParticipantBatch
from core.participants.batches import batch_of_study, count_unregistered, renewed_passwords
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import fragment_or_redirect
from webapp.portal.participants.forms import csv_name
from webapp.portal.participants.password_file import password_file
from webapp.portal.participants.section import participants

PATH = "/view_study/<number:study_number>/batches/<number:batch_number>"


@participants.get(PATH)
@requires(Capability.PARTICIPANT_CREATE)
def batch(study_number: int, batch_number: int) -> ResponseReturnValue:
    """The page of a batch."""
    return render_template("portal/participants/batch.html", **_shown(batch_number))


@participants.get(f"{PATH}/progress")
@requires(Capability.PARTICIPANT_CREATE, is_polled=True)
def batch_progress(study_number: int, batch_number: int) -> ResponseReturnValue:
    """The progress of a batch. The page polls it until the batch is done."""
    page = url_for("participants.batch", study_number=study_number, batch_number=batch_number)
    return fragment_or_redirect("portal/participants/_batch.html", page, **_shown(batch_number))


@participants.post(f"{PATH}/passwords")
@requires(Capability.PARTICIPANT_CREATE)
def batch_passwords(study_number: int, batch_number: int) -> ResponseReturnValue:
    """A file with new passwords of those who never registered. Their passwords in earlier files stop working."""
    asked = _batch(batch_number)
    if asked.state != BatchState.DONE.value:
        return redirect(url_for("participants.batch", study_number=study_number, batch_number=batch_number))
    new = renewed_passwords(db.session(), asked, actor=actor_of(g.researcher))
    db.session.commit()
    return password_file(new, csv_name(asked.name))


def _shown(batch_number: int) -> dict[str, Any]:
    asked = _batch(batch_number)
    is_done = asked.state == BatchState.DONE.value
    unregistered = count_unregistered(db.session(), asked) if is_done else 0
    return {"batch": asked, "is_done": is_done, "unregistered": unregistered}


def _batch(batch_number: int) -> ParticipantBatch:
    found = batch_of_study(db.session(), g.study.id, batch_number)
    if found is None:
        abort(404)
    return found
