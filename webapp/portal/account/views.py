"""A researcher's own account (PORTAL-61)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts import password_problem
from core.accounts.changing import set_password
from core.audit import actor_of
from core.crypto.passwords import verify_password
from core.database import db
from core.models.researcher import studies_of
from webapp.portal.access.limits import limiter
from webapp.portal.access.rules import requires
from webapp.portal.access.sessions import begin_session
from webapp.portal.account.forms import REQUIRED_FIELDS, PasswordForm
from webapp.portal.frame.section import Section

account = Section("account", __name__)


@account.get("/manage_credentials")
@requires(Capability.OWN_PASSWORD, is_open_to_forced=True)
def page() -> ResponseReturnValue:
    """The page of the researcher's own account."""
    return _page(_form())


@account.post("/self_change_password")
@requires(Capability.OWN_PASSWORD, is_open_to_forced=True)
@limiter.limit("20 per minute")
def change_password() -> ResponseReturnValue:
    """Sets a new password and ends all other sessions of this person. 400 if a field is missing."""
    if any(name not in request.form for name in REQUIRED_FIELDS):
        abort(400)
    form = _form()
    if not form.validate() or not _is_acceptable(form):
        return _page(form), 422
    password = form.new_password.data
    set_password(db.session(), g.researcher, password, must_change=False, actor=actor_of(g.researcher))
    begin_session(g.researcher)
    db.session.commit()
    flash("Password changed. Everywhere else you are signed out.", "good")
    return redirect(url_for("account.page"))


def _is_acceptable(form: PasswordForm) -> bool:
    """Whether the new password may be set. Checks in the order of PORTAL-61; the first wrong field gets a message."""
    new = form.new_password.data
    if not verify_password(form.current_password.data, g.researcher.password_hash):
        form.refuse(form.current_password, "This is not your current password.")
    elif problem := password_problem(new, g.password_rule.least):
        form.refuse(form.new_password, problem)
    elif new == form.current_password.data:
        form.refuse(form.new_password, "This is your current password. Choose another.")
    elif new != form.confirm_new_password.data:
        form.refuse(form.confirm_new_password, "The two new passwords differ.")
    return form.is_right


def _form() -> PasswordForm:
    return PasswordForm(g.password_rule.least, is_forced=bool(g.why_new_password))


def _page(form: PasswordForm) -> str:
    is_forced = bool(g.why_new_password)
    studies = [] if is_forced else studies_of(db.session(), g.researcher)
    return render_template(
        "portal/account/account.html",
        form=form,
        least=g.password_rule.least,
        is_forced=is_forced,
        studies=studies,
    )
