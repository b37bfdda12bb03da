"""Response rates of a survey and times to answer, from stored outcomes (NOTIF-24): one scan, whatever is shown of it.

A rate is the share of answered events among those that counted and are not open any more: an event that can still be
answered is neither answered nor missed. Participants of the study team are left out (CLAR-37, CLAR-62).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import CountedEvent, Outcome, Participant, Standing, Submission, Survey


@dataclass(frozen=True)
class Counts:
    """Events that counted, by what came of them. `opened` were seen, answered or not."""

    answered: int = 0
    late: int = 0
    missed: int = 0
    open: int = 0
    opened: int = 0

    @property
    def counted(self) -> int:
        return self.answered + self.late + self.missed + self.open

    @property
    def rate(self) -> float | None:
        """From 0 to 1; None while nothing can be said."""
        settled = self.counted - self.open
        return self.answered / settled if settled else None

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.answered + other.answered,
            self.late + other.late,
            self.missed + other.missed,
            self.open + other.open,
            self.opened + other.opened,
        )


@dataclass(frozen=True)
class DayRow:
    """One day, or the Sunday that begins a week: dates of the participants' clocks."""

    day: date
    counts: Counts


@dataclass(frozen=True)
class ParticipantRow:
    """One participant. `mean_minutes` is the mean time from event to answer, None without an answer."""

    participant_id: int
    patient_id: str
    is_retired: bool
    counts: Counts
    extra: int
    mean_minutes: float | None


@dataclass(frozen=True)
class ResponseRates:
    """The rates of one survey. `times` counts answers by whole minutes from their event; `extra` are submissions
    beyond the first of an event, `unasked` those before any event.
    """

    total: Counts
    days: list[DayRow]
    participants: list[ParticipantRow]
    times: dict[int, int] = field(default_factory=dict)
    extra: int = 0
    unasked: int = 0

    @property
    def weeks(self) -> list[DayRow]:
        """The days added up by weeks that begin on Sunday."""
        found: dict[date, Counts] = {}
        for row in self.days:
            sunday = row.day - timedelta(days=row.day.isoweekday() % 7)
            found[sunday] = found.get(sunday, Counts()) + row.counts
        return [DayRow(day, counts) for day, counts in sorted(found.items())]

    @property
    def median_minutes(self) -> float | None:
        """The median time to answer, in whole minutes."""
        return median_of(self.times)


def response_rates(
    session: Session,
    survey_id: int,
    *,
    first: date | None = None,
    last: date | None = None,
    participant_id: int | None = None,
    with_test: bool = False,
) -> ResponseRates:
    """Rates in all, by day and by participant, of the days from `first` to `last`, of everybody or one participant.

    Participants of the study team only `with_test`. Three queries; a session that is limited to sites sees theirs.
    """
    is_counted = _is_of(survey_id, first, last, participant_id, with_test=with_test)
    people = {row.id: row for row in _people(session, survey_id, participant_id, with_test=with_test)}
    extra, unasked = _extra(session, survey_id, first, last, participant_id)
    days: list[DayRow] = []
    by_person: dict[int, sa.Row[Any]] = {}
    times: dict[int, int] = {}
    for row in session.execute(_grouped(is_counted)):
        if row.on_day is not None:
            days.append(DayRow(row.on_day, _counts(row)))
        elif row.participant_id is not None:
            by_person[row.participant_id] = row
        elif row.minutes is not None and row.answered:
            times[row.minutes] = row.answered
    rows = [
        _participant_row(person, by_person.get(number), extra.get(number, 0))
        for number, person in people.items()
        if number in by_person or number in extra
    ]
    return ResponseRates(
        sum((row.counts for row in days), Counts()),
        sorted(days, key=lambda row: row.day),
        rows,
        dict(sorted(times.items())),
        sum(extra.get(number, 0) for number in people),
        sum(unasked.get(number, 0) for number in people),
    )


