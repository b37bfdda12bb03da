"""The list of studies: choosing one, stars, and hidden ones (PORTAL-70 to PORTAL-72, PORTAL-92)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models.researcher import studies_of
from core.studies.changing import unhide_study
from core.studies.figures import study_figures
from core.studies.listing import hidden_studies, set_star, study_lines
from webapp.flow_runs import REBUILD_SCHEDULES, start_run
from webapp.portal.access.confirming import identity_problem
from webapp.portal.access.rules import requires
from webapp.portal.frame.navigation import can
from webapp.portal.frame.pages import page_or_fragment
from webapp.portal.studies.section import studies


@studies.get("/choose_study")
@requires(Capability.OWN_STUDIES)
def choose() -> ResponseReturnValue:
    """The studies of this person, filtered by name or object id; straight on where there is only one."""
    own = studies_of(db.session(), g.researcher)
    if len(own) == 1:
        return redirect(url_for("studies.overview", study_number=own[0].id))
    return _list(has_studies=bool(own))


@studies.get("/manage_studies")
@requires(Capability.RESEARCHER_LIST, is_return_page=True)
def manage() -> ResponseReturnValue:
    """The list of studies for administrators. Unlike `choose`, it shows the list when there is only one study."""
    return _list(has_studies=bool(studies_of(db.session(), g.researcher)))


def _list(has_studies: bool) -> str:
    search = request.args.get("search", "").strip()
    return page_or_fragment(
        "portal/studies/choose.html",
        "portal/studies/_studies.html",
        page_values=lambda: {"hidden": hidden_studies(db.session()) if can("study.create") else []},
        lines=study_lines(db.session(), g.researcher, search, g.now),
        search=search,
        has_studies=has_studies,
    )


@studies.post("/star_study/<number:study_number>")
@requires(Capability.STUDY_VIEW)
def star(study_number: int) -> ResponseReturnValue:
    """Puts the study first in this person's lists, or no longer."""
    set_star(db.session(), g.researcher, g.study, request.form.get("is_on") == "true")
    db.session.commit()
    return redirect(url_for("studies.manage" if can("researcher.list") else "studies.choose"))


@studies.get("/unhide_study/<number:study_number>")
@requires(Capability.STUDY_UNHIDE)
def unhide(study_number: int) -> ResponseReturnValue:
    """Asks for one's own password to bring a hidden study back."""
    if g.study.hidden_at is None:
        abort(404)
    return hidden_study_page()


@studies.post("/unhide_study/<number:study_number>", endpoint="bring_back")
@requires(Capability.STUDY_UNHIDE)
def bring_back(study_number: int) -> ResponseReturnValue:
    """Brings a hidden study back (PORTAL-92)."""
    if g.study.hidden_at is None:
        abort(404)
    if problem := identity_problem(request.form.get("password", "")):
        return hidden_study_page(problem), 422
    waits = unhide_study(db.session(), g.study, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    if waits:
        start_run(REBUILD_SCHEDULES, only_asked=True)
    flash(f"{g.study.name} is back.", "good")
    return redirect(url_for("studies.overview", study_number=study_number))


def hidden_study_page(problem: str = "") -> str:
    """The only page of a hidden study: its facts, and the form that brings it back (PERM-50)."""
    figures = study_figures(db.session(), g.study.id, g.now)
    hidden, g.study = g.study, None  # the page has no study of its own: nothing of it can be opened yet
    page = render_template("portal/studies/unhide.html", hidden=hidden, figures=figures, problem=problem)
    g.study = hidden
    return page
