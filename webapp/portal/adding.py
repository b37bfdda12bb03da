"""Adding participants; passwords are shown once, in the answer itself (PORTAL-120 to PORTAL-122, PERM-76)."""

import csv
import io
import re
from typing import Any

from flask import Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import IntegerField, StringField
from wtforms.validators import InputRequired, NumberRange

from core.access import Capability
from core.database import db
from core.participants import NewParticipant, create_participants
from core.participants.batches import MADE_AT_ONCE, ask_for_batch, batches_of_study
from core.participants.creating import MOST_AT_ONCE
from webapp.flow_runs import CREATE_PARTICIPANTS, start_run
from webapp.portal.doors import in_study, portal
from webapp.stores import sealed_store

BATCHES_SHOWN = 5
HOW_MANY = f"A number from 1 to {MOST_AT_ONCE:,}."


class ManyForm(FlaskForm):
    """How many participants, and the name of the file with their passwords."""

    number_of_new_patients = IntegerField(
        "How many", [InputRequired(HOW_MANY), NumberRange(1, MOST_AT_ONCE, HOW_MANY)], default=20
    )
    desired_filename = StringField("File name", default="new_participant_ids.csv")

    def validate(self, extra_validators: Any = None) -> bool:
        """Says the same of every number that is refused."""
        is_valid = super().validate(extra_validators)
        if self.number_of_new_patients.errors:
            self.number_of_new_patients.errors = [HOW_MANY]
        return is_valid


@portal.get("/view_study/<number:study_number>/add_participants")
@in_study(Capability.PARTICIPANT_CREATE)
def add_participants(study_number: int) -> ResponseReturnValue:
    """The page with both forms."""
    return _page(ManyForm())


@portal.post("/create_new_participant")
@in_study(Capability.PARTICIPANT_CREATE)
def create_new_participant() -> ResponseReturnValue:
    """Makes one participant and shows id and password, for the only time."""
    new = _create(1)
    if request.htmx:  # type: ignore[attr-defined]
        return render_template("portal/_new_participants.html", new=new)
    return _page(ManyForm(), new)


@portal.post("/create_many_patients/<number:study_number>")
@in_study(Capability.PARTICIPANT_CREATE)
def create_many_patients(study_number: int) -> ResponseReturnValue:
    """Makes several and answers with the file of ids and passwords, or with the form and what is wrong in it."""
    form = ManyForm()
    if not form.validate():
        return _page(form), 422
    count, name = form.number_of_new_patients.data, csv_name(form.desired_filename.data or "")
    if count > MADE_AT_ONCE:
        return _in_background(count, name)
    return csv_of(_create(count), name)


def _in_background(count: int, name: str) -> ResponseReturnValue:
    """Leaves a batch to the deployment `create-participants`, and leads to the page that shows how far it is."""
    batch = ask_for_batch(db.session(), g.study, count, name, g.researcher.username)
    db.session.commit()
    if not start_run(CREATE_PARTICIPANTS):
        flash("No Prefect server took this batch. It is kept, and begins by itself when one is there again.", "warn")
    return redirect(url_for("portal.batch_page", study_number=g.study.id, batch_number=batch.id))


def csv_of(new: list[NewParticipant], name: str) -> Response:
    """A file of ids and passwords, which no cache keeps (PORTAL-121)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["Patient ID", "Registration password"])
    writer.writerows((one.patient_id, one.password) for one in new)
    return Response(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def csv_name(wanted: str) -> str:
    """A file name of `A–Z a–z 0–9 _ .` that ends in `.csv` (PORTAL-121)."""
    name = re.sub(r"[^A-Za-z0-9_.]", "", re.sub(r"[ =]", "_", wanted)) or "new_participant_ids"
    return name if name.endswith(".csv") else name + ".csv"


def _create(count: int) -> list[NewParticipant]:
    return create_participants(db.session(), sealed_store(g.study), g.study, count)


def _page(form: ManyForm, new: list[NewParticipant] | None = None) -> str:
    batches = batches_of_study(db.session(), g.study.id, BATCHES_SHOWN)
    return render_template(
        "portal/add_participants.html",
        form=form,
        new=new or [],
        most=MOST_AT_ONCE,
        at_once=MADE_AT_ONCE,
        batches=batches,
    )
