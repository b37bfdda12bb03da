"""Signing in and out (PORTAL-20 to PORTAL-26)."""

from flask import abort, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from core.crypto.passwords import RESEARCHER_SCHEME, hash_password, verify_password
from core.database import db
from core.models import Researcher
from core.models.researcher import researcher_by_username
from webapp.portal.coverage import door_pattern
from webapp.portal.doors import portal, public
from webapp.portal.limits import SIGN_INS_PER_ADDRESS, SIGN_INS_PER_NAME, limiter, name_tried
from webapp.portal.return_pages import return_page
from webapp.portal.sessions import begin_session, is_from_elsewhere, note_sign_in

# Verified where there is no such account, so that both answers take the same time (PORTAL-23). Matches nothing.
NO_ACCOUNT = "$".join((RESEARCHER_SCHEME[0], str(RESEARCHER_SCHEME[1]), "A" * 43 + "=", "A" * 22 + "=="))


@portal.get("/")
@public()
def sign_in() -> ResponseReturnValue:
    """The form; whoever is signed in goes on."""
    if g.researcher:
        return redirect(url_for("portal.choose_study"))
    return render_template("portal/sign_in.html", page=return_page(request.args.get("page")), pattern=door_pattern())


@portal.post("/validate_login")
@public(needs_token=False)
@limiter.limit(SIGN_INS_PER_ADDRESS)
@limiter.limit(SIGN_INS_PER_NAME, key_func=name_tried)
def validate_login() -> ResponseReturnValue:
    """Signs in and leads on; programs come here too, without a token (PORTAL-6). One answer to all that is wrong."""
    if is_from_elsewhere():
        abort(403)
    researcher = researcher_with(request.form.get("username", ""), request.form.get("password", ""))
    page = return_page(request.form.get("referrer"), researcher)
    if researcher is None:
        flash("User name and password do not match an account that can sign in.", "bad")
        return redirect(url_for("portal.sign_in", page=page))
    begin_session(researcher)
    note_sign_in(researcher)
    db.session.commit()
    return redirect(page or url_for("portal.choose_study"))


@portal.route("/logout", methods=["GET", "POST"])
@public()
def logout() -> ResponseReturnValue:
    """Signs out. A link from elsewhere only gets a page with a button (PORTAL-6)."""
    if g.researcher is None:
        return redirect(url_for("portal.sign_in"))
    if request.method == "POST" or request.headers.get("Sec-Fetch-Site") == "same-origin":
        session.clear()
        return redirect(url_for("portal.sign_in"))
    return render_template("portal/sign_out.html")


def researcher_with(username: str, password: str) -> Researcher | None:
    """The account of that name if the password is right and it may sign in. Old hashes are renewed (PORTAL-21)."""
    researcher = researcher_by_username(db.session(), username)
    is_right = verify_password(password, researcher.password_hash if researcher else NO_ACCOUNT)
    if researcher is None or not is_right or researcher.is_disabled:
        return None
    if researcher.password_hash.split("$")[:2] != NO_ACCOUNT.split("$")[:2]:
        researcher.password_hash = hash_password(password)
    return researcher
