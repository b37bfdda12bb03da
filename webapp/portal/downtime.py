"""The switch for downtime, for site administrators (OPS-30)."""

from flask import current_app, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.audit import actor_of
from core.database import db
from core.models import SwitchName
from core.switches import switch_of, turn_off, turn_on
from webapp.portal.doors import for_site_admins, portal


@portal.get("/downtime")
@for_site_admins()
def downtime() -> ResponseReturnValue:
    """Whether it is on, and a button."""
    return render_template("portal/downtime.html", switch=switch_of(db.session(), SwitchName.DOWNTIME))


@portal.post("/set_downtime")
@for_site_admins()
def set_downtime() -> ResponseReturnValue:
    """Turns it on with `is_on`, off without."""
    if request.form.get("is_on"):
        turn_on(db.session(), SwitchName.DOWNTIME, actor=actor_of(g.researcher))
        flash("Downtime is on. Every process knows within half a minute.", "warn")
    else:
        turn_off(db.session(), SwitchName.DOWNTIME, actor=actor_of(g.researcher))
        flash("Downtime is off. Everybody is served again within half a minute.", "good")
    db.session.commit()
    current_app.extensions["beiwe_downtime"].forget()
    return redirect(url_for("portal.downtime"))
