"""Signing in and out (PORTAL-20 to PORTAL-26)."""

import time
from threading import BoundedSemaphore, Lock

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.crypto.passwords import RESEARCHER_SCHEME, hash_password, verify_password
from core.database import db
from core.models import Researcher
from core.models.researcher import researcher_by_username
from core.signing_in.failures import is_known_browser, is_locked, note_failure, note_success
from webapp.downtime import is_down
from webapp.portal.coverage import door_pattern
from webapp.portal.doors import portal, public
from webapp.portal.known_browsers import remember_browser, source_of
from webapp.portal.return_pages import return_page
from webapp.portal.sessions import begin_session, end_session, is_from_elsewhere, note_sign_in
from webapp.portal.wording import counted

# Verified where there is no such account, so that both answers take the same time (PORTAL-23). Matches nothing.
NO_ACCOUNT = "$".join((RESEARCHER_SCHEME[0], str(RESEARCHER_SCHEME[1]), "A" * 43 + "=", "A" * 22 + "=="))

_comparing = Lock()
_waiting = BoundedSemaphore(2)


@portal.get("/")
@public()
def sign_in() -> ResponseReturnValue:
    """The form; whoever is signed in goes on."""
    if g.researcher:
        return redirect(_page_after(g.researcher))
    return render_template("portal/sign_in.html", page=return_page(request.args.get("page")), pattern=door_pattern())


@portal.post("/validate_login")
@public(needs_token=False)
def validate_login() -> ResponseReturnValue:
    """Signs in and leads on; programs come here too, without a token (PORTAL-6). One answer to all that is wrong."""
    if is_from_elsewhere():
        abort(403)
    username = request.form.get("username", "")
    source = source_of(username)
    if is_locked(db.session(), username, source, g.now):
        return _refuse("Too many attempts failed for this name from here. Wait ten minutes, then try again.")
    researcher = _compared(source, username, request.form.get("password", ""))
    if researcher is None:
        seconds = note_failure(db.session(), username, source, g.now)
        db.session.commit()
        _put_off(seconds)
        return _refuse("User name and password do not match an account that can sign in.")
    untold = note_success(db.session(), username, source)
    page = _page_after(researcher)
    begin_session(researcher)
    note_sign_in(researcher)
    remember_browser(researcher)
    db.session.commit()
    if untold:
        flash(f"{counted(untold, 'attempt')} to sign in with your name failed since your last visit.", "warn")
    return redirect(page)


@portal.route("/logout", methods=["GET", "POST"])
@public()
def logout() -> ResponseReturnValue:
    """Signs out. A link from elsewhere only gets a page with a button (PORTAL-6)."""
    if g.researcher is None:
        return redirect(url_for("portal.sign_in"))
    if request.method == "POST" or request.headers.get("Sec-Fetch-Site") == "same-origin":
        end_session()
        db.session.commit()
        return redirect(url_for("portal.sign_in"))
    return render_template("portal/sign_out.html")


def _compared(source: str, username: str, password: str) -> Researcher | None:
    """The account if the password is right. Unknown browsers are compared one at a time: it takes a processor 0.1 s."""
    if is_known_browser(source):
        return researcher_with(username, password)
    with _comparing:
        return researcher_with(username, password)


def _refuse(why: str) -> ResponseReturnValue:
    flash(why, "bad")
    return redirect(url_for("portal.sign_in", page=return_page(request.form.get("referrer"))))


def _put_off(seconds: float) -> None:
    """Lets those who fail wait, two at a time: more would take the threads that serve pages."""
    if seconds and _waiting.acquire(blocking=False):
        try:
            time.sleep(seconds)
        finally:
            _waiting.release()


def _page_after(researcher: Researcher) -> str:
    """Where a sign-in leads: the page that was asked for; during downtime the switch, for those who may turn it."""
    if researcher.is_site_admin and is_down():
        return url_for("portal.downtime")
    return return_page(request.form.get("referrer"), researcher) or url_for("portal.choose_study")


def researcher_with(username: str, password: str) -> Researcher | None:
    """The account of that name if the password is right and it may sign in. Old hashes are renewed (PORTAL-21)."""
    researcher = researcher_by_username(db.session(), username)
    is_right = verify_password(password, researcher.password_hash if researcher else NO_ACCOUNT)
    if researcher is None or not is_right or researcher.is_disabled:
        return None
    if researcher.password_hash.split("$")[:2] != NO_ACCOUNT.split("$")[:2]:
        researcher.password_hash = hash_password(password)
    return researcher
