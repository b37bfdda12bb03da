"""Changing one's own password, and its strength as one types (PORTAL-40, PORTAL-61)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts import password_problem
from core.accounts.changing import set_password
from core.accounts.passwords import LONGEST_PASSWORD, STRENGTHS, password_rules, password_score
from core.accounts.requirements import Due
from core.audit import actor_of
from core.database import db
from webapp.portal.access.confirming import identity_problem
from webapp.portal.access.rules import requires
from webapp.portal.access.sessions import begin_session
from webapp.portal.account.forms import REQUIRED_FIELDS, PasswordForm
from webapp.portal.account.section import account
from webapp.portal.account.views import account_page


@account.post("/self_change_password")
@requires(Capability.OWN_PASSWORD, is_open_to_forced=True)
def change_password() -> ResponseReturnValue:
    """Sets a new password and ends all other sessions of this person. 400 if a field is missing."""
    if any(name not in request.form for name in REQUIRED_FIELDS):
        abort(400)
    form = PasswordForm(g.account_rule.least, is_forced=g.due is not None and g.due[0] is Due.PASSWORD)
    if not form.validate() or not _is_acceptable(form):
        return account_page(form), 422
    password = form.new_password.data
    set_password(db.session(), g.researcher, password, must_change=False, actor=actor_of(g.researcher))
    begin_session(g.researcher)
    db.session.commit()
    flash("Password changed. Everywhere else you are signed out.", "good")
    return redirect(url_for("account.page"))


@account.post("/password_strength")
@requires(Capability.OWN_PASSWORD, is_open_to_forced=True, is_polled=True)
def password_strength() -> ResponseReturnValue:
    """The rules that the typed password keeps, and its strength; a fragment that follows the typing."""
    password, username = request.form.get("new_password", "")[: LONGEST_PASSWORD + 1], g.researcher.username
    score = password_score(password, username) if password else 0
    rules = password_rules(password, g.account_rule.least, username)
    return render_template(
        "portal/account/_strength.html", rules=rules, score=score, strength=STRENGTHS[score], is_empty=not password
    )


def _is_acceptable(form: PasswordForm) -> bool:
    """Whether the new password may be set. Checks in the order of PORTAL-61; the first wrong field gets a message."""
    new = form.new_password.data
    if problem := identity_problem(form.current_password.data):
        form.refuse(form.current_password, problem)
    elif refusal := password_problem(new, g.account_rule.least, g.researcher.username):
        form.refuse(form.new_password, refusal)
    elif new == form.current_password.data:
        form.refuse(form.new_password, "This is your current password. Choose another.")
    elif new != form.confirm_new_password.data:
        form.refuse(form.confirm_new_password, "The two new passwords differ.")
    return form.is_right
