"""A study's page: its figures and its participants."""

from flask import g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from webapp.portal.doors import in_study, portal
from webapp.portal.participant_list import ListQuery, Sort, list_participants
from webapp.portal.states import Show, state_of
from webapp.portal.study_figures import study_figures

SHOWN = {
    Show.ALL: "All",
    Show.REPORTING: "Reporting",
    Show.SILENT: "Silent",
    Show.NOT_REGISTERED: "Not registered",
    Show.RETIRED: "Retired",
}


@portal.get("/view_study/<number:study_number>")
@in_study(Capability.STUDY_VIEW, is_return_page=True)
def study_page(study_number: int) -> ResponseReturnValue:
    """The page, or only its list for a swap. With `find`, straight to the participant of that id."""
    if found := request.args.get("find", "").strip().lower():
        return redirect(_found(found))
    listed = list_participants(db.session(), study_number, ListQuery.parse(request.args), g.now)

    def address(**changes: object) -> str:
        return url_for("portal.study_page", study_number=study_number, **listed.query.arguments(**changes))

    shared = {"listed": listed, "address": address, "shown": SHOWN, "Sort": Sort, "state_of": state_of}
    if request.htmx:  # type: ignore[attr-defined]
        return render_template("portal/_participants.html", **shared)
    figures = study_figures(db.session(), study_number, g.now)
    return render_template("portal/participants.html", figures=figures, **shared)


@portal.get("/view_study/<number:study_number>/figures")
@in_study(Capability.STUDY_VIEW, is_polled=True)
def study_page_figures(study_number: int) -> ResponseReturnValue:
    """The figures alone; the page asks for them again and again."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(url_for("portal.study_page", study_number=study_number))
    return render_template("portal/_figures.html", figures=study_figures(db.session(), study_number, g.now))


def _found(patient_id: str) -> str:
    listed = list_participants(db.session(), g.study.id, ListQuery(search=patient_id[:8]), g.now)
    if len(listed.rows) == 1 and listed.rows[0].patient_id == patient_id:
        return url_for("portal.participant_page", study_number=g.study.id, patient_id=patient_id)
    return url_for("portal.study_page", study_number=g.study.id, **listed.query.arguments())
