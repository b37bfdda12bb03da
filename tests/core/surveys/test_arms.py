"""Schedules of one arm: who is asked follows a custom field, from the participant's next local day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import SiteLimit
from core.audit import SERVER
from core.database import db
from core.limits import limit_session
from core.models import CustomField, FieldValue, FieldValueChange, Participant, Schedule, ScheduledEvent, Study
from core.participants.editing import edit_many, edit_participant, undo_edit
from core.participants.rows import tables_of_participants
from core.streams import Platform
from core.studies.custom_fields import create_field, delete_field
from core.studies.names import NameRefused
from core.surveys.asking import Standing, is_asked
from core.surveys.events import Rebuilt, rebuild_events
from core.surveys.schedules import Absolute, Arm, Planned, Random, Relative, Weekly
from core.surveys.scheduling import ScheduleChanges, save_schedules
from core.surveys.timing_lists import TimingRefused
from core.surveys.timings import timings_for_phones
from tests.support.factories import Factory

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)  # a Wednesday, 08:00 in New York
TOMORROW = NOW + timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
AT_NINE = [Weekly(day, time(9)) for day in range(7)]


class Arms:
    """A study whose field Group divides it into arms A and B, with a survey and some participants."""

    def __init__(self, factory: Factory) -> None:
        self.study = factory.study()
        self.survey = factory.survey(self.study)
        self.field = create_field(db.session(), self.study, "Group", actor=SERVER)
        db.session.commit()
        self.a, self.b = Arm(self.field.id, "A"), Arm(self.field.id, "B")
        self.factory = factory

    def participant(self, value: str | None = None, **columns: Any) -> Participant:
        """One who has had this value from the beginning."""
        participant = self.factory.participant(self.study, **columns)
        if value:
            db.session.add(FieldValue(participant_id=participant.id, field_id=self.field.id, value=value))
            db.session.commit()
        return participant

    def set(self, participant: Participant, value: str, now: datetime = NOW) -> None:
        edit_participant(db.session(), participant, {f"field:{self.field.id}": value}, now, actor=SERVER)
        db.session.commit()

    def save(self, *planned: Planned, now: datetime = NOW) -> None:
        save_schedules(db.session(), self.survey, ScheduleChanges(planned), now, actor=SERVER)
        db.session.commit()

    def has_had(self, *planned: Planned) -> None:
        """Schedules that were there long ago."""
        for each in planned:
            self.factory.schedule(self.survey, each.timing, each.arm)
        self.rebuild()

    def rebuild(self, now: datetime = NOW) -> Rebuilt:
        rebuilt = rebuild_events(db.session(), self.study, now)
        db.session.commit()
        return rebuilt


@pytest.fixture
def arms(app: Flask, factory: Factory) -> Arms:
    return Arms(factory)


def ids(participant: Participant) -> dict[int, datetime]:
    query = sa.select(ScheduledEvent.id, ScheduledEvent.scheduled_at).order_by(ScheduledEvent.scheduled_at)
    return dict(db.session.execute(query.where(ScheduledEvent.participant_id == participant.id)).tuples().all())


def shown(participant: Participant, zone: ZoneInfo = NEW_YORK) -> list[str]:
    """Day of June and time of the participant's events, on the study's clock."""
    return [at.astimezone(zone).strftime("%-d %H:%M") for at in ids(participant).values()]


def test_only_participants_of_the_arm_are_asked_and_nobody_without_a_value(arms: Arms):
    """CLAR-53, NOTIF-3: weekly, absolute, relative and random ones."""
    a, b, none, other = arms.participant("A"), arms.participant("B"), arms.participant(), arms.participant("a")
    intervention = arms.factory.intervention(arms.study)
    for participant in (a, b, none):
        arms.factory.intervention_date(participant, intervention, date(2024, 6, 20))
    arms.has_had(
        Planned(Weekly(4, time(9)), arms.a),
        Planned(Weekly(4, time(10)), arms.b),
        Planned(Weekly(4, time(11))),
        Planned(Absolute(date(2024, 6, 1), time(9)), arms.a),
        Planned(Relative(intervention.id, 1, time(9)), arms.a),
        Planned(Random((5,), time(12), time(12), 1, 1), arms.a),
    )
    assert shown(a) == ["1 09:00", "6 09:00", "6 11:00", "7 12:00", "13 09:00", "13 11:00", "14 12:00", "21 09:00"]
    assert shown(b) == ["6 10:00", "6 11:00", "13 10:00", "13 11:00"]
    assert shown(none) == shown(other) == ["6 11:00", "13 11:00"]
    assert arms.rebuild() == Rebuilt(0, 0)


def test_a_value_that_is_set_changed_or_removed_counts_from_the_next_local_day(arms: Arms):
    """CLAR-52, CLAR-53: at 08:00 in New York it is 21:00 in Tokyo; what was for today stays."""
    here, there = arms.participant("A"), arms.participant("A", timezone_name="Asia/Tokyo")
    arms.has_had(*(Planned(timing, arms.a) for timing in AT_NINE), Planned(Weekly(3, time(22)), arms.b))
    before = ids(here)
    assert shown(here)[:2] == ["5 09:00", "6 09:00"] == shown(there)[:2]
    arms.set(here, "B")
    assert shown(here) == ["5 09:00", "12 22:00"]
    assert next(iter(ids(here))) == next(iter(before))
    arms.set(here, "")
    assert shown(here) == ["5 09:00"]
    arms.set(here, "A", NOW + timedelta(hours=1))  # the value of the morning counts for the day
    assert list(ids(here).values()) == list(before.values())
    late = NOW + timedelta(hours=4)  # 12:00 in New York, the 6th in Tokyo
    arms.set(there, "", late)
    assert shown(there) == ["5 09:00", "6 09:00"]
    assert arms.rebuild(TOMORROW).removed == 0
    assert shown(there) == ["5 09:00", "6 09:00"]


def test_who_gets_a_value_late_is_asked_nothing_of_before(arms: Arms):
    """CLAR-53: absolute dates of an arm count from the day after, unlike others (NOTIF-6)."""
    participant = arms.participant()
    days = [date(2024, 6, day) for day in (1, 5, 6)]
    arms.has_had(*(Planned(Absolute(day, time(23)), arms.a) for day in days))
    arms.set(participant, "A")
    assert shown(participant) == ["6 23:00"]


def test_bulk_edits_and_their_undoing_bring_events_into_step(arms: Arms):
    """CLAR-53, CLAR-25: imports and commands go the same way."""
    people = [arms.participant() for _ in range(3)]
    arms.has_had(Planned(Weekly(5, time(9)), arms.a))
    change = {f"field:{arms.field.id}": "A"}
    edit, waits = edit_many(db.session(), arms.study, {p.id: change for p in people}, "Arms", NOW, actor=SERVER)
    assert edit and not waits
    assert [shown(person) for person in people] == [["7 09:00", "14 09:00"]] * 3
    undo_edit(db.session(), arms.study, edit, NOW, actor=SERVER)
    assert [shown(person) for person in people] == [[]] * 3
    other = create_field(db.session(), arms.study, "Clinic", actor=SERVER)
    db.session.flush()
    before = db.session.scalar(sa.select(sa.func.count(FieldValueChange.id)))
    edit_participant(db.session(), people[0], {f"field:{other.id}": "x"}, NOW, actor=SERVER)
    assert db.session.scalar(sa.select(sa.func.count(FieldValueChange.id))) == before == 6
    assert FieldValueChange.__table__ in tables_of_participants()  # a purge removes them


def test_schedules_that_move_to_an_arm_or_from_it_ask_today_as_they_did(arms: Arms):
    """CLAR-52, CLAR-53, SURVEY-31: neither lost nor doubled on the day of the change."""
    a, b = arms.participant("A"), arms.participant("B")
    arms.has_had(*(Planned(timing) for timing in AT_NINE))
    first = ids(b)
    arms.save(*(Planned(timing, arms.a) for timing in AT_NINE))
    assert shown(b) == ["5 09:00"] and next(iter(ids(b))) == next(iter(first))
    assert shown(a)[:3] == ["5 09:00", "6 09:00", "7 09:00"]
    before = ids(a)
    arms.save(*(Planned(timing, arms.a) for timing in AT_NINE))
    assert ids(a) == before
    arms.save(*(Planned(timing) for timing in AT_NINE), now=TOMORROW)
    assert shown(a)[:3] == ["5 09:00", "6 09:00", "7 09:00"] and len(shown(a)) == len(set(shown(a)))
    assert shown(b)[:3] == ["5 09:00", "7 09:00", "8 09:00"]


def test_phones_get_the_weekly_times_of_their_arm_and_ios_those_of_everybody(arms: Arms):
    """CLAR-53, PHONE-47, PHONE-52: each day of the week stands for its next date, today's for this morning's arm."""
    a, b, none = arms.participant("A"), arms.participant("B"), arms.participant()
    ios = arms.participant("A", platform=Platform.IOS)
    arms.has_had(Planned(Weekly(3, time(9)), arms.a), Planned(Weekly(4, time(9)), arms.a), Planned(Weekly(1, time(9))))

    def week(participant: Participant, now: datetime = NOW) -> list[int]:
        """The days of the week with a time."""
        timings = timings_for_phones(db.session(), participant, [arms.survey.id], now)[arms.survey.id]
        return [day for day, times in enumerate(timings) if times]

    assert [week(person) for person in (a, b, none, ios)] == [[1, 3, 4], [1], [1], [1]]
    arms.set(a, "")
    assert (week(a), week(a, TOMORROW)) == ([1, 3], [1])
    arms.set(b, "A")
    assert (week(b), week(b, TOMORROW)) == ([1, 4], [1, 3, 4])


def test_a_field_that_schedules_use_is_deleted_only_with_them(arms: Arms):
    """CLAR-53: as interventions are (PORTAL-172)."""
    participant = arms.participant("A")
    arms.survey.name = "Mood"
    arms.has_had(Planned(Weekly(5, time(9)), arms.a), Planned(Weekly(6, time(9))))
    with pytest.raises(NameRefused, match="Group is used by schedules of Mood"):
        delete_field(db.session(), arms.study, arms.field, actor=SERVER)
    arms.set(participant, "B")
    delete_field(db.session(), arms.study, arms.field, with_schedules=True, actor=SERVER)
    db.session.commit()
    assert shown(participant) == ["8 09:00", "15 09:00"]
    assert (
        db.session.scalars(sa.select(CustomField)).all() == db.session.scalars(sa.select(FieldValueChange)).all() == []
    )


def test_a_field_of_another_study_and_odd_values_are_refused(arms: Arms):
    """CLAR-53, SURVEY-30: with the entry's place."""
    foreign = create_field(db.session(), arms.factory.study(), "Group", actor=SERVER)
    db.session.commit()
    for arm, why in (
        (Arm(foreign.id, "A"), "no custom field"),
        (Arm(arms.field.id, ""), "1 to 200"),
        (Arm(arms.field.id, " A"), "no space around"),
        (Arm(arms.field.id, "x" * 201), "1 to 200"),
    ):
        with pytest.raises(TimingRefused, match=f"weekly timings, entry 2: .*{why}"):
            arms.save(Planned(Weekly(0, time(9))), Planned(Weekly(0, time(9)), arm))
        db.session.rollback()


