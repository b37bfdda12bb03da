"""Scheduled events of random schedules: three weeks of them, the same after any rebuild, changed from the next day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import SERVER
from core.database import db
from core.models import Participant, Schedule, ScheduledEvent, Study, Survey
from core.participants.changing import retire_participant
from core.participants.pausing import pause_participant
from core.streams import Platform
from core.studies.changing import reopen_study, set_timezone, stop_study
from core.surveys.events import Rebuilt, rebuild_events
from core.surveys.rebuilding import rebuild_study
from core.surveys.saving import SurveyChanges, save_survey
from core.surveys.schedules import Planned, Random, ScheduleKind, Weekly, counts_as
from core.surveys.scheduling import ScheduleChanges, planned_schedules, save_schedules
from core.surveys.timings import timings_for_phones
from tests.support.factories import Factory

NOW = datetime(2024, 6, 5, 16, tzinfo=UTC)  # a Wednesday at noon in New York
TODAY = date(2024, 6, 5)
RANDOM = Random((1, 3, 5), time(9), time(21), 4, 60)
NEW_YORK, TOKYO = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")


@pytest.fixture
def survey(app: Flask, factory: Factory) -> Survey:
    return factory.survey(factory.study())


def rebuild(study: Study, now: datetime = NOW, **scope: Any) -> Rebuilt:
    rebuilt = rebuild_events(db.session(), study, now, **scope)
    db.session.commit()
    return rebuilt


def save(survey: Survey, *planned: Planned, now: datetime = NOW) -> None:
    save_schedules(db.session(), survey, ScheduleChanges(planned), now, actor=SERVER)
    db.session.commit()


def events(participant: Participant | None = None) -> dict[int, datetime]:
    """Moments of events by their ids, in order."""
    query = sa.select(ScheduledEvent.id, ScheduledEvent.scheduled_at)
    if participant:
        query = query.where(ScheduledEvent.participant_id == participant.id)
    return dict(db.session.execute(query.order_by(ScheduledEvent.scheduled_at)).tuples().all())


def days_of(participant: Participant, zone: ZoneInfo = NEW_YORK) -> list[date]:
    return [at.astimezone(zone).date() for at in events(participant).values()]


def test_three_weeks_are_drawn_for_each_participant_and_stay(survey: Survey, factory: Factory):
    """CLAR-52, NOTIF-5: what is later than now of this week and next week; other participants have other times."""
    study = db.session.get_one(Study, survey.study_id)
    one, two = factory.participant(study), factory.participant(study)
    schedule = factory.schedule(survey, RANDOM)
    assert rebuild(study).removed == 0
    first = events(one)
    assert set(days_of(one)) - {TODAY} == {date(2024, 6, day) for day in (7, 10, 12, 14)}
    assert all(at > NOW for at in first.values()) and len(first) >= 16
    assert all(RANDOM.first <= at.astimezone(NEW_YORK).time() <= RANDOM.last for at in first.values())
    assert list(first.values()) != list(events(two).values())
    assert rebuild(study) == Rebuilt(0, 0)
    assert rebuild(study, participant_ids=[one.id]) == Rebuilt(0, 0)
    assert rebuild(study, NOW + timedelta(days=3, hours=1)) == Rebuilt(0, 0)  # the events of before are past, and stay
    assert rebuild_study(db.engine, study.id, NOW).removed == 0
    db.session.execute(sa.delete(ScheduledEvent))
    rebuild(study)
    assert list(events(one).values()) == list(first.values())  # the same draws from the same seed
    db.session.execute(sa.update(Schedule).where(Schedule.id == schedule.id).values(seed=sa.func.gen_random_uuid()))
    assert rebuild(study).removed > 20
    assert rebuild(study, NOW + timedelta(days=7)).created == 24


def test_prompts_are_in_their_window_on_the_participants_clock(survey: Survey, factory: Factory):
    """CLAR-52, NOTIF-21: a phone in Tokyo, a study in New York; today's that are past there are not made."""
    study = db.session.get_one(Study, survey.study_id)
    participant = factory.participant(study, timezone_name="Asia/Tokyo")
    factory.schedule(survey, Random(tuple(range(7)), time(9), time(21), 6, 60))
    rebuild(study)
    counted = [counts_as(at, NEW_YORK, TOKYO) for at in events(participant).values()]
    assert len(counted) == 10 * 6 and min(counted) > NOW  # it is Thursday there already
    assert all(time(9) <= at.astimezone(TOKYO).time() <= time(21) for at in counted)


