"""Editing one custom field or intervention date in its place in the table (PORTAL-133)."""

from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.participants.columns import Column, columns_of_study
from core.participants.editing import FIXED_SITE, edit_participant, read_date
from core.participants.listing import ListedParticipant, all_rows
from core.participants.refusals import ParticipantRefused
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import is_htmx
from webapp.portal.participants.fixed_site import is_open_to_edits
from webapp.portal.participants.section import participants

PATH = "/view_study/<number:study_number>/participant/<patient_id>/values/<name>"


@participants.get(PATH)
@requires(Capability.PARTICIPANT_FIELDS)
def edit_value(study_number: int, patient_id: str, name: str) -> ResponseReturnValue:
    """The form for one value: in the table's cell for HTMX, else on a page of its own."""
    column, row = _column(name), _row()
    typed = row.values.get(name, "")
    if is_htmx() and "cancel" in request.args:
        return render_template("portal/participants/_value.html", column=column, row=row)
    return _form(column, row, typed)


@participants.post(PATH, endpoint="save_value")
@requires(Capability.PARTICIPANT_FIELDS)
def save_value(study_number: int, patient_id: str, name: str) -> ResponseReturnValue:
    """Saves it, and shows the cell again, or the participant."""
    column, typed = _column(name), request.form.get("value", "")
    try:
        value = typed if column.is_field else read_date(typed)
        edit_participant(db.session(), g.participant, {name: value}, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except ParticipantRefused as refused:
        db.session.rollback()
        return _form(column, _row(), typed, str(refused)), 422
    if is_htmx():
        return render_template("portal/participants/_value.html", column=column, row=_row())
    flash(f"{column.heading} of {patient_id} was saved.", "good")
    return redirect(url_for("participants.detail", study_number=study_number, patient_id=patient_id))


def _form(column: Column, row: ListedParticipant, typed: str, problem: str = "") -> str:
    values: dict[str, Any] = {
        "column": column,
        "row": row,
        "typed": typed,
        "problem": problem,
        "address": url_for(
            "participants.save_value", study_number=g.study.id, patient_id=row.patient_id, name=column.name
        ),
        "input_id": f"value-{row.id}-{column.name.replace(':', '-')}",
    }
    template = "portal/participants/_value_form.html" if is_htmx() else "portal/participants/value.html"
    return render_template(template, **values)


def _column(name: str) -> Column:
    """The study's custom field or intervention of that name; 404 for another study's (PERM-72)."""
    found = next((c for c in columns_of_study(db.session(), g.study.id) if c.name == name and c.is_value), None)
    if found and not is_open_to_edits(found):
        abort(403, FIXED_SITE)
    return found or abort(404)


def _row() -> ListedParticipant:
    return next(all_rows(db.session(), g.study.id, [g.participant.id], g.now))
