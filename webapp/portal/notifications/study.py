"""Notifications of a study: the coming day, how they are delivered, quiet hours, and a message to participants."""

from collections.abc import Mapping
from datetime import time, timedelta

from flask import Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Participant
from core.notifications.by_hand import LONGEST_TEXT, AlreadySent, NotSent, TextRefused, preview_text, send_text
from core.notifications.coming_day import coming_day
from core.notifications.delivering import opener, utc_now
from core.notifications.delivery_figures import delivery_rates, lost_tokens, missed_by_participant, not_reached
from core.notifications.described import can_push
from core.notifications.watch import open_troubles
from core.participants.table_file import csv_text, harmless
from core.studies.changing import set_quiet_hours
from core.studies.creating import StudyRefused
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.frame.once import ALREADY_SENT, form_key
from webapp.portal.frame.wording import counted
from webapp.portal.notifications.section import notifications
from webapp.stores import settings

OF = "/view_study/<number:study_number>/notifications"
DAYS = 7
MOST_SHOWN = 50
MOST_ADDRESSED = 2_000


@notifications.get(OF, endpoint="study")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def of_study(study_number: int) -> ResponseReturnValue:
    """What comes in the next 24 hours, and how the last seven days were delivered."""
    return _page()


def _page(problem: str = "", typed: Mapping[str, str] | None = None) -> ResponseReturnValue:
    """The page, with the problem of the form of quiet hours if it was refused."""
    session, since = db.session(), g.now - timedelta(days=DAYS)
    missed = not_reached(session, g.study, since, g.now)
    page = render_template(
        "portal/notifications/study.html",
        troubles=open_troubles(session),
        can_push=can_push(session),
        coming=coming_day(session, g.study, g.now),
        rates=delivery_rates(session, g.study, since, g.now),
        lost=lost_tokens(session, g.study, since, g.now),
        missed=missed_by_participant(missed)[:MOST_SHOWN],
        missed_participants=len({row.patient_id for row in missed}),
        missed_count=len(missed),
        days=DAYS,
        problem=problem,
        hours=typed or _stored_hours(),
    )
    return page, 422 if problem else 200


@notifications.get(f"{OF}/not_reached.csv")
@requires(Capability.STUDY_EXPORT)
def not_reached_file(study_number: int) -> ResponseReturnValue:
    """Who did not get which survey in the last seven days, and why."""
    header = ("Participant", "Survey id", "Survey", "Scheduled at (UTC)", "Reason")
    rows = not_reached(db.session(), g.study, g.now - timedelta(days=DAYS), g.now)
    lines = [
        (
            row.patient_id,
            row.survey_id,
            harmless(row.survey_name),
            f"{row.scheduled_at:%Y-%m-%d %H:%M}",
            harmless(row.reason),
        )
        for row in rows
    ]
    response = Response(csv_text([header, *lines]), content_type="text/csv; charset=utf-8")
    attach(response, f"not reached - {g.study.name}.csv")
    return response


@notifications.post(f"{OF}/quiet_hours")
@requires(Capability.SURVEY_EDIT)
def change_quiet_hours(study_number: int) -> ResponseReturnValue:
    """Sets the hours without pushes and without resends; a pair of empty fields means none (CLAR-54)."""
    form = request.form
    try:
        quiet = _hours(form.get("quiet_from", ""), form.get("quiet_until", ""))
        rests = _hours(form.get("rests_from", ""), form.get("rests_until", ""))
        set_quiet_hours(db.session(), g.study, quiet, rests, actor=actor_of(g.researcher))
        db.session.commit()
    except (ValueError, StudyRefused) as wrong:
        db.session.rollback()
        return _page(str(wrong), form)
    flash("The hours were saved. They hold from now on.", "good")
    return redirect(url_for("notifications.study", study_number=study_number))


@notifications.get(f"{OF}/message")
@requires(Capability.PARTICIPANT_PUSH)
def message(study_number: int) -> ResponseReturnValue:
    """The form of a message to participants."""
    return _message_page()


@notifications.post(f"{OF}/message")
@requires(Capability.PARTICIPANT_PUSH)
def send_message(study_number: int) -> ResponseReturnValue:
    """Says whom a text would reach, and sends it once that was confirmed."""
    text, everybody = request.form.get("text", ""), request.form.get("to") == "all"
    people, unknown = _addressed(everybody, request.form.get("ids", ""))
    problem = "" if people else "Nobody is chosen."
    if len(people) + len(unknown) > MOST_ADDRESSED:
        problem = f"At most {MOST_ADDRESSED:,} participants can be addressed at once."
    elif unknown:
        problem = f"There is no participant {', '.join(unknown[:5])} here."
    try:
        preview = preview_text(db.session(), people, text)
        if problem or request.form.get("confirmed") != text.strip():
            return _message_page(problem, preview=None if problem else preview)
        open_sender, actor = opener(settings().fcm_url, settings().apns_url), actor_of(g.researcher)
        done = send_text(
            db.session(), db.engine, open_sender, g.study, people, text, utc_now, actor=actor, form_key=form_key()
        )
    except AlreadySent:
        flash(ALREADY_SENT, "warn")
        return redirect(url_for("notifications.study", study_number=study_number))
    except (TextRefused, NotSent) as refused:
        return _message_page(str(refused))
    sent = sum(preview.reached.values())
    flash(f"The message was accepted for {done.accepted:,} of {counted(sent, 'participant')}.", "good")
    return redirect(url_for("notifications.study", study_number=study_number))


def _message_page(problem: str = "", **values: object) -> ResponseReturnValue:
    page = render_template(
        "portal/notifications/message.html", problem=problem, typed=request.form, longest=LONGEST_TEXT, **values
    )
    return page, 422 if problem else 200


def _addressed(everybody: bool, ids: str) -> tuple[list[Participant], list[str]]:
    """Those who take part, or those whose ids were typed; and the ids that are nobody's."""
    query = db.select(Participant).where(Participant.study_id == g.study.id, Participant.purged_at.is_(None))
    if everybody:
        query = query.where(Participant.retired_at.is_(None)).limit(MOST_ADDRESSED + 1)
        return list(db.session.scalars(query)), []
    typed = list(dict.fromkeys(ids.replace(",", " ").split()))
    people = list(db.session.scalars(query.where(Participant.patient_id.in_(typed[: MOST_ADDRESSED + 1]))))
    known = {person.patient_id for person in people}
    return people, [name for name in typed if name not in known]


def _stored_hours() -> dict[str, str]:
    study = g.study
    stored = {
        "quiet_from": study.quiet_from,
        "quiet_until": study.quiet_until,
        "rests_from": study.resends_rest_from,
        "rests_until": study.resends_rest_until,
    }
    return {name: f"{at:%H:%M}" if at else "" for name, at in stored.items()}


def _hours(begins: str, ends: str) -> tuple[time, time] | None:
    """Raises ValueError with a sentence."""
    if not begins.strip() and not ends.strip():
        return None
    try:
        return time.fromisoformat(begins.strip()), time.fromisoformat(ends.strip())
    except ValueError:
        raise ValueError("Give both times, such as 22:00 and 07:00, or neither.") from None
