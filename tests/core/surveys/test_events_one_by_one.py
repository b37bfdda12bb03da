"""Events that are made in bulk are those that a plain loop over participants, schedules and days makes (NOTIF-7)."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from core.database import db
from core.models import (
    AttemptKind,
    CustomField,
    Departure,
    DepartureKind,
    EventState,
    FieldValue,
    FieldValueChange,
    Intervention,
    InterventionDate,
    NotificationAttempt,
    Participant,
    Pause,
    Schedule,
    ScheduledEvent,
    Study,
    Survey,
    SurveyType,
    SurveyVersion,
)
from core.streams import Platform
from core.surveys.events import rebuild_events
from core.surveys.random_times import DayOfPrompts
from core.surveys.schedules import Absolute, Arm, Random, Relative, Timing, Weekly
from core.surveys.timing_rows import row_of
from core.surveys.timings import timings_for_phones
from tests.support.factories import Factory

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Pago_Pago",
)
# The week of a clock change in the one or the other zone, or of none.
DAYS = (date(2024, 3, 10), date(2024, 3, 31), date(2024, 11, 3), date(2024, 4, 7), date(2024, 6, 5), date(2024, 12, 31))
day_of_prompts = cache(DayOfPrompts)
Key = tuple[int, int, datetime]
"""Schedule, participant, and moment."""


@dataclass
class Person:
    """A participant as the loop knows it: `values` hold what a field's value is from a moment on, oldest first."""

    row: Participant
    zone: ZoneInfo | None = None
    dates: dict[int, date] = field(default_factory=dict)
    values: dict[int, list[tuple[datetime, str | None]]] = field(default_factory=dict)
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    left_at: datetime | None = None

    def value_at_the_beginning_of(self, day: date, field_id: int, zone: ZoneInfo) -> str | None:
        """CLAR-53: a change counts from the next local day."""
        value = None
        for since, new in self.values.get(field_id, []):
            if since.astimezone(zone).date() < day:
                value = new
        return value


