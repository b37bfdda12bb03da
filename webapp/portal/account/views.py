"""The page of a researcher's own account (PORTAL-60 to PORTAL-63)."""

from collections.abc import Mapping
from typing import Any

import segno
from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup

from core.access import Capability
from core.accounts.api_keys import active_keys_of
from core.accounts.mail_address import MailAddressRefused, set_mail_address
from core.accounts.passkeys import passkeys_of
from core.accounts.requirements import Due
from core.accounts.second_factor import provisioning_uri, recovery_codes_left
from core.accounts.sessions import sessions_of
from core.audit import actor_of
from core.audit.sign_ins import recent_sign_ins
from core.database import db
from core.models.researcher import Appearance, studies_of
from webapp.portal.access.confirming import identity_problem
from webapp.portal.access.rules import requires
from webapp.portal.access.sessions import session_limits
from webapp.portal.account.forms import PasswordForm
from webapp.portal.account.section import account
from webapp.portal.frame.sign_in_words import outcome_in_words
from webapp.stores import settings

SIGN_INS_SHOWN = 8
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "a year", "730": "two years"}  # of a key, by days


@account.get("/manage_credentials")
@requires(Capability.OWN_PASSWORD, is_open_to_forced=True)
def page() -> ResponseReturnValue:
    """The page of the researcher's own account."""
    return account_page()


@account.post("/manage_credentials", endpoint="show_app_secret")
@requires(Capability.OWN_PASSWORD, is_open_to_forced=True)
def show_app_secret() -> ResponseReturnValue:
    """Shows the secret of the authenticator app again, once the password was typed (PORTAL-52)."""
    if problem := identity_problem(request.form.get("view_mfa_password", "")):
        return account_page(problems={"view": problem}), 422
    secret = g.researcher.totp_secret
    return account_page(shown_secret=secret) if secret else redirect(url_for("account.page"))


@account.post("/set_appearance")
@requires(Capability.OWN_PASSWORD)
def set_appearance() -> ResponseReturnValue:
    """Sets the colours of this person's pages."""
    chosen = request.form.get("appearance", "")
    if chosen in set(Appearance):
        g.researcher.appearance = chosen
        db.session.commit()
        flash("Your pages have these colours from now on.", "good")
    return redirect(url_for("account.page"))


@account.post("/set_mail_address", endpoint="set_mail_address")
@requires(Capability.OWN_PASSWORD)
def change_mail_address() -> ResponseReturnValue:
    """Sets where this person's alerts are sent."""
    address = request.form.get("mail_address", "")
    try:
        set_mail_address(db.session(), g.researcher, address, actor=actor_of(g.researcher))
    except MailAddressRefused as refused:
        return account_page(problems={"mail_address": str(refused)}, typed={"mail_address": address}), 422
    db.session.commit()
    flash("Alerts are sent there from now on." if address.strip() else "No alert is mailed to you any more.", "good")
    return redirect(url_for("account.page"))


def account_page(
    form: PasswordForm | None = None,
    *,
    problems: dict[str, str] | None = None,
    shown_secret: str | None = None,
    new_secret: str | None = None,
    typed: Mapping[str, Any] | None = None,
) -> str:
    """The page with what is to be shown in it: errors by form, and secrets that no later page shows.

    `shown_secret` is the app's secret in use, `new_secret` one that waits for its first code (both base32). `typed`
    holds what was typed into the form of a new key.
    """
    due = g.due[0] if g.due else None
    values: dict[str, Any] = {}
    if due is not Due.PASSWORD:
        values = {
            "passkeys": passkeys_of(db.session(), g.researcher),
            "codes_left": recovery_codes_left(db.session(), g.researcher),
        }
    if due is None:
        studies = studies_of(db.session(), g.researcher)
        values |= {
            "studies": studies,
            "study_names": {study.id: study.name for study in studies},
            "lifetimes": LIFETIMES,
            "keys": active_keys_of(db.session(), g.researcher),
            "sessions": sessions_of(db.session(), g.researcher, g.now, session_limits()),
            "this_session": current_user.kept.id if current_user.kept else None,
            "sign_ins": recent_sign_ins(db.session(), g.researcher, SIGN_INS_SHOWN),
            "outcome_in_words": outcome_in_words,
        }
    return render_template(
        "portal/account/account.html",
        form=form or PasswordForm(g.account_rule.least, is_forced=due is Due.PASSWORD),
        rule=g.account_rule,
        due=due,
        problems=problems or {},
        new_secret=new_secret,
        new_code=_qr_code(new_secret) if new_secret else None,
        shown_secret=shown_secret,
        shown_code=_qr_code(shown_secret) if shown_secret else None,
        typed=typed or {},
        has_mail=settings().mail_url is not None,
        **values,
    )


def _qr_code(secret: str) -> Markup:
    uri = provisioning_uri(secret, g.researcher.username, settings().domain_name)
    return Markup(segno.make(uri, micro=False).svg_inline(scale=4))
