"""Alerts of the site: its troubles, whom the server tells of them, and whether that arrived (CLAR-62)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import OutgoingMessage
from core.operations.alerts import newest_messages, newest_troubles
from core.operations.telling import tell_as_a_test
from core.outgoing.delivering import try_again
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import counted
from webapp.portal.site.views import site
from webapp.stores import settings


@site.get("/alerts")
@requires(Capability.PUSH_CREDENTIALS, is_return_page=True)
def alerts() -> ResponseReturnValue:
    """Troubles that last and that are over, whom the server tells, and the newest messages with their state."""
    of_site = settings()
    return render_template(
        "portal/site/alerts.html",
        troubles=newest_troubles(db.session()),
        messages=newest_messages(db.session()),
        administrators=of_site.administrators,
        has_mail=of_site.mail_url is not None,
        has_webhook=of_site.alert_url is not None,
        has_prefect=of_site.prefect_api_url is not None,
    )


@site.post("/alerts/test")
@requires(Capability.PUSH_CREDENTIALS)
def test_alert() -> ResponseReturnValue:
    """Sends a test to all who are told of troubles."""
    count = tell_as_a_test(db.session(), settings(), g.now, actor=actor_of(g.researcher))
    if count:
        flash(f"{counted(count, 'test')} on the way. Below you see whether they arrive.", "good")
    else:
        flash("Nobody is told of troubles: neither SYSADMIN_EMAILS nor ALERT_URL is set.", "warn")
    db.session.commit()
    return redirect(url_for("site.alerts"))


@site.post("/alerts/again")
@requires(Capability.PUSH_CREDENTIALS)
def send_again() -> ResponseReturnValue:
    """Tries a message again that was given up; its contents and id stay."""
    number = request.form.get("message", "")
    message = db.session.get(OutgoingMessage, int(number)) if number.isdecimal() and len(number) < 19 else None
    if message is None or message.study_id is not None:
        abort(404)
    try_again(db.session(), message, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash("It is tried again now.", "good")
    return redirect(url_for("site.alerts"))