class World:
    """A study with people and schedules drawn from a seed; nothing of it is committed."""

    def __init__(self, factory: Factory, study: Study, seed: int) -> None:
        self.factory, self.study, self.dice = factory, study, random.Random(seed)
        self.session = db.session()
        study.timezone_name = self.dice.choice(ZONES)
        hour, minute = self.dice.randrange(24), self.dice.randrange(60)
        self.today = self.dice.choice(DAYS) + timedelta(days=self.dice.randint(-8, 8))
        self.now = datetime.combine(self.today, time(hour, minute), UTC)
        self.fields = self._added([CustomField(study_id=study.id, name=name) for name in ("Group", "Dose")])
        self.visits = self._added([Intervention(study_id=study.id, name=name) for name in ("Visit", "Birth")])
        self.surveys = self._added(
            [Survey(study_id=study.id, survey_type=SurveyType.TRACKING.value, published_at=self.now) for _ in range(3)]
        )
        if self.dice.random() < 0.3:
            self.surveys[2].deleted_at = self.now
        self.people = [self._person(n) for n in range(self.dice.choice((3, 14)))]
        self.schedules = [self._schedule() for _ in range(14)]
        self._add_what_was_sent()

    def _added(self, rows: list) -> list:
        self.session.add_all(rows)
        self.session.flush()
        return rows

    def _moment(self) -> datetime:
        """Within ten days of now, often on the hour at which a schedule may ask."""
        at = self.now + timedelta(minutes=self.dice.randint(-14_400, 14_400))
        return at.replace(minute=0, second=0, microsecond=0) if self.dice.random() < 0.5 else at

    def _person(self, n: int) -> Person:
        dice, session = self.dice, self.session
        zone = dice.choice((None, *ZONES))
        row = Participant(
            patient_id=f"p{n + 1}".replace("0", "z"), study_id=self.study.id, password_hash="x", timezone_name=zone
        )
        if dice.random() < 0.1:
            row.retired_at = self.now
        if dice.random() < 0.05:
            row.purge_asked_at = self.now
        self._added([row])
        person = Person(row, ZoneInfo(zone) if zone else None)
        for visit in self.visits:
            if dice.random() < 0.7:
                person.dates[visit.id] = self.today + timedelta(days=dice.randint(-4, 4))
                on = person.dates[visit.id]
                session.add(InterventionDate(participant_id=row.id, intervention_id=visit.id, happens_on=on))
        for custom in self.fields:
            self._give_values(person, custom)
        for _ in range(dice.choice((0, 0, 1, 2))):
            start = self._moment()
            end = dice.choice((None, start + timedelta(hours=dice.randint(1, 90))))
            person.pauses.append((start, end))
            session.add(Pause(participant_id=row.id, starts_at=start, ends_at=end, made_by="x"))
        if dice.random() < 0.2:
            person.left_at = self._moment()
            left = {"left_on": self.today, "ends_at": person.left_at, "retire_at": person.left_at + timedelta(days=9)}
            session.add(Departure(participant_id=row.id, kind=DepartureKind.COMPLETED.value, recorded_by="x", **left))
        return person

    def _give_values(self, person: Person, custom: CustomField) -> None:
        """A value from long ago, and some changes, also several of a day."""
        values: list[str | None] = [
            self.dice.choice((None, "A", "B", "C")) for _ in range(self.dice.choice((1, 1, 2, 4)))
        ]
        at = sorted(min(self._moment(), self.now) for _ in values[1:])
        person.values[custom.id] = [(datetime(2000, 1, 1, tzinfo=UTC), values[0]), *zip(at, values[1:], strict=True)]
        for changed_at, before in zip(at, values, strict=False):
            self.session.add(
                FieldValueChange(
                    participant_id=person.row.id, field_id=custom.id, changed_at=changed_at, value_before=before
                )
            )
        if values[-1] is not None:
            self.session.add(FieldValue(participant_id=person.row.id, field_id=custom.id, value=values[-1]))

    def _timing(self) -> Timing:
        dice = self.dice
        at = time(dice.randrange(24), dice.choice((0, 0, 15, 30, 59)))
        match dice.choice("wwarn"):
            case "w":
                return Weekly(dice.randrange(7), at)
            case "a":
                return Absolute(self.today + timedelta(days=dice.randint(-20, 40)), at)
            case "r":
                return Relative(dice.choice(self.visits).id, dice.randint(-9, 9), at)
            case _:
                days = tuple(sorted(dice.sample(range(7), dice.randint(1, 7))))
                return Random(
                    days, time(at.hour // 2, at.minute), time(23, 59), dice.randint(1, 4), dice.randint(1, 90)
                )

    def _schedule(self) -> tuple[Schedule, Timing, Arm | None]:
        timing = self._timing()
        arm = Arm(self.dice.choice(self.fields).id, self.dice.choice("AB")) if self.dice.random() < 0.4 else None
        row = Schedule(**row_of(self.dice.choice(self.surveys).id, timing, arm))
        for name in ("begins_after", "ends_after"):
            if self.dice.random() < 0.25:
                setattr(row, name, min(self._moment(), self.now))
        if row.ends_after is None and self.session.scalar(self._same(row)):
            return self._schedule()
        self._added([row])
        return row, timing, arm

    def _same(self, row: Schedule) -> sa.Select[tuple[int]]:
        """A row that would break the rule that equal timings are one."""
        names = [c.name for c in Schedule.__table__.columns if c.name not in ("id", "begins_after", "seed")]
        alike = [getattr(Schedule, name).is_not_distinct_from(getattr(row, name)) for name in names]
        return sa.select(Schedule.id).where(*alike)

    def _add_what_was_sent(self) -> None:
        """Successful and failed attempts at moments of some wanted events, and events that nobody wants."""
        wanted = sorted(self.wanted())
        for survey in self.surveys:
            version = SurveyVersion(
                survey_id=survey.id, started_at=self.now, survey_type="tracking_survey", content="[]", settings="{}"
            )
            self._added([version])
            for schedule, participant_id, at in self.dice.sample(wanted, min(6, len(wanted))):
                if self._survey_of(schedule) == survey.id:
                    self.session.add(
                        NotificationAttempt(
                            survey_version_id=version.id,
                            participant_id=participant_id,
                            kind=AttemptKind.WEEKLY,
                            scheduled_at=at,
                            status=self.dice.choice(("success", "failed")),
                        )
                    )
        for row, _, _ in self.dice.sample(self.schedules, 4):
            person = self.dice.choice(self.people)
            event = {"survey_id": row.survey_id, "participant_id": person.row.id, "scheduled_at": self._moment()}
            self.session.add(ScheduledEvent(**event, schedule_id=row.id, state=EventState.PENDING, uuid=uuid.uuid4()))
        self.session.flush()

    def _survey_of(self, schedule_id: int) -> int:
        return next(row.survey_id for row, _, _ in self.schedules if row.id == schedule_id)

    def wanted(self) -> dict[Key, bool]:
        """Every event that should exist, and whether it is created if it is missing, by the words of the rules."""
        return dict(self._wanted())

    def _wanted(self) -> Iterator[tuple[Key, bool]]:
        study_zone = ZoneInfo(self.study.timezone_name)
        local_today = self.now.astimezone(study_zone).date()
        sunday = local_today - timedelta(days=(local_today.weekday() + 1) % 7)
        three_weeks = [sunday + timedelta(days=n) for n in range(-7, 14)]
        offered = {survey.id for survey in self.surveys if survey.deleted_at is None}
        for person in self.people:
            if person.row.retired_at or person.row.purge_asked_at:
                continue
            zone = person.zone or study_zone
            for row, timing, arm in self.schedules:
                if row.survey_id not in offered:
                    continue
                for day, at in self._times(person, row, timing, three_weeks, zone, study_zone):
                    if row.begins_after and not day > row.begins_after.astimezone(zone).date():
                        continue
                    if row.ends_after and not day <= row.ends_after.astimezone(zone).date():
                        continue
                    if arm and person.value_at_the_beginning_of(day, int(arm.field), zone) != arm.value:
                        continue
                    moment = datetime.combine(day, at, study_zone).astimezone(UTC)
                    if any(start <= moment and not (end and moment >= end) for start, end in person.pauses):
                        continue
                    if person.left_at and moment >= person.left_at:
                        continue
                    is_later = moment > self.now
                    if isinstance(timing, Random):
                        is_later = datetime.combine(day, at, zone) > self.now
                    is_once = isinstance(timing, Absolute | Relative)
                    yield (row.id, person.row.id, moment), is_once or is_later

    @staticmethod
    def _times(
        person: Person, row: Schedule, timing: Timing, weeks: list[date], zone: ZoneInfo, study_zone: ZoneInfo
    ) -> Iterator[tuple[date, time]]:
        match timing:
            case Weekly(weekday, at):
                yield from ((day, at) for day in weeks if (day.weekday() + 1) % 7 == weekday)
            case Absolute(day, at):
                yield day, at
            case Relative(visit, after, at):
                if on := person.dates.get(int(visit)):
                    yield on + timedelta(days=after), at
            case Random(weekdays):
                assert row.seed
                for day in weeks:
                    if (day.weekday() + 1) % 7 in weekdays:
                        minutes = day_of_prompts(timing, day, zone, study_zone).minutes(row.seed, person.row.id)
                        yield from ((day, time(minute // 60, minute % 60)) for minute in minutes)

    def events(self) -> dict[Key, str]:
        """What is in the database, by key: the state."""
        query = sa.select(
            ScheduledEvent.schedule_id, ScheduledEvent.participant_id, ScheduledEvent.scheduled_at, ScheduledEvent.state
        ).where(ScheduledEvent.schedule_id.is_not(None))
        return {(s, p, at): str(state) for s, p, at, state in self.session.execute(query)}

    def expected(self, people: set[int] | None = None, survey: int | None = None) -> dict[Key, str]:
        """The events after a rebuild of this scope, from those that are there now."""

        def is_in_scope(key: Key) -> bool:
            return (people is None or key[1] in people) and (survey is None or self._survey_of(key[0]) == survey)

        before, wanted, sent = self.events(), self.wanted(), self._sent()
        after = {key: state for key, state in before.items() if key in wanted or not is_in_scope(key)}
        for key, is_created in wanted.items():
            if key not in before and is_created and is_in_scope(key):
                was_sent = (self._survey_of(key[0]), *key[1:]) in sent
                after[key] = EventState.DONE.value if was_sent else EventState.PENDING.value
        return after

    def _sent(self) -> set[tuple[int, int, datetime]]:
        """Survey, participant and moment of what went out with success; nothing can be longer before its time."""
        rows = self.session.execute(
            sa.select(SurveyVersion.survey_id, NotificationAttempt.participant_id, NotificationAttempt.scheduled_at)
            .join(SurveyVersion, SurveyVersion.id == NotificationAttempt.survey_version_id)
            .where(
                NotificationAttempt.status == "success",
                NotificationAttempt.scheduled_at <= self.now + timedelta(hours=26),
            )
        )
        return set(rows.tuples())

    def change(self) -> None:
        """Something that makes events appear and vanish."""
        person = self.dice.choice(self.people)
        match self.dice.choice(("zone", "retire", "date", "study", "week", "restore")):
            case "zone":
                name = self.dice.choice(ZONES)
                person.row.timezone_name, person.zone = name, ZoneInfo(name)
            case "retire":
                person.row.retired_at = None if person.row.retired_at else self.now
            case "date":
                for visit, on in list(person.dates.items()):
                    person.dates[visit] = on + timedelta(days=1)
                    moved = sa.update(InterventionDate).where(
                        InterventionDate.participant_id == person.row.id, InterventionDate.intervention_id == visit
                    )
                    self.session.execute(moved.values(happens_on=person.dates[visit]))
            case "study":
                self.study.timezone_name = self.dice.choice(ZONES)
            case "week":
                self.now += timedelta(hours=self.dice.randint(1, 200))
            case _:
                self.surveys[2].deleted_at = None if self.surveys[2].deleted_at else self.now
        self.session.flush()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_events_in_bulk_are_those_of_a_plain_loop(app: Flask, factory: Factory, seed: int):
    """NOTIF-3 to NOTIF-7, CLAR-52, CLAR-53: schedules of all kinds, arms, pauses, departures, zones, clock changes."""
    study = factory.study()
    world, made = World(factory, study, seed), 0
    for _ in range(3):
        ids = [person.row.id for person in world.people]
        some = set(world.dice.sample(ids, world.dice.randint(1, len(ids))))
        for people, survey in ((some, None), (None, world.surveys[0].id), (None, None)):
            expected = world.expected(people, survey)
            rebuild_events(world.session, study, world.now, participant_ids=people, survey_id=survey)
            assert world.events() == expected
        made += len(expected)
        world.change()
    assert made > 100


@pytest.mark.parametrize("platform", list(Platform))
def test_weeks_of_phones_are_always_seven_sorted_lists(app: Flask, factory: Factory, platform: Platform):
    """PHONE-47: whatever the schedules; each of the surveys that were asked for has its week."""
    study = factory.study()
    shown = 0
    for seed in range(100, 103):
        world = World(factory, study, seed)
        rebuild_events(world.session, study, world.now)
        numbers = [survey.id for survey in world.surveys]
        for person in world.people:
            person.row.os_type = platform.value
            weeks = timings_for_phones(world.session, person.row, numbers, world.now)
            assert sorted(weeks) == sorted(numbers)
            for week in weeks.values():
                assert len(week) == 7
                for day in week:
                    assert day == sorted(set(day)) and all(type(second) is int for second in day)
                    assert all(0 <= second < 86_400 and second % 60 == 0 for second in day)
                    shown += len(day)
        db.session.rollback()
    assert shown > 20
