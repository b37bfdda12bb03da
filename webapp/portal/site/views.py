"""The downtime switch, for site administrators (OPS-30)."""

from flask import current_app, flash, g, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import SwitchName
from core.operations.switches import switch_of, turn_off, turn_on
from webapp.portal.access.rules import requires
from webapp.portal.frame.section import Section
from webapp.portal.site.forms import DowntimeForm

site = Section("site", __name__)


@site.get("/downtime")
@requires(Capability.DOWNTIME)
def downtime() -> ResponseReturnValue:
    """The page that shows whether downtime is on, with a button to change it."""
    return render_template("portal/site/downtime.html", switch=switch_of(db.session(), SwitchName.DOWNTIME))


@site.post("/set_downtime")
@requires(Capability.DOWNTIME)
def set_downtime() -> ResponseReturnValue:
    """Turns downtime on if the form contains `is_on`, else off."""
    if DowntimeForm().is_on.data:
        turn_on(db.session(), SwitchName.DOWNTIME, actor=actor_of(g.researcher))
        flash("Downtime is on. Every process knows within half a minute.", "warn")
    else:
        turn_off(db.session(), SwitchName.DOWNTIME, actor=actor_of(g.researcher))
        flash("Downtime is off. Everybody is served again within half a minute.", "good")
    db.session.commit()
    current_app.extensions["beiwe_downtime"].forget()
    return redirect(url_for("site.downtime"))
