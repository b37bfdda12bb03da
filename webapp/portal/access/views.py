"""Signing in and out (PORTAL-20 to PORTAL-26)."""

import time
from threading import BoundedSemaphore, Lock

from flask import Response, abort, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability, decide
from core.accounts.activity import is_inactive
from core.accounts.failed_sign_ins import is_known_browser, is_locked, note_failure, note_success
from core.accounts.passkeys import options_to_prove
from core.accounts.second_factor import tidied_code
from core.audit.sign_ins import record_sign_in
from core.crypto.passwords import NO_PASSWORD, hash_password, verify_password
from core.database import db
from core.models import Researcher, SignInOutcome
from core.models.researcher import requester_of, researcher_by_username
from webapp.downtime import is_down
from webapp.portal.access.forms import SignInForm
from webapp.portal.access.known_browsers import remember_browser, source_of
from webapp.portal.access.return_pages import return_page
from webapp.portal.access.rules import public
from webapp.portal.access.second_factor import (
    Purpose,
    has_second_factor,
    passkey_site,
    remember_new_challenge,
    shown_factor,
)
from webapp.portal.access.sessions import begin_session, end_session, is_from_elsewhere, note_sign_in
from webapp.portal.access.sign_in_picture import invented_coverage
from webapp.portal.frame.section import Section
from webapp.portal.frame.wording import counted
from webapp.stores import settings

# Verified if the account does not exist, so that both cases take the same time (PORTAL-23).
NO_ACCOUNT = NO_PASSWORD

TYPED, MOST_TYPED = "typed_username", 64

access = Section("access", __name__)
_comparing = Lock()
_waiting = BoundedSemaphore(2)


@access.get("/")
@public()
def sign_in() -> ResponseReturnValue:
    """The sign-in page. Redirects people who are signed in already."""
    if g.researcher:
        return redirect(_page_after(g.researcher))
    form = SignInForm(username=session.pop(TYPED, ""), referrer=return_page(request.args.get("page")))
    return render_template("portal/access/sign_in.html", form=form, picture=invented_coverage())


@access.post("/validate_login")
@public(needs_token=False)
def validate_login() -> ResponseReturnValue:
    """Signs in and redirects; programs use it too, without a CSRF token (PORTAL-6).

    An unknown name, a wrong password, a missing or wrong code and a disabled account get the same answer (PORTAL-50).
    """
    if is_from_elsewhere():
        abort(403)
    form = SignInForm()
    username, code = form.username.data or "", (form.mfa_code.data or "").strip()
    source = source_of(username)
    if is_locked(db.session(), username, source, g.now):
        record_sign_in(db.session(), username, SignInOutcome.LOCKED)
        db.session.commit()
        return _refuse(form, "Too many attempts failed for this name from here. Wait ten minutes, then try again.")
    if code and tidied_code(code) is None:
        return _refuse(form, "A code is the six digits that your app shows, or one of your recovery codes.")
    researcher = _authenticated(source, username, form.password.data or "")
    has_factor = researcher is not None and has_second_factor(researcher)
    if researcher is None or (has_factor and not _shows_factor(researcher, code, form.passkey.data or "")):
        db.session.rollback()
        seconds = note_failure(db.session(), username, source, g.now)
        outcome = SignInOutcome.WRONG_FACTOR if researcher else SignInOutcome.WRONG_PASSWORD
        record_sign_in(db.session(), username, outcome)
        db.session.commit()
        _delay(seconds)
        return _refuse(form, "User name, password or code do not match an account that can sign in.")
    if is_inactive(researcher, g.now, settings().inactivity_lockout_days):
        db.session.rollback()
        record_sign_in(db.session(), username, SignInOutcome.INACTIVE)
        db.session.commit()
        return _refuse(form, "This account was not used for too long. Ask an administrator for a new password.")
    failures = note_success(db.session(), username, source)
    page = _page_after(researcher, form.referrer.data)
    begin_session(researcher)
    note_sign_in(researcher)
    record_sign_in(db.session(), username, SignInOutcome.SIGNED_IN)
    remember_browser(researcher)
    db.session.commit()
    if code and not has_factor:
        flash("No code is needed: this account has no second factor.", "warn")
    if failures:
        flash(f"{counted(failures, 'attempt')} to sign in with your name failed since your last visit.", "warn")
    return redirect(page)


@access.post("/passkey_challenge")
@public()
def passkey_challenge() -> ResponseReturnValue:
    """What the browser needs to show a passkey, as JSON; it names no account."""
    if is_from_elsewhere():
        abort(403)
    options = options_to_prove(passkey_site(), remember_new_challenge(Purpose.PROVE))
    return Response(options, content_type="application/json")


@access.route("/logout", methods=["GET", "POST"])
@public()
def sign_out() -> ResponseReturnValue:
    """Signs out. A link from another site only opens a page with a button (PORTAL-6)."""
    if g.researcher is None:
        return redirect(url_for("access.sign_in"))
    if request.method == "POST" or request.headers.get("Sec-Fetch-Site") == "same-origin":
        record_sign_in(db.session(), g.researcher.username, SignInOutcome.SIGNED_OUT)
        end_session()
        db.session.commit()
        return redirect(url_for("access.sign_in"))
    return render_template("portal/access/sign_out.html")


def _authenticated(source: str, username: str, password: str) -> Researcher | None:
    """The account if the password is right and it may sign in.

    Hashing takes 0.1 s of processor time, so attempts from unknown browsers are checked one at a time.
    """
    if is_known_browser(source):
        return researcher_with(username, password)
    with _comparing:
        return researcher_with(username, password)


def _shows_factor(researcher: Researcher, code: str, passkey_answer: str) -> bool:
    """Whether the second factor is right and was still good; it is used up with the commit of the whole sign-in."""
    proof = shown_factor(researcher, code, passkey_answer, g.now)
    return proof is not None and proof.use(db.session(), g.now)


def _refuse(form: SignInForm, why: str) -> ResponseReturnValue:
    """Redirects back to the form, which keeps the typed name and shows the reason."""
    session[TYPED] = (form.username.data or "")[:MOST_TYPED]
    flash(why, "bad")
    return redirect(url_for("access.sign_in", page=return_page(form.referrer.data)))


def _delay(seconds: float) -> None:
    """Delays a failed attempt, but at most two at a time: more would block the threads that serve pages."""
    if seconds and _waiting.acquire(blocking=False):
        try:
            time.sleep(seconds)
        finally:
            _waiting.release()


def _page_after(researcher: Researcher, asked_for: str | None = None) -> str:
    """The address after signing in: the requested page, else the one last visited, else the studies (PORTAL-25).

    During downtime it is the downtime page for people who may end it.
    """
    if is_down() and decide(requester_of(db.session(), researcher), Capability.DOWNTIME).is_allowed:
        return url_for("site.downtime")
    remembered = return_page(asked_for, researcher) or return_page(researcher.last_page, researcher)
    return remembered or url_for("studies.choose")


def researcher_with(username: str, password: str) -> Researcher | None:
    """The account of that name if the password is right and it is not disabled. Renews old hashes (PORTAL-21)."""
    researcher = researcher_by_username(db.session(), username)
    stored = researcher.password_hash if researcher else NO_ACCOUNT
    is_right, is_old = verify_password(password, stored), stored.split("$")[:2] != NO_ACCOUNT.split("$")[:2]
    if is_old and not is_right:
        verify_password(password, NO_ACCOUNT)  # an old hash is quick: without this, the time would tell of the name
    if researcher is None or not is_right or researcher.is_disabled:
        return None
    if is_old:
        researcher.password_hash = hash_password(password)
    return researcher
