"""One's own second factor: authenticator app, recovery codes, passkeys (PORTAL-50 to PORTAL-55)."""

from flask import Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from core.access import Capability
from core.accounts.passkeys import (
    PasskeyRefused,
    add_passkey,
    checked_name,
    options_to_add,
    passkeys_of,
    remove_passkey,
)
from core.accounts.second_factor import (
    begin_totp,
    confirm_totp,
    pending_secret,
    remove_totp,
    renew_recovery_codes,
)
from core.accounts.sessions import end_sessions_of
from core.audit import actor_of
from core.database import db
from webapp.portal.access.confirming import LOCKED, identity_problem, is_code_right
from webapp.portal.access.rules import requires
from webapp.portal.access.second_factor import Purpose, passkey_site, remember_new_challenge, take_challenge
from webapp.portal.access.sessions import begin_session
from webapp.portal.account.section import account
from webapp.portal.account.views import account_page

REQUIRED = "Your account must have a second factor. Set up another one first."


@account.post("/self_reset_mfa")
@requires(Capability.OWN_MFA, is_open_to_forced=True)
def self_reset_mfa() -> ResponseReturnValue:
    """Sets the app up in two steps, the password and then its first code; with `disable`, removes it (PORTAL-54).

    Accounts with a second factor show it too, so that the password alone is not enough to replace the app.
    """
    form = request.form
    if "disable" in form:
        return _remove_app()
    if "mfa_code" in form and "mfa_password" not in form:
        return _confirm_app(form["mfa_code"])
    if problem := identity_problem(form.get("mfa_password", ""), with_factor=True):
        return account_page(problems={"app": problem}), 422
    secret = begin_totp(g.researcher, g.now)
    db.session.commit()
    return account_page(new_secret=secret)


def _confirm_app(code: str) -> ResponseReturnValue:
    secret = pending_secret(g.researcher, g.now)
    if secret is None:
        return account_page(problems={"app": "Ten minutes have passed. Start again."}), 422
    if not confirm_totp(db.session(), g.researcher, code, g.now, actor=actor_of(g.researcher)):
        return account_page(
            new_secret=secret, problems={"code": "This is not the code that the app shows now. Check its clock."}
        ), 422
    return _show_new_codes("Your authenticator app is set up.")


def _remove_app() -> ResponseReturnValue:
    if g.account_rule.needs_second_factor and not passkeys_of(db.session(), g.researcher):
        return account_page(problems={"remove": REQUIRED}), 422
    if problem := identity_problem(request.form.get("mfa_password", ""), with_factor=True):
        return account_page(problems={"remove": problem}), 422
    remove_totp(db.session(), g.researcher, actor=actor_of(g.researcher))
    _renew_session()
    flash("The authenticator app is removed. Sign-in asks for no code of it any more.", "good")
    return redirect(url_for("account.page"))


@account.post("/test_mfa")
@requires(Capability.OWN_MFA)
def test_mfa() -> ResponseReturnValue:
    """Says whether a code of the app is right now, without using it up (PORTAL-55). Wrong ones are counted."""
    code = request.form.get("mfa_code", "").strip()
    if g.researcher.totp_enabled_at is None:
        told = "No authenticator app is set up."
    elif not code:
        told = "Type a code."
    elif not (code.isascii() and code.isdecimal()):
        told = "A code has digits only."
    elif len(code) != 6:
        told = "A code has six digits."
    elif (is_right := is_code_right(code)) is None:
        told = LOCKED
    elif not is_right:
        told = "This code is wrong, or was used already."
    else:
        flash("This code is right.", "good")
        return redirect(url_for("account.page"))
    return account_page(problems={"test": told}), 422


@account.post("/renew_recovery_codes")
@requires(Capability.OWN_MFA)
def new_recovery_codes() -> ResponseReturnValue:
    """Replaces the recovery codes, once password and second factor were shown; the answer shows them once."""
    if not g.account_rule.has_second_factor:
        return account_page(problems={"codes": "Recovery codes stand in for a second factor. Set one up first."}), 422
    if problem := identity_problem(request.form.get("password", ""), with_factor=True):
        return account_page(problems={"codes": problem}), 422
    return _show_new_codes("The old recovery codes are void.")


@account.post("/passkey_options")
@requires(Capability.OWN_MFA, is_open_to_forced=True)
def passkey_options() -> ResponseReturnValue:
    """What the browser needs to make a passkey, as JSON, once the person was confirmed; else the error, as text."""
    try:
        checked_name(request.form.get("name", ""))
        if problem := identity_problem(request.form.get("password", ""), with_factor=True):
            return Response(problem, 422, content_type="text/plain; charset=utf-8")
        options = options_to_add(db.session(), g.researcher, passkey_site(), remember_new_challenge(Purpose.ADD))
    except PasskeyRefused as refused:
        return Response(str(refused), 422, content_type="text/plain; charset=utf-8")
    db.session.commit()
    return Response(options, content_type="application/json")


@account.post("/add_passkey", endpoint="add_passkey")
@requires(Capability.OWN_MFA, is_open_to_forced=True)
def add() -> ResponseReturnValue:
    """Adds the passkey that the browser made for the challenge; the first factor brings recovery codes."""
    challenge, form = take_challenge(Purpose.ADD), request.form
    if challenge is None:
        return account_page(problems={"passkey": "Five minutes have passed. Start again."}), 422
    try:
        add_passkey(
            db.session(),
            g.researcher,
            form.get("name", ""),
            form.get("passkey", ""),
            challenge,
            passkey_site(),
            actor=actor_of(g.researcher),
        )
    except PasskeyRefused as refused:
        return account_page(problems={"passkey": str(refused)}), 422
    if not g.account_rule.has_second_factor:
        return _show_new_codes("The passkey was added. Sign-in asks for it from now on.")
    _renew_session()
    flash("The passkey was added.", "good")
    return redirect(url_for("account.page"))


@account.post("/remove_passkey", endpoint="remove_passkey")
@requires(Capability.OWN_MFA)
def remove() -> ResponseReturnValue:
    """Removes a passkey once password and second factor were shown; not the last factor that somebody must have."""
    number = request.form.get("passkey_id", "")
    is_last = g.researcher.totp_enabled_at is None and len(passkeys_of(db.session(), g.researcher)) == 1
    if is_last and g.account_rule.needs_second_factor:
        return account_page(problems={"passkey": REQUIRED}), 422
    if problem := identity_problem(request.form.get("password", ""), with_factor=True):
        return account_page(problems={"passkey": problem}), 422
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    if not is_number or not remove_passkey(db.session(), g.researcher, int(number), actor=actor_of(g.researcher)):
        return account_page(problems={"passkey": "This passkey is not there any more."}), 422
    _renew_session()
    flash("The passkey was removed.", "good")
    return redirect(url_for("account.page"))


def _show_new_codes(told: str) -> ResponseReturnValue:
    """Replaces the recovery codes and shows the new ones in this answer alone (PORTAL-54)."""
    codes = renew_recovery_codes(db.session(), g.researcher, actor=actor_of(g.researcher))
    _renew_session()
    return render_template("portal/account/recovery_codes.html", codes=codes, told=told)


def _renew_session() -> None:
    """Ends the person's other sessions and gives this one a new id (PORTAL-29). Commits."""
    end_sessions_of(db.session(), g.researcher, actor=actor_of(g.researcher), but=current_user.kept.id)
    begin_session(g.researcher)
    db.session.commit()
