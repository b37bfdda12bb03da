"""One's own API keys (PORTAL-60, PORTAL-63, PERM-80)."""

from datetime import timedelta

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts.api_keys import LONGEST_NAME, create_api_key, disable_own_key
from core.audit import actor_of
from core.database import db
from core.models.researcher import studies_of
from webapp.portal.access.rules import requires
from webapp.portal.account.section import account
from webapp.portal.account.views import LIFETIMES, account_page


@account.post("/generate_api_key")
@requires(Capability.OWN_KEYS)
def generate_api_key() -> ResponseReturnValue:
    """Creates a key; this answer alone shows its secret."""
    form = request.form
    name, chosen, is_for_lists = (
        " ".join(form.get("readable_name", "").split()),
        form.get("only_study", ""),
        form.get("is_for_lists") == "true",
    )
    days = form.get("expires_after", "")
    typed = {"key_name": name, "key_study": chosen, "key_lists": is_for_lists, "key_days": days}
    if len(name) > LONGEST_NAME:
        return account_page(problems={"key": f"A name has up to {LONGEST_NAME} characters."}, typed=typed), 422
    study = next((study for study in studies_of(db.session(), g.researcher) if str(study.id) == chosen), None)
    if chosen and study is None:
        return account_page(problems={"key_study": "Choose one of your studies, or all."}, typed=typed), 422
    if days and days not in LIFETIMES:
        return account_page(problems={"key_days": "Choose how long the key works."}, typed=typed), 422
    access_key, secret_key = create_api_key(
        db.session(),
        g.researcher,
        name,
        only_study=study,
        is_for_lists=is_for_lists,
        expires_at=g.now + timedelta(days=int(days)) if days else None,
        actor=actor_of(g.researcher),
    )
    db.session.commit()
    return render_template("portal/account/new_key.html", name=name, access_key=access_key, secret_key=secret_key)


@account.post("/disable_api_key")
@requires(Capability.OWN_KEYS)
def disable_api_key() -> ResponseReturnValue:
    """Disables one of the person's own keys, at once."""
    key = disable_own_key(db.session(), g.researcher, request.form.get("api_key_id", ""), actor=actor_of(g.researcher))
    db.session.commit()
    if key is None:
        flash("No key of yours has this id.", "bad")
    else:
        flash(f"The key {key.name or key.access_key[:8]} is disabled.", "good")
    return redirect(url_for("account.page"))
