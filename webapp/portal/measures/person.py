"""The measures of a participant over time, beside those of up to three others (CLAR-82)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.measures.catalogue import MEASURES, Measure
from core.measures.of_people import Days, DayValue, daily_measures
from core.measures.of_study import newest_day
from core.measures.origins import origins
from core.models import Participant
from core.models.participant import participant_in_study
from webapp.portal.access.rules import requires
from webapp.portal.measures import wording
from webapp.portal.measures.choice import SPANS, Choice, read_choice
from webapp.portal.measures.section import OF_PERSON, measures
from webapp.portal.measures.study import today
from webapp.stores import settings

MOST_DAYS = 1_096
MOST_OTHERS = 3


@dataclass(frozen=True)
class Chart:
    """A measure of the shown participants: `days` has each one's value by day, in the participants' order."""

    measure: Measure
    days: Mapping[date, list[DayValue | None]]
    data: dict[str, Any]
    has_run: bool


@dataclass(frozen=True)
class Compared:
    """The other participants that are shown, what was typed, and why that cannot be."""

    people: tuple[Participant, ...]
    typed: str
    problem: str | None = None


@measures.get(OF_PERSON)
@requires(Capability.MEASURES_VIEW, is_return_page=True)
def person(study_number: int, patient_id: str) -> ResponseReturnValue:
    """A chart for each chosen measure, with the hours observed beneath and its table beside."""
    session, participant = db.session(), g.participant
    newest = newest_day(session, g.study.id, participant.id)
    choice = read_choice(request.args, newest or today(), MOST_DAYS)
    compared = read_others(request.args.getlist("with"))
    people = [participant, *compared.people]
    found = daily_measures(
        session,
        g.study,
        people,
        choice.measures,
        choice.first,
        choice.last,
        least_hours=settings().measures_least_hours,
    )
    runs = origins(session, g.study, people)
    has_run = {origin.tree for origin in runs}
    others = [other.patient_id for other in compared.people]

    def address(*, endpoint: str = "measures.person", without: str = "", **changes: Any) -> str:
        kept = [name for name in others if name != without]
        path = {"study_number": study_number, "patient_id": patient_id}
        arguments: dict[str, Any] = {**path, **choice.arguments(**changes), "with": kept or None}
        return url_for(endpoint, **arguments)

    page = render_template(
        "portal/measures/person.html",
        participant=participant,
        people=people,
        compared=compared,
        most_others=MOST_OTHERS,
        choice=choice,
        spans=SPANS,
        newest=newest,
        charts=[_chart(measure, choice, people, found, measure.tree in has_run) for measure in choice.measures],
        origins=runs,
        least_hours=settings().measures_least_hours,
        all_measures=MEASURES.values(),
        wording=wording,
        address=address,
    )
    return page, 422 if choice.problems or compared.problem else 200


def read_others(given: list[str]) -> Compared:
    """Participants of the study by their ids, which may be separated by commas or spaces; the page's own is dropped."""
    typed = " ".join(given)[:200]
    names = [name for name in dict.fromkeys(re.findall(r"[^\s,;]+", typed)) if name != g.participant.patient_id]
    if len(names) > MOST_OTHERS:
        return Compared((), typed, f"At most {MOST_OTHERS} others.")
    found = {name: participant_in_study(db.session(), g.study.id, name) for name in names}
    if unknown := [name for name, person in found.items() if person is None]:
        return Compared((), typed, f"{unknown[0][:40]} is not a participant of this study.")
    return Compared(tuple(person for person in found.values() if person), typed)


def _chart(
    measure: Measure, choice: Choice, people: list[Participant], found: Mapping[int, Days], has_run: bool
) -> Chart:
    by_person = [found[person.id][measure.name] for person in people]
    rows = ((day, [of.get(day) for of in by_person]) for day in choice.days)
    days = {day: values for day, values in rows if any(value is not None for value in values)}
    has_values = any(value and value.value is not None for values in days.values() for value in values)
    return Chart(
        measure,
        days if has_values else {},
        _data(measure, choice, people, by_person),
        has_run or has_values,
    )


def _data(
    measure: Measure, choice: Choice, people: list[Participant], by_person: list[Mapping[date, DayValue]]
) -> dict[str, Any]:
    """What the script draws: for each participant and day a value or null, observed and imputed ones apart."""
    drawn = []
    for person, days in zip(people, by_person, strict=True):
        values = [days.get(day) for day in choice.days]
        drawn.append(
            {
                "id": person.patient_id,
                "observed": [_short(of.value) if of and not of.is_imputed else None for of in values],
                "imputed": [_short(of.value) if of and of.is_imputed else None for of in values],
                "hours": [_short(of.observed_hours) if of else None for of in values],
            }
        )
    return {
        "first": choice.first.isoformat(),
        "unit": measure.unit,
        "digits": measure.digits,
        "hoursOf": wording.HOURS_OF.get(measure.tree),
        "leastHours": settings().measures_least_hours if measure.is_filled_in else None,
        "people": drawn,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
