"""The calendar of the coming weeks, its marks, and its file."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import icalendar
import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue, Schedule, ScheduledEvent, Study
from core.participants.changing import retire_participant
from core.participants.pausing import pause_participant
from core.studies.changing import set_end_date, stop_study
from core.surveys.calendar_file import calendar_file
from core.surveys.coming import Calendar, coming_events
from core.surveys.events import rebuild_events
from core.surveys.rules.calendar import ClockChange, clock_change, close_pairs, full_weeks
from core.surveys.schedules import Absolute, Arm, Planned, Random, Relative, ScheduleKind, Weekly
from core.surveys.scheduling import ScheduleChanges
from tests.support.factories import Factory

NOW = datetime(2024, 10, 30, 12, tzinfo=UTC)  # a Wednesday; clocks in New York go back on Sunday
NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study()


def walls(calendar: Calendar) -> list[str]:
    return [each.wall.strftime("%m-%d %H:%M") for each in calendar.surveys]


def test_all_kinds_are_shown_for_four_weeks(study: Study, factory: Factory):
    """NOTIF-1, CLAR-52, CLAR-53: where events exist the calendar has them, and it looks further ahead."""
    participant = factory.participant(study)
    survey, intervention = factory.survey(study, name="Mood"), factory.intervention(study)
    field = CustomField(study_id=study.id, name="Group")
    db.session.add(field)
    db.session.flush()
    db.session.add(FieldValue(participant_id=participant.id, field_id=field.id, value="A"))
    factory.schedule(survey, Weekly(3, time(7)))
    factory.schedule(survey, Weekly(4, time(7)), Arm(field.id, "A"))
    factory.schedule(survey, Weekly(5, time(7)), Arm(field.id, "B"))
    factory.schedule(survey, Absolute(date(2024, 11, 20), time(9)))
    factory.schedule(survey, Relative(intervention.id, 2, time(9)))
    factory.schedule(survey, Random((6,), time(9), time(21), 2, 60))
    factory.intervention_date(participant, intervention, date(2024, 11, 8))
    rebuild_events(db.session(), study, NOW)
    calendar = coming_events(db.session(), study, participant, NEW_YORK, NOW)
    assert len(calendar.days) == 28 and calendar.days[0].day == date(2024, 10, 30)
    fixed = [each.wall.strftime("%m-%d %H:%M") for each in calendar.surveys if each.kind is not ScheduleKind.RANDOM]
    weekly = ["10-31 07:00", "11-06 07:00", "11-07 07:00", "11-13 07:00", "11-14 07:00", "11-20 07:00", "11-21 07:00"]
    assert fixed == sorted([*weekly, "11-10 09:00", "11-20 09:00"])
    assert sum(each.kind is ScheduleKind.RANDOM for each in calendar.surveys) == 8
    shown = {each.at for each in calendar.surveys}
    events = db.session.scalars(sa.select(ScheduledEvent.scheduled_at).where(ScheduledEvent.scheduled_at > NOW))
    assert set(events) <= shown
    unnamed = coming_events(db.session(), study, None, NEW_YORK, NOW)
    assert len(unnamed.surveys) == 3 + 1 + 8 and sum(each.is_example for each in unnamed.surveys) == 8
    of_b = coming_events(db.session(), study, None, NEW_YORK, NOW, arm=Arm(field.id, "B"))
    assert len(of_b.surveys) == 3 + 1 + 8 + 4


def test_clock_changes_and_pile_ups_are_marked(study: Study, factory: Factory):
    """The day of 25 hours; two surveys within a minute; more than 40 in a week."""
    many, one = factory.survey(study), factory.survey(study)
    for day in range(7):
        for hour in range(8, 14):
            factory.schedule(many, Weekly(day, time(hour)))
    factory.schedule(one, Weekly(1, time(8, 1)))
    calendar = coming_events(db.session(), study, None, NEW_YORK, NOW, days=7)
    marked = {day.day: day.change for day in calendar.days if day.change}
    assert marked == {date(2024, 11, 3): ClockChange(time(2), time(1), 1_500)}
    assert [(each.at, each.surveys) for each in calendar.close] == [
        (datetime(2024, 11, 4, 13, tzinfo=UTC), (many.id, one.id))
    ]
    assert calendar.full_weeks == []  # 24 to Saturday, 19 from Sunday to Tuesday
    full = coming_events(db.session(), study, None, NEW_YORK, NOW, days=12).full_weeks
    assert [(week.sunday, week.count) for week in full] == [(date(2024, 11, 3), 43)]


def test_who_does_not_take_part_has_an_empty_calendar(study: Study, factory: Factory):
    """NOTIF-3, CLAR-36, PORTAL-91."""
    participant, retired = factory.participant(study), factory.participant(study)
    factory.schedule(factory.survey(study), Weekly(1, time(9)))
    pause_participant(db.session(), participant, datetime(2024, 11, 6, tzinfo=UTC), NOW, actor=SERVER)
    retire_participant(db.session(), retired, NOW, actor=SERVER)
    assert walls(coming_events(db.session(), study, participant, NEW_YORK, NOW)) == [
        "11-11 09:00",
        "11-18 09:00",
        "11-25 09:00",
    ]
    assert coming_events(db.session(), study, retired, NEW_YORK, NOW).surveys == []
    set_end_date(db.session(), study, date(2024, 11, 18), NOW, actor=SERVER)
    assert walls(coming_events(db.session(), study, participant, NEW_YORK, NOW)) == ["11-11 09:00", "11-18 09:00"]
    stop_study(db.session(), study, NOW, actor=SERVER)
    assert coming_events(db.session(), study, None, NEW_YORK, NOW).surveys == []


def test_changes_that_are_not_saved_are_shown_and_stay_unsaved(study: Study, factory: Factory):
    """In another zone, on its clock (NOTIF-21)."""
    survey = factory.survey(study, published_at=None)
    factory.schedule(survey, Weekly(1, time(9)))
    assert coming_events(db.session(), study, None, BERLIN, NOW).surveys == []
    changes = ScheduleChanges([Planned(Weekly(2, time(2, 30)))])
    calendar = coming_events(db.session(), study, None, BERLIN, NOW, changes=(survey, changes))
    assert walls(calendar) == ["11-05 02:30", "11-12 02:30", "11-19 02:30", "11-26 02:30"]
    assert calendar.surveys[0].at == datetime(2024, 11, 5, 1, 30, tzinfo=UTC)
    assert db.session.scalars(sa.select(Schedule.weekday)).all() == [1]


def test_the_file_is_read_by_others_and_its_uids_stay(study: Study, factory: Factory):
    """RFC 5545: text that needs escaping, long lines, moments in UTC."""
    participant = factory.participant(study)
    survey = factory.survey(study, name="Mood; how, are you\\ " + "é" * 80)
    factory.schedule(survey, Weekly(1, time(9)))
    factory.schedule(survey, Random((2,), time(9), time(21), 2, 60))
    calendar = coming_events(db.session(), study, participant, NEW_YORK, NOW)
    data = calendar_file(calendar, "Study", participant.patient_id, NOW)
    assert all(len(line) <= 75 for line in data.split(b"\r\n")) and data.endswith(b"END:VCALENDAR\r\n")
    read = icalendar.Calendar.from_ical(data).walk("VEVENT")
    assert [event["dtstart"].dt for event in read] == [each.at for each in calendar.surveys]
    assert {str(event["summary"]) for event in read} == {survey.name}
    uids = [str(event["uid"]) for event in read]
    assert len(set(uids)) == len(uids) == 12
    later = coming_events(db.session(), study, participant, NEW_YORK, NOW + timedelta(days=7))
    again = icalendar.Calendar.from_ical(calendar_file(later, "Study", participant.patient_id, NOW)).walk("VEVENT")
    assert [str(event["uid"]) for event in again][:9] == uids[3:]
    examples = coming_events(db.session(), study, None, NEW_YORK, NOW)
    assert b"A random time" in calendar_file(examples, "Study", "anybody", NOW)


@pytest.mark.parametrize(
    ("zone", "day", "change"),
    [
        ("America/New_York", date(2024, 3, 10), ClockChange(time(2), time(3), 1_380)),
        ("Australia/Lord_Howe", date(2024, 4, 7), ClockChange(time(2), time(1, 30), 1_470)),
        ("America/Santiago", date(2024, 9, 8), ClockChange(time(0), time(1), 1_380)),
        ("America/New_York", date(2024, 3, 11), None),
    ],
)
def test_a_clock_change_says_when_and_which_way(zone: str, day: date, change: ClockChange | None):
    assert clock_change(day, ZoneInfo(zone)) == change
    assert change is None or change.is_forward == (change.minutes < 1_440)


@given(st.sampled_from(sorted(available_timezones())), st.dates(date(2022, 1, 1), date(2028, 1, 1)))
def test_days_that_are_not_of_24_hours_have_a_clock_change(zone: str, day: date):
    start, end = (datetime.combine(on, time(), ZoneInfo(zone)).astimezone(UTC) for on in (day, day + timedelta(days=1)))
    change = clock_change(day, ZoneInfo(zone))
    assert (change is not None) == (end - start != timedelta(days=1))


def test_surveys_of_one_kind_are_no_pile_up():
    """Two times of one survey within a minute are one message (NOTIF-22)."""
    at = [NOW + timedelta(seconds=60 * n) for n in (0, 0, 1, 3)]
    assert [(each.at, each.surveys) for each in close_pairs([(at[0], 1), (at[1], 1), (at[2], 2), (at[3], 1)])] == [
        (NOW, (1, 2)),
        (NOW, (1, 2)),
    ]
    assert full_weeks([(NOW, 1)] * 40, NEW_YORK) == []
    assert [week.count for week in full_weeks([(NOW, 1)] * 41, NEW_YORK)] == [41]
