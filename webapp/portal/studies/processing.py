"""Processing of a study's uploads: what waits, what failed and why, what was done lately (PORTAL-281, CLAR-1)."""

from datetime import timedelta
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.studies.processing import newest_problems, processing_of, retry_failed_of
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import fragment_or_redirect
from webapp.portal.frame.wording import counted
from webapp.portal.studies.section import studies

PATH = "/view_study/<number:study_number>/processing"
PROBLEM_DAYS = timedelta(days=30)


@studies.get(PATH)
@requires(Capability.STUDY_STATUS, is_return_page=True)
def processing(study_number: int) -> ResponseReturnValue:
    """The page."""
    return render_template(
        "portal/studies/processing.html",
        problems=newest_problems(db.session(), study_number, g.now - PROBLEM_DAYS),
        **_state(),
    )


@studies.get(f"{PATH}/state")
@requires(Capability.STUDY_STATUS, is_polled=True)
def processing_state(study_number: int) -> ResponseReturnValue:
    """What changes; the page polls it. Its address carries what it shows: nothing new is 204 (CLAR-7)."""
    state = _state()
    if request.args.get("version") == state["version"]:
        return "", 204
    page = url_for("studies.processing", study_number=study_number)
    return fragment_or_redirect("portal/studies/_processing.html", page, **state)


@studies.post(f"{PATH}/try_again")
@requires(Capability.PROCESSING_RETRY)
def retry_processing(study_number: int) -> ResponseReturnValue:
    """Puts files that processing gave up back into the queue."""
    count = retry_failed_of(db.session(), g.study, actor=actor_of(g.researcher))
    db.session.commit()
    flash(f"{counted(count, 'file')} wait again, and are tried within a minute.", "good")
    return redirect(url_for("studies.processing", study_number=study_number))


def _state() -> dict[str, Any]:
    found = processing_of(db.session(), g.study.id, g.now)
    newest = found.hours[0].last_at.timestamp() if found.hours else 0
    version = f"{found.waiting}-{found.held}-{sum(failed.files for failed in found.failed)}-{newest}"
    return {"processing": found, "version": version}
