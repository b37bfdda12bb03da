"""The lists of interventions and of custom fields, and what changes them; the addresses are the existing platform's."""

from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import CustomField, Intervention
from core.studies.custom_fields import create_field, delete_field, field_of, fields_of, rename_field
from core.studies.interventions import (
    create_intervention,
    delete_intervention,
    intervention_of,
    interventions_of,
    rename_intervention,
)
from core.studies.names import NameRefused
from webapp.flow_runs import REBUILD_SCHEDULES, start_run
from webapp.portal.access.rules import requires
from webapp.portal.frame.section import Section

interventions = Section("interventions", __name__)
INTERVENTIONS = "/interventions/<number:study_number>"
FIELDS = "/study_fields/<number:study_number>"
PAGE = "portal/interventions/names.html"


@interventions.get(INTERVENTIONS, endpoint="list")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def intervention_list(study_number: int) -> ResponseReturnValue:
    """The study's interventions."""
    return _interventions()


@interventions.post(INTERVENTIONS)
@requires(Capability.INTERVENTION_EDIT)
def add(study_number: int) -> ResponseReturnValue:
    """Adds an intervention."""
    typed = request.form.get("new_intervention", "")
    try:
        create_intervention(db.session(), g.study, typed, actor=actor_of(g.researcher))
        db.session.commit()
    except NameRefused as refused:
        db.session.rollback()
        return _interventions(problem=str(refused), typed=typed)
    return _to_interventions(f"{typed.strip()} was added.")


@interventions.post("/edit_intervention/<number:study_number>")
@requires(Capability.INTERVENTION_EDIT)
def rename(study_number: int) -> ResponseReturnValue:
    """Gives an intervention another name."""
    found = _intervention(request.form.get("intervention_id", ""))
    typed = request.form.get("edit_intervention", "")
    try:
        rename_intervention(db.session(), g.study, found, typed, actor=actor_of(g.researcher))
        db.session.commit()
    except NameRefused as refused:
        db.session.rollback()
        return _interventions(problem=str(refused), typed=typed, at=found.id)
    return _to_interventions(f"Now named {typed.strip()}.")


@interventions.post("/delete_intervention/<number:study_number>")
@requires(Capability.INTERVENTION_EDIT)
def delete(study_number: int) -> ResponseReturnValue:
    """Deletes an intervention once its name was typed; with its schedules where that was ticked (PORTAL-172)."""
    found = _intervention(request.form.get("intervention", ""))
    name, has_typed = found.name, request.form.get("typed_name", "").strip() == found.name
    if not has_typed:
        return _interventions(problem=f"Type {name} to delete it.", deleting=found.id)
    with_schedules = request.form.get("with_schedules") == "true"
    try:
        waits = delete_intervention(
            db.session(), g.study, found, g.now, with_schedules=with_schedules, actor=actor_of(g.researcher)
        )
        db.session.commit()
    except NameRefused as refused:
        db.session.rollback()
        return _interventions(problem=str(refused), deleting=found.id)
    if waits and not start_run(REBUILD_SCHEDULES, only_asked=True):
        flash("No Prefect server took the rebuild of events. It begins by itself when one is there again.", "warn")
    return _to_interventions(f"{name} was deleted.")


@interventions.get(FIELDS, endpoint="fields")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def field_list(study_number: int) -> ResponseReturnValue:
    """The study's custom fields."""
    return _fields()


@interventions.post(FIELDS)
@requires(Capability.FIELD_EDIT)
def add_field(study_number: int) -> ResponseReturnValue:
    """Adds a custom field."""
    typed = request.form.get("new_field", "")
    try:
        create_field(db.session(), g.study, typed, actor=actor_of(g.researcher))
        db.session.commit()
    except NameRefused as refused:
        db.session.rollback()
        return _fields(problem=str(refused), typed=typed)
    return _to_fields(f"{typed.strip()} was added.")


@interventions.post("/edit_custom_field/<number:study_number>", endpoint="rename_field")
@requires(Capability.FIELD_EDIT)
def edit_field(study_number: int) -> ResponseReturnValue:
    """Gives a custom field another name."""
    found = _field(request.form.get("field_id", ""))
    typed = request.form.get("edit_custom_field", "")
    try:
        rename_field(db.session(), g.study, found, typed, actor=actor_of(g.researcher))
        db.session.commit()
    except NameRefused as refused:
        db.session.rollback()
        return _fields(problem=str(refused), typed=typed, at=found.id)
    return _to_fields(f"Now named {typed.strip()}.")


@interventions.post("/delete_field/<number:study_number>", endpoint="delete_field")
@requires(Capability.FIELD_EDIT)
def remove_field(study_number: int) -> ResponseReturnValue:
    """Deletes a custom field with all its values, once its name was typed; with its schedules where that was ticked."""
    found = _field(request.form.get("field", ""))
    name = found.name
    if request.form.get("typed_name", "").strip() != name:
        return _fields(problem=f"Type {name} to delete it.", deleting=found.id)
    try:
        with_schedules = request.form.get("with_schedules") == "true"
        delete_field(db.session(), g.study, found, with_schedules=with_schedules, actor=actor_of(g.researcher))
        db.session.commit()
    except NameRefused as refused:
        db.session.rollback()
        return _fields(problem=str(refused), deleting=found.id)
    return _to_fields(f"{name} was deleted.")


def _interventions(**values: Any) -> ResponseReturnValue:
    rows = interventions_of(db.session(), g.study.id)
    return _page("interventions", rows=rows, **values)


def _fields(**values: Any) -> ResponseReturnValue:
    return _page("fields", rows=fields_of(db.session(), g.study.id), **values)


def _page(
    kind: str, *, problem: str = "", typed: str = "", at: int = 0, deleting: int = 0, **values: Any
) -> ResponseReturnValue:
    """One list. `at` is the number of what was to be renamed, `deleting` of what is about to be deleted."""
    asked = request.args.get("delete", "")
    deleting = deleting or (int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 18 else 0)
    page = render_template(PAGE, kind=kind, problem=problem, typed=typed, at=at, deleting=deleting, **values)
    return page, 422 if problem else 200


def _to_interventions(text: str) -> ResponseReturnValue:
    flash(text, "good")
    return redirect(url_for("interventions.list", study_number=g.study.id))


def _to_fields(text: str) -> ResponseReturnValue:
    flash(text, "good")
    return redirect(url_for("interventions.fields", study_number=g.study.id))


def _intervention(number: str) -> Intervention:
    return intervention_of(db.session(), g.study.id, _number(number)) or abort(404)


def _field(number: str) -> CustomField:
    return field_of(db.session(), g.study.id, _number(number)) or abort(404)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        abort(400, "The form says of no intervention or field.")
    return int(text)
