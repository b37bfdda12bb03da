"""A researcher's own account (PORTAL-61)."""

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import InputRequired

from core.accounts import least_password, password_problem
from core.accounts.changing import set_password
from core.audit import actor_of
from core.crypto.passwords import verify_password
from core.database import db
from core.models.researcher import studies_of
from webapp.portal.doors import portal, signed_in
from webapp.portal.limits import limiter
from webapp.portal.sessions import begin_session

FIELDS = ("current_password", "new_password", "confirm_new_password")


class PasswordForm(FlaskForm):
    """A new password of one's own."""

    current_password = PasswordField("Current password", [InputRequired("Needed, so that nobody else changes it.")])
    new_password = PasswordField("New password", [InputRequired("A new password is needed.")])
    confirm_new_password = PasswordField("New password again", [InputRequired("Type it a second time.")])


@portal.get("/manage_credentials")
@signed_in(is_open_to_forced=True)
def manage_credentials() -> ResponseReturnValue:
    """The account's page."""
    return _page(PasswordForm())


@portal.post("/self_change_password")
@signed_in(is_open_to_forced=True)
@limiter.limit("20 per minute")
def self_change_password() -> ResponseReturnValue:
    """Sets a new password and ends every other session of this person; a missing field is 400."""
    if any(name not in request.form for name in FIELDS):
        abort(400)
    form = PasswordForm()
    if not form.validate() or not _is_acceptable(form):
        return _page(form), 422
    set_password(db.session(), g.researcher, form.new_password.data, must_change=False, actor=actor_of(g.researcher))
    begin_session(g.researcher)
    db.session.commit()
    flash("Password changed. Everywhere else you are signed out.", "good")
    return redirect(url_for("portal.manage_credentials"))


def _is_acceptable(form: PasswordForm) -> bool:
    """Checks in the order of PORTAL-61 and leaves one sentence at the first field that is wrong."""
    new = form.new_password.data
    if not verify_password(form.current_password.data, g.researcher.password_hash):
        form.current_password.errors = ["This is not your current password."]
    elif problem := password_problem(new, least_password(g.researcher)):
        form.new_password.errors = [problem]
    elif new == form.current_password.data:
        form.new_password.errors = ["This is your current password. Choose another."]
    elif new != form.confirm_new_password.data:
        form.confirm_new_password.errors = ["The two new passwords differ."]
    return not form.errors


def _page(form: PasswordForm) -> str:
    is_forced = g.researcher.must_change_password
    studies = [] if is_forced else studies_of(db.session(), g.researcher)
    return render_template(
        "portal/account.html", form=form, least=least_password(g.researcher), is_forced=is_forced, studies=studies
    )
