"""Sessions: signed cookies with an idle and an absolute limit, ended all at once by a new token (PORTAL-27, 29)."""

import hmac
import time
from datetime import UTC, datetime

from flask import Flask, g, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, UserMixin, login_user

from core.database import db
from core.models import Researcher
from webapp.stores import settings

STARTED = "started"

login_manager = LoginManager()
login_manager.session_protection = None  # telephones change their address; the token is what counts


class SignedIn(UserMixin):
    """A researcher as Flask-Login sees one."""

    def __init__(self, researcher: Researcher) -> None:
        self.researcher = researcher

    def get_id(self) -> str:
        return f"{self.researcher.id}.{self.researcher.session_token}"


class PortalSessions(SecureCookieSessionInterface):
    """Each page asked for starts the idle time afresh; what pages ask for by themselves, and other doors, do not."""

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        door = g.get("door")
        if door is not None and door.is_polled:
            return False
        return session.modified or (session.permanent and door is not None)


@login_manager.user_loader
def signed_in_researcher(user_id: str) -> SignedIn | None:
    """The researcher whose session this is, unless it is too old, was ended elsewhere, or the account is disabled."""
    number, _, token = user_id.partition(".")
    age_s = time.time() - session.get(STARTED, 0)
    if not number.isdecimal() or age_s > settings().session_max_hours * 3600:
        return None
    researcher = db.session.get(Researcher, int(number))
    if researcher is None or researcher.is_disabled or not hmac.compare_digest(researcher.session_token, token):
        return None
    return SignedIn(researcher)


def begin_session(researcher: Researcher) -> None:
    """A session with nothing in it of what came before (PORTAL-27); the caller commits."""
    session.clear()
    session.permanent = True
    session[STARTED] = int(time.time())
    login_user(SignedIn(researcher))
    g.researcher = researcher


def note_sign_in(researcher: Researcher) -> None:
    """The moment of the last sign-in, for lists of accounts."""
    researcher.last_login_at = datetime.now(UTC)


def is_from_elsewhere() -> bool:
    """Whether the browser says that another site made it send this request (PORTAL-6)."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host
