"""Choosing a study (PORTAL-70)."""

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.models.researcher import studies_of
from core.studies.figures import study_lines
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import page_or_fragment
from webapp.portal.studies.section import studies


@studies.get("/choose_study")
@requires(Capability.OWN_STUDIES)
def choose() -> ResponseReturnValue:
    """The researcher's studies, filtered by name or object id. With only one study, redirects to it."""
    all_studies = studies_of(db.session(), g.researcher)
    if len(all_studies) == 1:
        return redirect(url_for("studies.overview", study_number=all_studies[0].id))
    search = request.args.get("search", "").strip()
    found = [s for s in all_studies if search.lower() in s.name.lower() or search in s.object_id]
    return page_or_fragment(
        "portal/studies/choose.html",
        "portal/studies/_studies.html",
        lines=study_lines(db.session(), found, g.now),
        search=search,
        has_studies=bool(all_studies),
    )