def test_a_change_takes_effect_from_the_next_day_on_each_participants_calendar(survey: Survey, factory: Factory):
    """CLAR-52: it is Wednesday in New York, Thursday in Tokyo; today's prompts stay as they were."""
    study = db.session.get_one(Study, survey.study_id)
    here, there = factory.participant(study), factory.participant(study, timezone_name="Asia/Tokyo")
    every_day = Random(tuple(range(7)), time(0), time(23, 59), 6, 60)
    factory.schedule(survey, every_day)
    rebuild(study)
    before = {person: events(person) for person in (here, there)}
    other = Random(tuple(range(7)), time(8), time(10), 2, 30)
    now = NOW.replace(hour=16)
    save(survey, Planned(other))
    for person, last_old in ((here, TODAY), (there, TODAY + timedelta(days=1))):
        kept = {number: at for number, at in before[person].items() if at.astimezone(NEW_YORK).date() <= last_old}
        after = events(person)
        assert kept and {number: after[number] for number in kept} == kept
        new = [at for number, at in after.items() if number not in kept]
        assert new and min(at.astimezone(NEW_YORK).date() for at in new) == last_old + timedelta(days=1)
        assert all(time(8) <= at.astimezone(NEW_YORK).time() <= time(10) for at in new)
    assert planned_schedules(db.session(), survey) == [Planned(other)]
    assert rebuild(study, now) == Rebuilt(0, 0)
    rebuild_study(db.engine, study.id, now + timedelta(days=4))
    assert db.session.scalar(sa.select(sa.func.count(Schedule.id))) == 1  # the old one is over everywhere


def test_schedules_that_stay_equal_keep_rows_seeds_and_events(survey: Survey, factory: Factory):
    """SURVEY-31, CLAR-52: also when text or other kinds are saved."""
    study = db.session.get_one(Study, survey.study_id)
    factory.participant(study)
    save(survey, Planned(RANDOM), Planned(Weekly(1, time(9))))
    before = events()
    assert before
    save(survey, Planned(Weekly(1, time(9))), Planned(RANDOM), Planned(RANDOM))
    assert events() == before
    changes = SurveyChanges(name="New words", content=[], timings={ScheduleKind.WEEKLY: [Weekly(1, time(9))]})
    save_survey(db.session(), survey, changes, NOW, actor=SERVER)
    assert events() == before
    save(survey, Planned(RANDOM))
    assert set(events()) < set(before)


def test_nobody_is_prompted_in_a_pause_after_retiring_or_in_a_stopped_study(survey: Survey, factory: Factory):
    """CLAR-52, NOTIF-3, NOTIF-7, CLAR-36: and the same times come back with the study."""
    study = db.session.get_one(Study, survey.study_id)
    paused, retired, other = (factory.participant(study) for _ in range(3))
    factory.schedule(survey, RANDOM)
    rebuild(study)
    before = events(other)
    pause_participant(db.session(), paused, datetime(2024, 6, 9, tzinfo=UTC), NOW, actor=SERVER)
    retire_participant(db.session(), retired, NOW, actor=SERVER)
    db.session.commit()
    assert set(days_of(paused)) == {date(2024, 6, day) for day in (10, 12, 14)} and events(retired) == {}
    stop_study(db.session(), study, NOW, actor=SERVER)
    assert events() == {}
    reopen_study(db.session(), study, NOW, actor=SERVER)
    assert list(events(other).values()) == list(before.values())


def test_another_zone_of_the_study_keeps_the_wall_clock(survey: Survey, factory: Factory):
    """CLAR-52, NOTIF-7."""
    study = db.session.get_one(Study, survey.study_id)
    participant = factory.participant(study, timezone_name="Europe/Berlin")
    factory.schedule(survey, RANDOM)
    rebuild(study)
    before = {at.astimezone(NEW_YORK).replace(tzinfo=None) for at in events(participant).values()}
    set_timezone(db.session(), study, "Asia/Tokyo", NOW, actor=SERVER)
    after = {at.astimezone(TOKYO).replace(tzinfo=None) for at in events(participant).values()}
    assert before == after


def test_android_phones_get_random_times_folded_into_their_week_and_ios_none(survey: Survey, factory: Factory):
    """CLAR-52, CLAR-53, PHONE-48, PHONE-52."""
    study = db.session.get_one(Study, survey.study_id)
    android, ios = factory.participant(study), factory.participant(study, platform=Platform.IOS)
    factory.schedule(survey, Random((5,), time(9), time(21), 3, 60))
    factory.schedule(survey, Weekly(2, time(10)))
    rebuild(study)
    friday = sorted(
        (at.astimezone(NEW_YORK).hour * 60 + at.astimezone(NEW_YORK).minute) * 60
        for at in events(android).values()
        if at.astimezone(NEW_YORK).date() == date(2024, 6, 7)
    )
    weeks = timings_for_phones(db.session(), android, [survey.id], NOW)
    assert weeks == {survey.id: [[], [], [36_000], [], [], friday, []]} and len(friday) == 3
    assert timings_for_phones(db.session(), ios, [survey.id], NOW) == {survey.id: [[], [], [36_000], [], [], [], []]}


def test_the_number_of_statements_does_not_grow_with_the_number_of_participants(survey: Survey):
    """CLAR-52: random schedules too are compared and filled in bulk."""
    study = db.session.get_one(Study, survey.study_id)
    rows = [
        {"patient_id": f"q{n:07}".replace("0", "z"), "study_id": study.id, "password_hash": "x"} for n in range(300)
    ]
    db.session.execute(sa.insert(Participant), rows)
    changes = ScheduleChanges([Planned(RANDOM)])
    save_schedules(db.session(), survey, changes, NOW, actor=SERVER)
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    assert rebuild(study) == Rebuilt(0, 0)
    sa.event.remove(db.engine, "before_cursor_execute", note)
    assert len(events()) == 300 * 4 * 4 and len(statements) <= 8
