"""The list of webhooks, and making and changing one (CLAR-75)."""

from collections.abc import Mapping
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.crypto.secrets import SecretUnreadable
from core.database import db
from core.models import Webhook
from core.surveys.listing import survey_lines
from core.webhooks.listing import webhook_of, webhooks_of
from core.webhooks.managing import AddressRules, WebhookForm, WebhookRefused, replace_key, save_webhook
from webapp.portal.access.rules import requires
from webapp.portal.webhooks.section import webhooks
from webapp.portal.webhooks.wording import EVENTS
from webapp.stores import settings

OF = "/view_study/<number:study_number>/webhooks"
ONE = f"{OF}/<number:webhook_number>"


@webhooks.get(OF, endpoint="list")
@requires(Capability.WEBHOOK_MANAGE, is_return_page=True)
def webhook_list(study_number: int) -> ResponseReturnValue:
    """The study's webhooks with their state."""
    return render_template("portal/webhooks/list.html", lines=webhooks_of(db.session(), g.study), events=EVENTS)


@webhooks.get(f"{OF}/new")
@requires(Capability.WEBHOOK_MANAGE)
def new_webhook(study_number: int) -> ResponseReturnValue:
    """The form of a new webhook."""
    return _form_page(None)


@webhooks.post(f"{OF}/new")
@requires(Capability.WEBHOOK_MANAGE)
def make_webhook(study_number: int) -> ResponseReturnValue:
    """Makes a webhook; this answer alone shows its key."""
    return _save(None)


@webhooks.get(f"{ONE}/change", endpoint="form")
@requires(Capability.WEBHOOK_MANAGE)
def webhook_form(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """The form of a webhook."""
    return _form_page(webhook_or_404(webhook_number))


@webhooks.post(f"{ONE}/change")
@requires(Capability.WEBHOOK_MANAGE)
def change_webhook(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """Changes a webhook; what waits goes to its new address."""
    return _save(webhook_or_404(webhook_number))


@webhooks.post(f"{ONE}/key")
@requires(Capability.WEBHOOK_MANAGE)
def new_key(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """Replaces the key; this answer alone shows the new one."""
    webhook = webhook_or_404(webhook_number)
    key = replace_key(db.session(), g.study, webhook, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    return render_template("portal/webhooks/key.html", webhook=webhook, key=key, is_new=False)


def webhook_or_404(number: int) -> Webhook:
    """The webhook of the page's study, or 404."""
    webhook = webhook_of(db.session(), g.study, number)
    if webhook is None:
        abort(404)
    return webhook


def _save(webhook: Webhook | None) -> ResponseReturnValue:
    of_server = settings()
    rules = AddressRules(of_server.is_production, of_server.webhooks_to_private_addresses)
    actor = actor_of(g.researcher)
    try:
        saved = save_webhook(
            db.session(), g.study, _wanted(request.form), g.now, webhook=webhook, rules=rules, actor=actor
        )
        db.session.commit()
    except WebhookRefused as refused:
        db.session.rollback()
        return _form_page(webhook, refused)
    if webhook is None:
        return render_template("portal/webhooks/key.html", webhook=saved, key=saved.signing_key, is_new=True)
    flash("The webhook was saved.", "good")
    return redirect(url_for("webhooks.log", study_number=g.study.id, webhook_number=saved.id))


def _wanted(form: Mapping[str, str]) -> WebhookForm:
    """The form as a webhook; hours that cannot be read count as missing, an empty field as 48."""
    hours = form.get("silent_after_hours", "").strip()
    return WebhookForm(
        form.get("name", ""),
        form.get("address", ""),
        request.form.getlist("events"),
        [int(number) for number in request.form.getlist("survey_ids") if number.isdecimal() and len(number) < 19],
        (int(hours) if hours.isdecimal() and len(hours) < 9 else None) if hours else 48,
    )


def _form_page(webhook: Webhook | None, refused: WebhookRefused | None = None) -> ResponseReturnValue:
    page = render_template(
        "portal/webhooks/form.html",
        webhook=webhook,
        events=EVENTS,
        surveys=[line.survey for line in survey_lines(db.session(), g.study.id)],
        refused=refused,
        values=_values(webhook, refused),
    )
    return page, 422 if refused else 200


def _values(webhook: Webhook | None, refused: WebhookRefused | None) -> dict[str, Any]:
    """What the fields show: what was typed, or what is stored, or the defaults of a new webhook."""
    if refused:
        typed = request.form
        return {**typed.to_dict(), "events": typed.getlist("events"), "survey_ids": typed.getlist("survey_ids")}
    if webhook is None:
        return {"name": "", "address": "", "events": [], "survey_ids": [], "silent_after_hours": 48}
    try:
        address = webhook.address
    except SecretUnreadable:
        address = ""
    return {
        "name": webhook.name,
        "address": address,
        "events": webhook.events,
        "survey_ids": [str(number) for number in webhook.survey_ids],
        "silent_after_hours": webhook.silent_after_hours,
    }