def test_people_limited_to_a_site_set_arms_of_their_participants_alone(arms: Arms):
    """PERM-95: changes of arms are written and read through the limit; others keep their events."""
    site = create_field(db.session(), arms.study, "Site", actor=SERVER)
    db.session.commit()
    mine, theirs = arms.participant(), arms.participant("A")
    for participant, value in ((mine, "North"), (theirs, "South")):
        db.session.add(FieldValue(participant_id=participant.id, field_id=site.id, value=value))
    db.session.commit()
    arms.has_had(Planned(Weekly(5, time(9)), arms.a))
    numbers = (arms.study.id, mine.id, arms.field.id, site.id)
    db.session.commit()
    with sa.orm.Session(db.engine) as session:
        limit_session(session, {numbers[0]: SiteLimit(numbers[3], ("North",))})
        study = session.get_one(Study, numbers[0])
        participant = session.get_one(Participant, numbers[1])
        assert participant.study is study
        edit_participant(session, participant, {f"field:{numbers[2]}": "A"}, NOW, actor=SERVER)
        session.commit()
        assert session.scalars(sa.select(FieldValueChange.participant_id)).all() == [numbers[1]]
    assert shown(mine) == shown(theirs) == ["7 09:00", "14 09:00"]


def test_the_first_of_several_changes_of_a_day_tells_what_counts_on_it():
    """CLAR-53: by the participant's calendar."""
    day = date(2024, 6, 5)
    history = ("C", ((day - timedelta(days=2), None), (day, "A"), (day, "B")))
    standing = Standing(NEW_YORK, ((7, history),))
    values = [standing.value_on(7, day + timedelta(days=n)) for n in range(-3, 2)]
    assert values == [None, None, "A", "A", "C"]
    schedule = Schedule(arm_field_id=7, arm_value="A", begins_after=None, ends_after=None)
    assert [is_asked(schedule, day + timedelta(days=n), standing) for n in (-2, 0, 1)] == [False, True, False]
    assert standing.value_on(8, day) is None
