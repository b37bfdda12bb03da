"""The list of a study's participants, its figures and its columns (PORTAL-110 to PORTAL-115)."""

from typing import Any

from flask import Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.participants.columns import choose_columns, chosen_columns, columns_of_study
from core.participants.listing import ListPage, ListQuery, ids_of_list, list_participants
from core.participants.selecting import undoable_edits
from core.participants.table_file import participants_file
from core.participants.versions import app_versions_in_use
from core.studies.figures import study_figures
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import fragment_or_redirect, page_or_fragment
from webapp.portal.participants.list_address import list_arguments, parse_list_address
from webapp.portal.participants.section import participants
from webapp.portal.participants.shown_states import DEPARTURES, FILTER_LABELS, shown_state

PATH = "/view_study/<number:study_number>/participants"


@participants.get(PATH, endpoint="list")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def participant_list(study_number: int) -> ResponseReturnValue:
    """The page, or for HTMX only its list. With the argument `find`, redirects to the participant with that id."""
    if found := request.args.get("find", "").strip().lower():
        return redirect(_address_of_found(found))
    return shown_list(parse_list_address(request.args))


def shown_list(query: ListQuery) -> str:
    """The page of the list, or its fragment."""
    listed = list_participants(db.session(), g.study.id, query, g.now)
    return page_or_fragment(
        "portal/participants/list.html",
        "portal/participants/_list.html",
        page_values=lambda: {"figures": study_figures(db.session(), g.study.id, g.now)},
        **list_values(listed),
    )


def list_values(listed: ListPage) -> dict[str, Any]:
    """What the list's template needs."""
    there_are = columns_of_study(db.session(), g.study.id)

    def address(**changes: Any) -> str:
        return url_for("participants.list", study_number=g.study.id, **list_arguments(listed.query, **changes))

    return {
        "listed": listed,
        "arguments": list_arguments(listed.query),
        "address": address,
        "filter_labels": FILTER_LABELS,
        "columns": chosen_columns(db.session(), g.researcher.id, g.study.id, there_are),
        "all_columns": there_are,
        "versions": app_versions_in_use(db.session(), g.study.id),
        "edits": undoable_edits(db.session(), g.study.id, g.researcher.id, g.now),
        "shown_state": shown_state,
        "departures": DEPARTURES,
    }


@participants.get(f"{PATH}/figures")
@requires(Capability.STUDY_VIEW, is_polled=True)
def figures(study_number: int) -> ResponseReturnValue:
    """The figures only; the page polls them."""
    return fragment_or_redirect(
        "portal/parts/_study_figures.html",
        url_for("participants.list", study_number=study_number),
        figures=study_figures(db.session(), study_number, g.now),
    )


@participants.post(f"{PATH}/columns")
@requires(Capability.STUDY_VIEW)
def columns(study_number: int) -> ResponseReturnValue:
    """Keeps which columns this person wants to see, and shows the list with them (PORTAL-113)."""
    there_are = {column.name for column in columns_of_study(db.session(), study_number)}
    names = [name for name in request.form.getlist("column") if name in there_are]
    choose_columns(db.session(), g.researcher.id, study_number, names)
    db.session.commit()
    query = parse_list_address(request.form)
    return redirect(url_for("participants.list", study_number=study_number, **list_arguments(query, page=query.page)))


@participants.get(f"{PATH}.csv")
@requires(Capability.STUDY_EXPORT)
def export(study_number: int) -> ResponseReturnValue:
    """The participants that the address asks for, as a CSV file (PORTAL-115)."""
    numbers = ids_of_list(db.session(), study_number, parse_list_address(request.args), g.now)
    return csv_file(numbers)


def csv_file(numbers: list[int]) -> Response:
    """The file of these participants; that it was made is in the audit trail."""
    file = participants_file(db.session(), g.study, numbers, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    response = Response(file, content_type="text/csv; charset=utf-8")
    attach(response, f"participant info - {g.study.name}.csv")
    return response


def _address_of_found(patient_id: str) -> str:
    """The participant's page if an id was typed in full, else the list of those that have the text."""
    listed = list_participants(db.session(), g.study.id, ListQuery(search=patient_id, has_tests=True), g.now)
    if len(listed.rows) == 1 and patient_id in (listed.rows[0].patient_id, (listed.rows[0].external_id or "").lower()):
        patient = listed.rows[0].patient_id
        return url_for("participants.detail", study_number=g.study.id, patient_id=patient)
    return url_for("participants.list", study_number=g.study.id, **list_arguments(listed.query, has_tests=False))
