"""Changes of many participants: what would happen is said first, and undone afterwards where it can be (CLAR-25)."""

from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import BulkEdit
from core.participants.columns import Column, columns_of_study
from core.participants.editing import read_date
from core.participants.listing import ids_of_list
from core.participants.refusals import ParticipantRefused
from core.participants.selecting import (
    numbers_of,
    preview_value,
    record_retirement,
    reset_devices,
    retire_participants,
    selected_participants,
    set_value,
    undo,
)
from webapp.flow_runs import REBUILD_SCHEDULES, start_run
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import counted
from webapp.portal.participants.fixed_site import is_open_to_edits
from webapp.portal.participants.list_address import list_arguments, parse_list_address
from webapp.portal.participants.section import participants
from webapp.portal.participants.views import csv_file

PATH = "/view_study/<number:study_number>/participants"
PAGE = "portal/participants/selection.html"


@participants.post(f"{PATH}/values")
@requires(Capability.PARTICIPANT_FIELDS)
def choose_values(study_number: int) -> ResponseReturnValue:
    """Asks which value to set, says what that changes, and sets it once that was confirmed."""
    numbers = _chosen()
    columns = [column for column in columns_of_study(db.session(), study_number) if is_open_to_edits(column)]
    column = next((c for c in columns if c.name == request.form.get("column")), None)
    typed = request.form.get("value", "")
    shown: dict[str, Any] = {"action": "values", "columns": columns, "column": column, "typed": typed}
    if column is None or "value" not in request.form:
        return _page(numbers, **shown)
    try:
        value = typed if column.is_field else read_date(typed)
        if request.form.get("confirmed") != "true":
            change = preview_value(
                db.session(), selected_participants(db.session(), study_number, numbers).unlocked, column.name, value
            )
            return _page(numbers, change=change, **shown)
        return _set_value(numbers, column, value)
    except ParticipantRefused as refused:
        db.session.rollback()
        return _page(numbers, problem=str(refused), **shown)


def _set_value(numbers: list[int], column: Column, value: Any) -> ResponseReturnValue:
    unlocked = selected_participants(db.session(), g.study.id, numbers).unlocked
    what = f"{column.heading} set to {value}" if value else f"{column.heading} removed"
    summary = f"{what} for {counted(len(unlocked), 'participant')}"
    edit, waits = set_value(
        db.session(), g.study, unlocked, column.name, value, summary, g.now, actor=actor_of(g.researcher)
    )
    db.session.commit()
    if edit is None:
        flash("Nothing changed: all of them had this value.", "good")
    _bring_events_into_step(waits)
    return _back()


@participants.post(f"{PATH}/reset_phones")
@requires(Capability.PARTICIPANT_RESET_DEVICE)
def choose_reset(study_number: int) -> ResponseReturnValue:
    """Forgets the phones of the chosen participants, once that was confirmed."""
    numbers = _chosen()
    if request.form.get("confirmed") != "true":
        return _page(numbers, action="reset")
    count = reset_devices(db.session(), g.study, numbers, actor=actor_of(g.researcher))
    db.session.commit()
    flash(f"{counted(count, 'phone')} forgotten. The next phone that registers takes the place.", "good")
    return _back()


@participants.post(f"{PATH}/retire")
@requires(Capability.PARTICIPANT_RETIRE)
def choose_retire(study_number: int) -> ResponseReturnValue:
    """Retires the chosen participants, once their number was typed."""
    numbers = _chosen()
    selected = selected_participants(db.session(), study_number, numbers)
    typed = request.form.get("count", "").strip()
    if typed != str(len(selected.open)):
        problem = f"The number is {len(selected.open)}." if typed else ""
        return _page(numbers, action="retire", problem=problem)
    retired, waits = retire_participants(db.session(), g.study, selected.open, g.now, actor=actor_of(g.researcher))
    record_retirement(db.session(), g.study, retired, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    _bring_events_into_step(waits)
    return _back()


@participants.post(f"{PATH}/csv")
@requires(Capability.STUDY_EXPORT)
def export_selected(study_number: int) -> ResponseReturnValue:
    """The chosen participants as a CSV file."""
    return csv_file(_chosen())


@participants.post(f"{PATH}/undo/<number:edit_number>")
@requires(Capability.PARTICIPANT_FIELDS)
def undo_edit(study_number: int, edit_number: int) -> ResponseReturnValue:
    """Undoes an edit of one's own."""
    edit = db.session.get(BulkEdit, edit_number)
    if edit is None or edit.study_id != study_number or edit.author_id != g.researcher.id:
        abort(404)
    try:
        undone = undo(db.session(), g.study, edit, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except ParticipantRefused as refused:
        db.session.rollback()
        flash(str(refused), "warn")
        return _back()
    text = f"Undone for {counted(undone.restored, 'participant')}."
    if undone.changed_since:
        text += f" {counted(undone.changed_since, 'participant')} changed since then and kept the newer value."
    flash(text, "good")
    _bring_events_into_step(undone.waits)
    return _back()


def _chosen() -> list[int]:
    """Numbers of the participants that were ticked, or of the whole list."""
    if request.form.get("everybody") == "true":
        return ids_of_list(db.session(), g.study.id, parse_list_address(request.form), g.now)
    return numbers_of(db.session(), g.study.id, request.form.getlist("patient_id"))


def _page(numbers: list[int], *, problem: str = "", **values: Any) -> ResponseReturnValue:
    if not numbers:
        flash("Nobody was selected: tick participants in the list first.", "warn")
        return _back()
    sent = [(name, value) for name, value in request.form.items(multi=True) if name in _KEPT]
    selected = selected_participants(db.session(), g.study.id, numbers)
    back = url_for("participants.list", study_number=g.study.id, **list_arguments(parse_list_address(request.form)))
    page = render_template(PAGE, selected=selected, sent=sent, problem=problem, back=back, **values)
    return page, 422 if problem else 200


_KEPT = ("patient_id", "everybody", "search", "show", "platform", "version", "field", "tests", "sort", "order")


def _back() -> ResponseReturnValue:
    arguments = list_arguments(parse_list_address(request.form))
    return redirect(url_for("participants.list", study_number=g.study.id, **arguments))


def _bring_events_into_step(waits: bool) -> None:
    """Large changes leave the events to a flow (CLAR-14)."""
    if waits and not start_run(REBUILD_SCHEDULES, only_asked=True):
        flash("No Prefect server took the rebuild of events. It begins by itself when one is there again.", "warn")
