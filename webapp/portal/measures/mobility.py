"""The mobility of a participant by day, without places; and one day's track for people who may see locations.

The first shows daily measures alone, in a drawing whose days stand below each other. The second shows kilometres from
home, and is in the log of data access like a download of that day's GPS (DATA-26).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.audit.access_log import end_access, record_access
from core.database import db
from core.forest.trees import Tree
from core.measures.catalogue import MEASURES, Measure
from core.measures.of_people import DayValue, daily_measures
from core.measures.of_study import newest_day
from core.measures.origins import origins
from core.measures.track import track_of_day
from core.models import AccessKind
from core.streams import DataStream
from webapp.portal.access.rules import requires
from webapp.portal.measures import wording
from webapp.portal.measures.choice import SPANS, read_choice, read_day
from webapp.portal.measures.drawing import DayBar, draw_days, draw_track
from webapp.portal.measures.person import MOST_DAYS
from webapp.portal.measures.section import OF_PERSON, measures
from webapp.portal.measures.study import today
from webapp.stores import sealed_store, settings

SHOWN = tuple(
    MEASURES[f"jasmine_{name}"]
    for name in (
        "obs_duration",
        "home_duration",
        "distance_traveled",
        "distance_from_home",
        "significant_location_count",
    )
)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Lane:
    """A measure: its values by day, and their bars on a scale from 0 to `most`."""

    measure: Measure
    days: Mapping[date, DayValue]
    most: float
    bars: tuple[DayBar, ...]


@measures.get(f"{OF_PERSON}/mobility")
@requires(Capability.MEASURES_VIEW, is_return_page=True)
def mobility(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Time at home, distances and significant places by day, with the hours observed; no places."""
    session, participant = db.session(), g.participant
    newest = newest_day(session, g.study.id, participant.id)
    choice = replace(read_choice(request.args, newest or today(), MOST_DAYS), measures=SHOWN)
    least = settings().measures_least_hours
    found = daily_measures(session, g.study, [participant], SHOWN, choice.first, choice.last, least_hours=least)
    by_name = found[participant.id]

    def address(**changes: Any) -> str:
        arguments = choice.arguments(**changes) | {"measure": None}
        return url_for("measures.mobility", study_number=study_number, patient_id=patient_id, **arguments)

    page = render_template(
        "portal/measures/mobility.html",
        participant=participant,
        choice=choice,
        spans=SPANS,
        newest=newest,
        lanes=[_lane(measure, by_name[measure.name], choice.first, choice.last) for measure in SHOWN],
        days=sorted({day for of in by_name.values() for day, one in of.items() if one.value is not None}, reverse=True),
        origins=[origin for origin in origins(session, g.study, [participant]) if origin.tree is Tree.JASMINE],
        least_hours=least,
        wording=wording,
        address=address,
    )
    return page, 422 if choice.problems else 200


@measures.get(f"{OF_PERSON}/mobility/track")
@requires(Capability.LOCATION_VIEW, is_return_page=True)
def track(study_number: int, patient_id: str) -> ResponseReturnValue:
    """One day's positions as kilometres from home; without a day, the newest one with measures."""
    session, participant = db.session(), g.participant
    typed = request.args.get("day", "")[:20]
    usual = newest_day(session, g.study.id, participant.id) or today()
    asked = read_day(typed) if typed else usual
    day = asked or usual
    found = None
    if asked is not None:
        number = record_access(
            session,
            actor_of(g.researcher),
            AccessKind.DATA,
            g.study,
            participants=1,
            patient_ids=[patient_id],
            streams=[DataStream.GPS.value],
            parameters={"page": "track", "day": day.isoformat()},
        )
        session.commit()
        found = track_of_day(session, sealed_store(g.study), g.study, participant, day)
    page = render_template(
        "portal/measures/track.html",
        participant=participant,
        day=day,
        typed=typed or day.isoformat(),
        problem=None if asked else "A date like 2030-01-31.",
        before=day - DAY,
        behind=day + DAY if day < today() else None,
        track=found,
        drawing=draw_track(found) if found and found.places else None,
        hours=found.hours(g.study.zone) if found else [],
        wording=wording,
    )
    if asked is not None:
        end_access(session, number, len(page.encode()))
        session.commit()
    return page, 200 if asked else 422


def _lane(measure: Measure, days: Mapping[date, DayValue], first: date, last: date) -> Lane:
    least = 24.0 if measure.unit == "h" else 0.0
    most = max((of.value for of in days.values() if of.value is not None), default=0.0)
    most = max(most, least) or 1.0
    return Lane(measure, days, most, draw_days(days, first, last, most))
