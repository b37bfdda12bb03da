"""A participant's page: what has arrived, by stream and by hour (PORTAL-130, PORTAL-132)."""

from datetime import date, timedelta
from typing import Any

from flask import g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.models import AppSettings
from core.streams.paths import EARLIEST
from webapp.portal.arrivals import WAITS_FOR_FIRST_RUN, arrivals_of, newest_chunk
from webapp.portal.coverage import Coverage, coverage
from webapp.portal.doors import in_study, portal
from webapp.portal.expected_streams import expected_streams
from webapp.portal.states import state_of

PATH = "/view_study/<number:study_number>/participant/<patient_id>"


@portal.get(PATH)
@in_study(Capability.PARTICIPANT_VIEW, is_return_page=True)
def participant_page(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The page, or only its coverage for a swap; `day` chooses the day that is unfolded."""
    drawn = newest_chunk(db.session(), g.participant.id)
    shared = {
        "covered": _coverage(), "drawn": drawn, "participant": g.participant, "day_address": _day_address,
        "waits_for_first_run": drawn == WAITS_FOR_FIRST_RUN,
    }  # fmt: skip
    if request.htmx:  # type: ignore[attr-defined]
        return render_template("portal/_coverage.html", **shared)
    return render_template("portal/participant.html", **shared, **_arrivals())


@portal.get(f"{PATH}/figures")
@in_study(Capability.PARTICIPANT_VIEW, is_polled=True)
def participant_page_figures(study_number: int, patient_id: str) -> ResponseReturnValue:
    """What changes as data come in; the page asks for it again and again, and draws anew when `drawn` is outdated."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(url_for("portal.participant_page", study_number=study_number, patient_id=patient_id))
    is_drawn = request.args.get("drawn", "") == newest_chunk(db.session(), g.participant.id)
    headers = {} if is_drawn else {"HX-Trigger": "new-data"}
    return render_template("portal/_arrivals.html", participant=g.participant, **_arrivals()), headers


def _arrivals() -> dict[str, Any]:
    return {
        "arrivals": arrivals_of(db.session(), g.participant.id),
        "activity": g.participant.activity,
        "state": state_of(g.participant, g.participant.activity, g.now),
    }


def _coverage() -> Coverage:
    participant, activity = g.participant, g.participant.activity
    settings = db.session.scalars(db.select(AppSettings).filter_by(study_id=g.study.id)).one()
    return coverage(
        db.session(), participant.id, g.study.zone, _day_asked_for(), g.now,
        expected=expected_streams(settings, participant.os_type),
        since=activity and activity.first_registered_at,
        until=participant.retired_at,
    )  # fmt: skip


def _day_asked_for() -> date:
    today: date = g.now.astimezone(g.study.zone).date()
    try:
        return min(max(date.fromisoformat(request.args["day"]), EARLIEST.date()), today)
    except (KeyError, ValueError):
        return today


def _day_address(day: date, step: int = 0) -> str | None:
    """The page with the day that many days on; None in the future."""
    day += timedelta(days=step)
    today = g.now.astimezone(g.study.zone).date()
    if day > today:
        return None
    path = {"study_number": g.study.id, "patient_id": g.participant.patient_id}
    return url_for("portal.participant_page", **path, day=None if day == today else day.isoformat())