def _counts(row: sa.Row[Any]) -> Counts:
    return Counts(row.answered, row.late, row.missed, row.open, row.opened)


def _participant_row(person: sa.Row[Any], row: sa.Row[Any] | None, extra: int) -> ParticipantRow:
    return ParticipantRow(
        person.id,
        person.patient_id,
        person.retired_at is not None,
        _counts(row) if row else Counts(),
        extra,
        row.minutes_in_all / row.answered if row and row.answered else None,
    )


def median_of(counts: dict[int, int]) -> float | None:
    """The median of values that occur so many times; None of none."""
    total = sum(counts.values())
    if not total:
        return None
    ordered = sorted(counts.items())
    return (_nth(ordered, (total - 1) // 2) + _nth(ordered, total // 2)) / 2


def _nth(ordered: list[tuple[int, int]], place: int) -> int:
    for value, count in ordered:
        place -= count
        if place < 0:
            return value
    raise AssertionError


def _is_of(
    survey_id: int, first: date | None, last: date | None, participant_id: int | None, *, with_test: bool
) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = [CountedEvent.survey_id == survey_id]
    if first is not None:
        wanted.append(CountedEvent.on_day >= first)
    if last is not None:
        wanted.append(CountedEvent.on_day <= last)
    if participant_id is not None:
        wanted.append(CountedEvent.participant_id == participant_id)
    if not with_test:
        wanted.append(CountedEvent.participant_id.not_in(sa.select(Participant.id).where(Participant.is_test)))
    return wanted


def _grouped(wanted: list[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    """Counts by day, by participant, and by minutes to answer, in one scan."""
    keys = (CountedEvent.on_day, CountedEvent.participant_id, CountedEvent.minutes)
    number, of = sa.func.count(), CountedEvent.outcome
    is_answered = of == Outcome.ANSWERED.value
    columns: list[sa.Label[Any]] = [number.filter(of == each.value).label(each.value) for each in Outcome]
    columns.append(sa.func.count(CountedEvent.opened_at).label("opened"))
    columns.append(sa.func.sum(CountedEvent.minutes).filter(is_answered).label("minutes_in_all"))
    sets = sa.func.grouping_sets(*(sa.tuple_(key) for key in keys))
    return sa.select(*keys, *columns).where(*wanted).group_by(sets)


def _people(session: Session, survey_id: int, participant_id: int | None, *, with_test: bool) -> Iterable[sa.Row[Any]]:
    of_study = sa.select(Survey.study_id).where(Survey.id == survey_id).scalar_subquery()
    query = sa.select(Participant.id, Participant.patient_id, Participant.retired_at)
    query = query.where(Participant.study_id == of_study).order_by(Participant.patient_id)
    if participant_id is not None:
        query = query.where(Participant.id == participant_id)
    if not with_test:
        query = query.where(Participant.is_test.is_(False))
    return session.execute(query).all()


def _extra(
    session: Session, survey_id: int, first: date | None, last: date | None, participant_id: int | None
) -> tuple[dict[int, int], dict[int, int]]:
    """Submissions that are extra, and those that nobody asked for, by participant. Days are of UTC."""
    query = sa.select(Submission.participant_id, Submission.standing, sa.func.count()).where(
        Submission.survey_id == survey_id,
        Submission.standing.in_([Standing.EXTRA.value, Standing.UNASKED.value]),
    )
    if first is not None:
        query = query.where(Submission.submitted_at >= first)
    if last is not None:
        query = query.where(Submission.submitted_at < last + timedelta(days=1))
    if participant_id is not None:
        query = query.where(Submission.participant_id == participant_id)
    found: dict[str, dict[int, int]] = {Standing.EXTRA.value: {}, Standing.UNASKED.value: {}}
    for number, standing, count in session.execute(query.group_by(Submission.participant_id, Submission.standing)):
        found[standing][number] = count
    return found[Standing.EXTRA.value], found[Standing.UNASKED.value]
