"""The page of a study: its figures and the list of its participants."""

from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.participants.listing import ListQuery, Sort, list_participants
from core.studies.figures import study_figures
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import fragment_or_redirect, page_or_fragment
from webapp.portal.participants.list_address import list_arguments, parse_list_address
from webapp.portal.participants.section import participants
from webapp.portal.participants.shown_states import FILTER_LABELS, shown_state


@participants.get("/view_study/<number:study_number>", endpoint="list")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def participant_list(study_number: int) -> ResponseReturnValue:
    """The page, or for HTMX only its list. With the argument `find`, redirects to the participant with that id."""
    if found := request.args.get("find", "").strip().lower():
        return redirect(_address_of_found(found))
    listed = list_participants(db.session(), study_number, parse_list_address(request.args), g.now)

    def address(**changes: Any) -> str:
        return url_for("participants.list", study_number=study_number, **list_arguments(listed.query, **changes))

    return page_or_fragment(
        "portal/participants/list.html",
        "portal/participants/_list.html",
        page_values=lambda: {"figures": study_figures(db.session(), study_number, g.now)},
        listed=listed,
        arguments=list_arguments(listed.query),
        address=address,
        filter_labels=FILTER_LABELS,
        Sort=Sort,
        shown_state=shown_state,
    )


@participants.get("/view_study/<number:study_number>/figures")
@requires(Capability.STUDY_VIEW, is_polled=True)
def figures(study_number: int) -> ResponseReturnValue:
    """The figures only; the page polls them."""
    return fragment_or_redirect(
        "portal/participants/_figures.html",
        url_for("participants.list", study_number=study_number),
        figures=study_figures(db.session(), study_number, g.now),
    )


def _address_of_found(patient_id: str) -> str:
    """The address of the participant if `patient_id` is a complete id, else of the list of ids that begin with it."""
    listed = list_participants(db.session(), g.study.id, ListQuery(search=patient_id[:8]), g.now)
    if len(listed.rows) == 1 and listed.rows[0].patient_id == patient_id:
        return url_for("participants.detail", study_number=g.study.id, patient_id=patient_id)
    return url_for("participants.list", study_number=g.study.id, **list_arguments(listed.query))
