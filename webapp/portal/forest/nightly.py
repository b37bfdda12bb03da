"""What the nightly analyses of a study did, and their switch (CLAR-81)."""

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.forest.night_report import MOST_MISSING, day_by_tree, last_day, recent_nights
from core.forest.nightly import HOUR_OF_NIGHT, changed_days
from core.studies.changing import set_nightly_forest
from webapp.portal.access.rules import requires
from webapp.portal.forest.section import forest, require_forest
from webapp.portal.forest.wording import MISSING, STATES, TREES
from webapp.stores import settings

PATH = "/studies/<number:study_number>/forest/nightly"


@forest.get(PATH)
@requires(Capability.FOREST_LOG)
def nightly(study_number: int) -> ResponseReturnValue:
    """What the last two weeks of nights did, and what is missing of the last day; with `coming`, what comes next.

    That reads the registry of all chunks, so it is asked for by itself.
    """
    require_forest()
    is_asked = "coming" in request.args
    waiting = changed_days(db.session(), g.study, g.now, settings().forest_window_days) if is_asked else []
    by_tree = {
        tree: (len(of_tree), sum(len(one.days) for one in of_tree))
        for tree in TREES
        if (of_tree := [one for one in waiting if one.tree.value == tree])
    }
    day = last_day(db.session(), g.study)
    return render_template(
        "portal/forest/nightly.html",
        day=day,
        of_day=day_by_tree(db.session(), g.study, day) if day else {},
        reasons=MISSING,
        most=MOST_MISSING,
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
