"""Adding participants. Their passwords are shown once, in the answer itself (PORTAL-120 to PORTAL-122, PERM-76)."""

from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import ParticipantBatch
from core.participants import NewParticipant, create_participants
from core.participants.batches import MADE_AT_ONCE, ask_for_batch, batches_of_study
from core.participants.enrolling import own_sites
from core.participants.refusals import ParticipantRefused
from webapp.flow_runs import CREATE_PARTICIPANTS, start_run
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import is_htmx, page_or_fragment
from webapp.portal.participants.forms import ManyForm, csv_name
from webapp.portal.participants.password_file import password_file
from webapp.portal.participants.section import participants
from webapp.portal.participants.sheets import sheets_page
from webapp.stores import sealed_store

BATCHES_SHOWN = 5
PAGE = "portal/participants/add.html"


@participants.get("/view_study/<number:study_number>/add_participants")
@requires(Capability.PARTICIPANT_CREATE)
def add(study_number: int) -> ResponseReturnValue:
    """The page with both forms."""
    return render_template(PAGE, form=ManyForm(), **_shown())


@participants.post("/create_new_participant")
@requires(Capability.PARTICIPANT_CREATE)
def create_one() -> ResponseReturnValue:
    """Creates one participant and shows id and password, which are never shown again."""
    try:
        new = _create(1)
    except ParticipantRefused as refused:
        db.session.rollback()
        if is_htmx():
            return render_template("portal/participants/_new.html", refused=str(refused)), 422
        return render_template(PAGE, form=ManyForm(formdata=None), **_shown(str(refused), "one")), 422
    return page_or_fragment(
        PAGE,
        "portal/participants/_new.html",
        page_values=lambda: {"form": ManyForm(formdata=None), **_shown()},
        new=new,
    )


@participants.post("/create_many_patients/<number:study_number>")
@requires(Capability.PARTICIPANT_CREATE)
def create_many(study_number: int) -> ResponseReturnValue:
    """Creates several participants and returns the file of ids and passwords, or sheets to print, as was asked for.

    The form with its errors (422) otherwise. A large batch is created in the background; the answer redirects to its
    page, which offers both.
    """
    form = ManyForm()
    if not form.validate():
        return render_template(PAGE, form=form, **_shown()), 422
    count, name = form.number_of_new_patients.data, csv_name(form.desired_filename.data or "")
    try:
        if count > MADE_AT_ONCE:
            return _in_background(count, name)
        new = _create(count)
    except ParticipantRefused as refused:
        db.session.rollback()
        return render_template(PAGE, form=form, **_shown(str(refused), "many")), 422
    return sheets_page(new) if request.form.get("output") == "sheets" else password_file(new, name)


def _in_background(count: int, name: str) -> ResponseReturnValue:
    """Orders a batch from the deployment `create-participants`, and redirects to the page that shows its progress."""
    batch = ask_for_batch(db.session(), g.study, count, name, site=_site(), actor=actor_of(g.researcher))
    db.session.commit()
    if not start_run(CREATE_PARTICIPANTS):
        flash("No Prefect server took this batch. It is kept, and begins by itself when one is there again.", "warn")
    return redirect(url_for("participants.batch", study_number=g.study.id, batch_number=batch.id))


def _create(count: int) -> list[NewParticipant]:
    store = sealed_store(g.study)
    return create_participants(db.session(), store, g.study, count, site=_site(), actor=actor_of(g.researcher))


def _site() -> str:
    """The site of the new participants, of people who are limited to several (CLAR-22)."""
    return request.form.get("site", "")


def _shown(problem: str = "", at: str = "") -> dict[str, Any]:
    """What both forms of the page need. `problem` is about the site in the form `at`."""
    return {
        "batches": _batches(),
        "own_sites": own_sites(db.session(), g.study.id),
        "chosen_site": request.form.get("site", ""),
        "site_problem": problem,
        "problem_at": at,
    }


def _batches() -> list[ParticipantBatch]:
    return batches_of_study(db.session(), g.study.id, BATCHES_SHOWN)
