"""Sessions of the portal: the cookie holds a token, the database the session (PORTAL-27, PORTAL-29)."""

from datetime import UTC, datetime, timedelta

from flask import Flask, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, UserMixin, login_user, logout_user

from core.accounts import sessions
from core.accounts.sessions import SeenFrom, SessionLimits
from core.audit.browsers import browser_in_words
from core.database import db
from core.models import PortalSession, Researcher
from webapp.stores import settings

login_manager = LoginManager()
login_manager.session_protection = None  # it compares addresses, and a phone's address changes


class SignedIn(UserMixin):
    """A researcher's session, as Flask-Login's user object. `kept` is its row in the database."""

    def __init__(self, token: str, researcher: Researcher, kept: PortalSession | None = None) -> None:
        self.token = token
        self.researcher = researcher
        self.kept = kept

    def get_id(self) -> str:
        return self.token

    def seconds_left(self, now: datetime) -> dict[str, int]:
        """How long the session lasts without a further request (`idle`), and at most (`most`), in whole seconds."""
        if self.kept is None:
            return {"idle": 0, "most": 0}
        limits = session_limits()
        idle, most = self.kept.seen_at + limits.idle - now, self.kept.started_at + limits.most - now
        return {"idle": max(0, int(min(idle, most).total_seconds())), "most": max(0, int(most.total_seconds()))}


HOST_PREFIX = "__Host-"


def is_cookie_secure() -> bool:
    """Whether this request's cookies are for HTTPS and this host alone: over HTTPS and in production (CLAR-6)."""
    return bool(current_app.config["SESSION_COOKIE_SECURE"]) or request.is_secure


def cookie_name(name: str) -> str:
    """The name as this request's cookie has it. Browsers accept `__Host-` only over HTTPS and only from this host."""
    return f"{HOST_PREFIX}{name}" if is_cookie_secure() else name


class PortalSessions(SecureCookieSessionInterface):
    """Renews the cookie's idle time with each page of the portal, except polled fragments."""

    def get_cookie_name(self, app: Flask) -> str:
        return cookie_name(super().get_cookie_name(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        return is_cookie_secure()

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        rule = g.get("access_rule")
        if rule is not None and rule.is_polled:
            return False
        return session.modified or (session.permanent and rule is not None)


def session_limits() -> SessionLimits:
    """The configured limits of a session: idle time and total length."""
    return SessionLimits(
        idle=timedelta(minutes=settings().session_idle_minutes), most=timedelta(hours=settings().session_max_hours)
    )


def signed_in_researcher(token: str) -> SignedIn | None:
    """The session with this token. None if it is too old or was ended, or if the account is disabled."""
    kept = sessions.session_of(db.session(), token, datetime.now(UTC), session_limits())
    return SignedIn(token, kept.researcher, kept) if kept else None


login_manager.user_loader(signed_in_researcher)


def note_page(signed_in: SignedIn, now: datetime) -> None:
    """Restarts the idle time of the session. Writes and commits at most once a minute."""
    if signed_in.kept and sessions.note_seen(db.session(), signed_in.kept, now):
        db.session.commit()


def begin_session(researcher: Researcher) -> None:
    """Signs the researcher in with a new, empty session under a new token (PORTAL-27). The caller commits."""
    end_session()
    session.permanent = True
    seen = SeenFrom(request.remote_addr or "", browser_in_words(request.headers.get("User-Agent")))
    token = sessions.begin_session(db.session(), researcher, datetime.now(UTC), session_limits(), seen)
    login_user(SignedIn(token, researcher))
    g.researcher = researcher


def end_session() -> None:
    """Signs out: deletes the session on the server, so that copies of its cookie stop working. The caller commits."""
    if token := session.get("_user_id"):
        sessions.end_session(db.session(), str(token))
    logout_user()
    session.clear()


def note_sign_in(researcher: Researcher) -> None:
    """Stores the time of the last sign-in, for lists of accounts. The caller commits."""
    researcher.last_login_at = datetime.now(UTC)


def is_from_elsewhere() -> bool:
    """Whether, by the browser's headers, another site caused this request (PORTAL-6)."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host
