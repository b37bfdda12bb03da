"""The list of alerts, and one alert: what was answered, who knows of it, and acknowledging it (CLAR-58)."""

from datetime import datetime

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answer_alerts.listing import (
    AlertLine,
    AlertState,
    alert_line,
    alerts_of,
    messages_about,
    open_alert_count,
    seen_by,
)
from core.answer_alerts.managing import LONGEST_NOTE, NoteRefused, acknowledge, note_seen
from core.answers.submitted import shown_submissions
from core.audit import actor_of
from core.database import db
from core.models import AlertRule
from webapp.portal.access.rules import requires
from webapp.portal.alerts.section import alerts
from webapp.portal.alerts.wording import condition_in_words

OF = "/view_study/<number:study_number>/alerts"
ONE = f"{OF}/<number:alert_number>"


@alerts.get(OF, endpoint="list")
@requires(Capability.ANSWERS_READ, is_return_page=True)
def alert_list(study_number: int) -> ResponseReturnValue:
    """The alerts of one state, newest first: open ones unless `state` says otherwise."""
    named = request.args.get("state", AlertState.OPEN)
    state = AlertState(named) if named in set(AlertState) else AlertState.OPEN
    lines, has_older = alerts_of(db.session(), g.study, state, before=_before())
    last = lines[-1].alert if has_older else None
    return render_template(
        "portal/alerts/list.html",
        lines=lines,
        state=state,
        open_count=open_alert_count(db.session(), g.study.id),
        older=f"{last.raised_at.isoformat()}_{last.id}" if last else None,
        is_first="before" not in request.args,
    )


@alerts.get(ONE, endpoint="alert")
@requires(Capability.ANSWERS_READ, is_return_page=True)
def one_alert(study_number: int, alert_number: int) -> ResponseReturnValue:
    """One alert; that this person has seen it is noted."""
    line = _line(alert_number)
    note_seen(db.session(), line.alert, g.researcher.id, g.now)
    db.session.commit()
    return _page(_line(alert_number))


@alerts.post(f"{ONE}/acknowledge", endpoint="acknowledge")
@requires(Capability.NOTES_EDIT)
def acknowledge_alert(study_number: int, alert_number: int) -> ResponseReturnValue:
    """Says that somebody has acted, with a note; who comes second is told who was first."""
    line, note = _line(alert_number), request.form.get("note", "")
    try:
        is_first = acknowledge(db.session(), line.alert, note, g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except NoteRefused as refused:
        db.session.rollback()
        return _page(_line(alert_number), str(refused), note)
    if is_first:
        flash("Acknowledged. Messages that were not sent yet are not sent any more.", "good")
    else:
        flash("Somebody else has acknowledged it before; their note stays.", "warn")
    return redirect(url_for("alerts.alert", study_number=study_number, alert_number=alert_number))


def _page(line: AlertLine, problem: str = "", typed: str = "") -> ResponseReturnValue:
    session, alert = db.session(), line.alert
    submissions = shown_submissions(session, [alert.submission_id]) if alert.submission_id else []
    page = render_template(
        "portal/alerts/alert.html",
        line=line,
        alert=alert,
        condition=condition_in_words(session.get_one(AlertRule, alert.rule_id)),
        submission=submissions[0] if submissions else None,
        seen=seen_by(session, alert),
        messages=messages_about(session, alert),
        longest=LONGEST_NOTE,
        problem=problem,
        typed=typed,
    )
    return page, 422 if problem else 200


def _line(alert_number: int) -> AlertLine:
    """The alert, or 404: also for one of a participant whom the person may not see (PERM-95)."""
    line = alert_line(db.session(), g.study, alert_number)
    if line is None:
        abort(404)
    return line


def _before() -> tuple[datetime, int] | None:
    """Where the page before ended, from the address; None for the first page and for what makes no sense."""
    at, _, number = request.args.get("before", "").partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, int(number)) if moment.tzinfo and number.isdecimal() and len(number) < 19 else None
