"""The page of a participant: which data have arrived, by stream and by hour (PORTAL-130, PORTAL-132)."""

from datetime import date, timedelta
from typing import Any

from flask import g, make_response, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.participants.arrivals import WAITS_FOR_FIRST_RUN, arrivals_of, newest_chunk
from core.participants.coverage import Coverage, coverage
from core.participants.expected_streams import expected_by_day
from core.participants.states import state_of
from core.streams.paths import EARLIEST
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import fragment_or_redirect, page_or_fragment
from webapp.portal.participants.section import participants
from webapp.portal.participants.shown_states import shown_state

PATH = "/view_study/<number:study_number>/participant/<patient_id>"


@participants.get(PATH)
@requires(Capability.PARTICIPANT_VIEW, is_return_page=True)
def detail(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The page, or for HTMX only its coverage. The argument `day` selects the day that is shown by hours."""
    drawn = newest_chunk(db.session(), g.participant.id)
    return page_or_fragment(
        "portal/participants/detail.html",
        "portal/participants/_coverage.html",
        page_values=_arrivals,
        participant=g.participant,
        covered=_coverage(),
        drawn=drawn,
        day_address=_day_address,
        waits_for_first_run=drawn == WAITS_FOR_FIRST_RUN,
    )


@participants.get(f"{PATH}/figures")
@requires(Capability.PARTICIPANT_VIEW, is_polled=True)
def detail_figures(study_number: int, patient_id: str) -> ResponseReturnValue:
    """The figures that change as data arrive; the page polls them.

    The argument `drawn` names the newest chunk in the shown coverage. If there is a newer one, the answer triggers
    `new-data`, on which the page loads its coverage again.
    """
    page = url_for("participants.detail", study_number=study_number, patient_id=patient_id)
    values = {"participant": g.participant, **_arrivals()}
    response = make_response(fragment_or_redirect("portal/participants/_arrivals.html", page, **values))
    if request.args.get("drawn", "") != newest_chunk(db.session(), g.participant.id):
        response.headers["HX-Trigger"] = "new-data"
    return response


def _arrivals() -> dict[str, Any]:
    return {
        "arrivals": arrivals_of(db.session(), g.participant.id),
        "activity": g.participant.activity,
        "state": shown_state(state_of(g.participant, g.participant.activity, g.now), g.now),
    }


def _coverage() -> Coverage:
    participant, activity = g.participant, g.participant.activity
    return coverage(
        db.session(),
        participant.id,
        g.study.zone,
        _day_asked_for(),
        g.now,
        expected_on=expected_by_day(db.session(), g.study, participant.os_type),
        since=activity and activity.first_registered_at,
        until=participant.retired_at,
    )


def _day_asked_for() -> date:
    today: date = g.now.astimezone(g.study.zone).date()
    try:
        return min(max(date.fromisoformat(request.args["day"]), EARLIEST.date()), today)
    except (KeyError, ValueError):
        return today


def _day_address(day: date, step: int = 0) -> str | None:
    """The address of this page for `day` plus `step` days; None in the future."""
    day += timedelta(days=step)
    today = g.now.astimezone(g.study.zone).date()
    if day > today:
        return None
    path = {"study_number": g.study.id, "patient_id": g.participant.patient_id}
    return url_for("participants.detail", **path, day=None if day == today else day.isoformat())
