"""One webhook: its log, a test, switching it, and sending messages again (CLAR-75)."""

import json
from collections.abc import Mapping
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.webhooks.listing import (
    MessageState,
    given_up_count,
    host_of,
    message_of_webhook,
    messages_of,
)
from core.webhooks.managing import delete_webhook, send_again, send_failed_again, send_test, switch_off, switch_on
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import counted
from webapp.portal.webhooks.section import webhooks
from webapp.portal.webhooks.views import ONE, webhook_or_404
from webapp.portal.webhooks.wording import EVENTS, STATES

ORDER = ("id", "type", "timestamp", "study_id", "data")


@webhooks.get(ONE)
@requires(Capability.WEBHOOK_MANAGE, is_return_page=True)
def log(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """The messages of one state or of all, newest first, and what can be done with the webhook."""
    webhook, session = webhook_or_404(webhook_number), db.session()
    named = request.args.get("state", "")
    state = MessageState(named) if named in set(MessageState) else None
    before = request.args.get("before", "")
    messages, has_older = messages_of(session, webhook, state, before=int(before) if _is_number(before) else None)
    return render_template(
        "portal/webhooks/log.html",
        webhook=webhook,
        host=host_of(webhook),
        events=EVENTS,
        states=STATES,
        state=state,
        messages=messages,
        as_text=_as_text,
        given_up=given_up_count(session, webhook),
        older=messages[-1].id if has_older else None,
        is_first=not before,
    )


@webhooks.post(f"{ONE}/test")
@requires(Capability.WEBHOOK_MANAGE)
def test(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """Sends a test."""
    send_test(db.session(), g.study, webhook_or_404(webhook_number), g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash("A test is on the way. The log shows whether it arrives; load the page again in a few seconds.", "good")
    return _back(webhook_number)


@webhooks.post(f"{ONE}/switch")
@requires(Capability.WEBHOOK_MANAGE)
def switch(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """Switches it on or off."""
    webhook, actor = webhook_or_404(webhook_number), actor_of(g.researcher)
    if request.form.get("wanted") == "on":
        switch_on(db.session(), g.study, webhook, g.now, actor=actor)
        flash("The webhook is on. It is told of what happens from now on.", "good")
    else:
        switch_off(db.session(), g.study, webhook, g.now, actor=actor)
        flash("The webhook is off. What waited was given up, and can be sent again later.", "good")
    db.session.commit()
    return _back(webhook_number)


@webhooks.post(f"{ONE}/again")
@requires(Capability.WEBHOOK_MANAGE)
def again(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """Sends one message again, or, without `message`, all that were given up; contents and ids stay."""
    webhook, actor, session = webhook_or_404(webhook_number), actor_of(g.researcher), db.session()
    number = request.form.get("message", "")
    if not webhook.is_on:
        flash("The webhook is off: switch it on first.", "warn")
    elif not number:
        count = send_failed_again(session, g.study, webhook, g.now, actor=actor)
        flash(f"{counted(count, 'message')} on the way again.", "good")
    else:
        message = message_of_webhook(session, webhook, int(number)) if _is_number(number) else None
        if message is None:
            abort(404)
        if send_again(session, g.study, webhook, message, g.now, actor=actor):
            flash("It is on the way again, with the same contents and id.", "good")
        else:
            flash("It waits to be sent already.", "warn")
    db.session.commit()
    return _back(webhook_number)


@webhooks.post(f"{ONE}/delete")
@requires(Capability.WEBHOOK_MANAGE)
def delete(study_number: int, webhook_number: int) -> ResponseReturnValue:
    """Deletes the webhook with its log."""
    delete_webhook(db.session(), g.study, webhook_or_404(webhook_number), actor=actor_of(g.researcher))
    db.session.commit()
    flash("The webhook was deleted with its log.", "good")
    return redirect(url_for("webhooks.list", study_number=study_number))


def _back(webhook_number: int) -> ResponseReturnValue:
    return redirect(url_for("webhooks.log", study_number=g.study.id, webhook_number=webhook_number))


def _as_text(contents: Mapping[str, Any]) -> str:
    """The contents as indented JSON, in the order of docs/webhooks.md."""
    ordered = {name: contents[name] for name in ORDER if name in contents}
    return json.dumps({**ordered, **contents}, indent=2, ensure_ascii=False)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 19
