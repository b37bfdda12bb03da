"""One's own sessions: where one is signed in, and signing out there (PORTAL-63)."""

from flask import flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from core.access import Capability
from core.accounts.sessions import end_sessions_of
from core.audit import actor_of
from core.database import db
from webapp.portal.access.rules import requires
from webapp.portal.account.section import account
from webapp.portal.frame.wording import counted


@account.post("/end_sessions")
@requires(Capability.OWN_SESSIONS)
def end_sessions() -> ResponseReturnValue:
    """Ends one session by its number, or all but this one."""
    number = request.form.get("session_id", "")
    kept, actor = current_user.kept.id, actor_of(g.researcher)
    if number:
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        ended = end_sessions_of(db.session(), g.researcher, actor=actor, only=int(number)) if is_number else 0
    else:
        ended = end_sessions_of(db.session(), g.researcher, actor=actor, but=kept)
    db.session.commit()
    flash(f"{counted(ended, 'session')} ended." if ended else "That session had ended already.", "good")
    return redirect(url_for("account.page"))


@account.post("/stay_signed_in")
@requires(Capability.OWN_SESSIONS, is_open_to_forced=True)
def stay() -> ResponseReturnValue:
    """Restarts the idle time of this session, as every page does; for pages on which somebody types for long."""
    return session_left()


@account.get("/session_left")
@requires(Capability.OWN_SESSIONS, is_open_to_forced=True, is_polled=True)
def left() -> ResponseReturnValue:
    """The seconds that this session lasts without a further request, and at most; does not extend it (PORTAL-27)."""
    return session_left()


def session_left() -> ResponseReturnValue:
    """The two numbers as JSON."""
    left: dict[str, int] = current_user.seconds_left(g.now)
    return left
