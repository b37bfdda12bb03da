"""What the nightly analyses of a study did, and their switch (CLAR-81)."""

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.forest.nightly import HOUR_OF_NIGHT, changed_days, recent_nights
from core.studies.changing import set_nightly_forest
from webapp.portal.access.rules import requires
from webapp.portal.forest.section import forest, require_forest
from webapp.portal.forest.wording import STATES, TREES

PATH = "/studies/<number:study_number>/forest/nightly"


@forest.get(PATH)
@requires(Capability.FOREST_LOG)
def nightly(study_number: int) -> ResponseReturnValue:
    """The last two weeks of nights: what ran and failed, and why; with `coming`, what the coming night will compute.

    That reads the registry of all chunks, so it is asked for by itself.
    """
    require_forest()
    is_asked = "coming" in request.args
    waiting = changed_days(db.session(), g.study, g.now) if is_asked else []
    by_tree = {
        tree: (len(of_tree), sum(len(one.days) for one in of_tree))
        for tree in TREES
        if (of_tree := [one for one in waiting if one.tree.value == tree])
    }
    return render_template(
        "portal/forest/nightly.html",
        nights=recent_nights(db.session(), g.study),
        is_asked=is_asked,
        waiting=by_tree,
        hour=HOUR_OF_NIGHT,
        trees=TREES,
        states=STATES,
    )


@forest.post(PATH, endpoint="switch_nightly")
@requires(Capability.FOREST_NIGHTLY)
def switch(study_number: int) -> ResponseReturnValue:
    """Switches nightly analyses on or off."""
    require_forest()
    is_on = request.form.get("nightly") == "on"
    if is_on != g.study.has_nightly_forest:
        set_nightly_forest(db.session(), g.study, is_on, actor=actor_of(g.researcher))
        db.session.commit()
    words = f"Changed days are computed each night from {HOUR_OF_NIGHT}:00 on." if is_on else "Nights compute nothing."
    flash(words, "good")
    return redirect(url_for("forest.nightly", study_number=study_number))
