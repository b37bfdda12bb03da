"""A participant's notifications: what was sent and what came of it, why not, and a survey sent now (PORTAL-137)."""

from datetime import UTC, date, datetime, time, timedelta

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Survey, SurveyType
from core.notifications.by_hand import AlreadySent, NotSent, send_survey_now
from core.notifications.delivering import opener, utc_now
from core.notifications.history import notifications_of
from core.notifications.why import conditions, first_that_fails
from core.surveys.listing import survey_lines, survey_of_study
from core.surveys.schedules import local_date, wall_clock
from webapp.portal.access.rules import requires
from webapp.portal.frame.once import ALREADY_SENT, form_key
from webapp.portal.participants.section import participants
from webapp.stores import settings

OF = "/view_study/<number:study_number>/participant/<patient_id>"
DAYS_SHOWN = 14


@participants.get(f"{OF}/notification_history")
@requires(Capability.PARTICIPANT_VIEW)
def notified(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The notifications of two weeks, newest first; `until` is the last day, by default tomorrow."""
    zone, last = g.study.zone, _last_day()
    until = wall_clock(last + timedelta(days=1), time(), zone)
    since = wall_clock(last - timedelta(days=DAYS_SHOWN - 1), time(), zone)
    return render_template(
        "portal/participants/notified.html",
        participant=g.participant,
        rows=notifications_of(db.session(), g.participant, since, until, g.now),
        first=last - timedelta(days=DAYS_SHOWN - 1),
        last=last,
        older=last - timedelta(days=DAYS_SHOWN),
        newer=None if last >= _newest_day() else min(last + timedelta(days=DAYS_SHOWN), _newest_day()),
        surveys=[line.survey for line in survey_lines(db.session(), g.study.id) if line.survey.published_at],
    )


@participants.get(f"{OF}/notification_history/why")
@requires(Capability.PARTICIPANT_VIEW)
def why_not_sent(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Every condition of one notification, in order; `survey` is its number, `at` the scheduled time in UTC."""
    survey = _survey(request.args.get("survey", ""))
    listed = conditions(db.session(), g.participant, survey, at := _moment(request.args.get("at", "")), g.now)
    return render_template(
        "portal/participants/why_not_sent.html",
        participant=g.participant,
        survey=survey,
        at=at,
        conditions=listed,
        first=first_that_fails(listed),
    )


@participants.post("/<number:study_number>/send_survey_notification/<patient_id>")
@requires(Capability.PARTICIPANT_PUSH)
def send_now(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Sends a survey at once; the attempt is in the history, whatever came of it (PORTAL-137)."""
    if "survey_id" not in request.form:
        abort(400, "The form names no survey: `survey_id` is missing.")
    survey = _survey(request.form["survey_id"])
    name = survey.name or "The survey"
    try:
        open_sender = opener(settings().fcm_url, settings().apns_url)
        refused = send_survey_now(
            db.session(),
            db.engine,
            open_sender,
            g.participant,
            survey,
            utc_now,
            actor=actor_of(g.researcher),
            form_key=form_key(),
        )
    except AlreadySent:
        flash(ALREADY_SENT, "warn")
        return redirect(url_for("participants.notified", study_number=study_number, patient_id=patient_id))
    except NotSent as not_sent:
        refused = str(not_sent)
    if refused:
        flash(f"{name} was not sent to {patient_id}: {refused}", "bad")
    else:
        flash(f"{name} was sent to {patient_id}.", "good")
    return redirect(url_for("participants.notified", study_number=study_number, patient_id=patient_id))


def _newest_day() -> date:
    return local_date(g.now, g.study.zone) + timedelta(days=1)


def _last_day() -> date:
    typed = request.args.get("until")
    if not typed:
        return _newest_day()
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        abort(400, "`until` is a day, such as 2026-03-01.")
    if not 2000 <= day.year <= 2200:
        abort(400, "`until` is too far away.")
    return day


def _survey(number: str) -> Survey:
    """The study's survey with that number. Aborts with 404."""
    is_number = number.isascii() and number.isdecimal() and len(number) < 18
    survey = survey_of_study(db.session(), g.study.id, int(number)) if is_number else None
    if survey is None or survey.survey_type not in set(SurveyType):
        abort(404, "There is no such survey in the study.")
    return survey


def _moment(text: str) -> datetime:
    """A moment as `2026-03-01T09:00:00Z`. Aborts with 400."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        abort(400, "`at` is a moment, such as 2026-03-01T09:00:00Z.")
    return at if at.tzinfo else at.replace(tzinfo=UTC)
