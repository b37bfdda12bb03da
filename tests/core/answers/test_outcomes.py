"""Events that counted and what came of them; submissions that are late or extra (NOTIF-24, CLAR-51)."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.answers.counting import Touched, record_counted_events
from core.answers.outcomes import bring_outcomes_up_to_date, miss_expired, settle_outcomes
from core.database import db
from core.models import (
    CountedEvent,
    EventRebuild,
    Participant,
    ParticipantActivity,
    ScheduledEvent,
    Submission,
    Survey,
)
from core.streams import Platform
from core.surveys.events import rebuild_events
from core.surveys.expiry import set_expiry
from tests.support.answering import CONTENT, asks, file_of, opens, process, submission, submits
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
DONE = file_of({"mood": 1}, Platform.ANDROID)


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(factory.study(timezone_name="UTC"), timezone_name="UTC")


@pytest.fixture
def survey(factory: Factory, participant: Participant) -> Survey:
    return factory.survey(participant.study, content=json.dumps(CONTENT))


def step(at: datetime | None = None) -> None:
    """What the deployment does every few minutes."""
    now = at or this_hour()
    bring_outcomes_up_to_date(db.session(), now)
    miss_expired(db.session(), now)
    db.session.commit()


def outcomes() -> list[str]:
    return list(db.session.scalars(sa.select(CountedEvent.outcome).order_by(CountedEvent.counts_at)))


def event() -> CountedEvent:
    return db.session.scalars(sa.select(CountedEvent)).one()


def test_answered_late_missed_and_open(app: Flask, participant: Participant, survey: Survey):
    """NOTIF-24, CLAR-51: in time, after the expiry and before the next event, not at all, not yet."""
    now = this_hour()
    asks(participant, survey, *(now - n * DAY * 3 for n in (4, 3, 2, 1)), now - HOUR, now + 3 * HOUR)
    paths = [
        submits(participant, survey, now - 12 * DAY + HOUR, DONE),
        submits(participant, survey, now - 12 * DAY + 2 * HOUR, DONE),
        submits(participant, survey, now - 9 * DAY + 25 * HOUR, DONE),
        submits(participant, survey, now - 9 * DAY + 26 * HOUR, DONE),
        submits(participant, survey, now - 20 * DAY, DONE),
    ]
    process()
    step()
    assert [submission(path).standing for path in paths] == ["answered", "extra", "late", "extra", "unasked"]
    assert outcomes() == ["answered", "late", "missed", "missed", "open"]
    first, second = db.session.scalars(sa.select(CountedEvent).order_by(CountedEvent.counts_at).limit(2))
    assert (first.answered_at, first.submission_id) == (now - 12 * DAY + HOUR, submission(paths[0]).id)
    assert second.answered_at == now - 9 * DAY + 25 * HOUR and second.opened_at == second.answered_at
    step(now + DAY)
    assert outcomes() == ["answered", "late", "missed", "missed", "missed", "open"]


def test_an_upload_that_comes_days_later_still_answers_its_event(app: Flask, participant: Participant, survey: Survey):
    now = this_hour()
    asks(participant, survey, now - 5 * DAY, now - 4 * DAY)
    step()
    assert outcomes() == ["missed", "missed"]
    submits(participant, survey, now - 5 * DAY + HOUR, DONE)
    process()
    assert outcomes() == ["answered", "missed"]


def test_a_survey_has_its_own_time_to_answer_and_later_changes_leave_the_past(
    app: Flask, participant: Participant, survey: Survey
):
    """CLAR-51."""
    now = this_hour()
    set_expiry(db.session(), survey, 60)
    asks(participant, survey, now - DAY)
    step()
    set_expiry(db.session(), survey, 600)
    db.session.commit()
    submits(participant, survey, now - DAY + 2 * HOUR, DONE)
    process()
    assert outcomes() == ["late"] and event().expires_at == now - DAY + HOUR


def test_an_event_counts_on_the_participants_clock_and_a_journey_does_not_change_the_past(
    app: Flask, factory: Factory, participant: Participant, survey: Survey
):
    """NOTIF-21: in Tokyo the time comes nine hours earlier than in the study's zone."""
    now = this_hour()
    participant.timezone_name = "Asia/Tokyo"
    asks(participant, survey, now - DAY, now + 8 * HOUR, now + 10 * HOUR)
    step()
    counted = db.session.scalars(sa.select(CountedEvent).order_by(CountedEvent.counts_at)).all()
    assert [each.counts_at for each in counted] == [now - DAY - 9 * HOUR, now - HOUR]
    assert counted[1].on_day == (now + 8 * HOUR).date()
    participant.timezone_name = "America/New_York"
    db.session.commit()
    step()
    assert len(outcomes()) == 2


def test_opened_is_a_row_of_timings_or_a_submission(app: Flask, participant: Participant, survey: Survey):
    """NOTIF-24."""
    now = this_hour()
    asks(participant, survey, now - 3 * DAY, now - 2 * DAY, now - DAY)
    opens(participant, survey, now - 3 * DAY + 2 * HOUR)
    opens(participant, survey, now - 3 * DAY + HOUR)
    submits(participant, survey, now - 2 * DAY + HOUR, DONE)
    process()
    opened = db.session.scalars(sa.select(CountedEvent.opened_at).order_by(CountedEvent.counts_at)).all()
    assert opened == [now - 3 * DAY + HOUR, now - 2 * DAY + HOUR, None]


def test_removing_schedules_pausing_and_aging_leave_what_counted(
    app: Flask, factory: Factory, participant: Participant, survey: Survey
):
    """NOTIF-24: a rebuild writes down what it is about to remove."""
    now = this_hour()
    asks(participant, survey, now - HOUR)
    db.session.execute(sa.update(ScheduledEvent).values(schedule_id=None))
    survey.deleted_at = now
    db.session.commit()
    rebuild_events(db.session(), participant.study, now)
    db.session.commit()
    assert db.session.scalars(sa.select(ScheduledEvent)).all() == []
    assert outcomes() == ["open"]
    step(now + 2 * DAY)
    assert outcomes() == ["missed"]


def test_events_that_nobody_could_answer_do_not_count(app: Flask, factory: Factory, survey: Survey):
    """Without a phone, with one that came after the expiry, or made when their time was over."""
    now = this_hour()
    nobody = factory.participant(db.session.get_one(type(factory.study()), survey.study_id), platform=None)
    newcomer = factory.participant(nobody.study)
    db.session.execute(
        sa.update(ParticipantActivity)
        .where(ParticipantActivity.participant_id == newcomer.id)
        .values(first_registered_at=now - DAY)
    )
    for who in (nobody, newcomer):
        asks(who, survey, now - 3 * DAY)
    asks(newcomer, survey, now - HOUR)
    db.session.add(
        ScheduledEvent(survey_id=survey.id, participant_id=newcomer.id, scheduled_at=now - 4 * DAY, created_at=now)
    )
    db.session.commit()
    step()
    assert event().scheduled_at == now - HOUR


def test_events_wait_while_a_rebuild_does(app: Flask, participant: Participant, survey: Survey):
    """CLAR-14: they may be about to go."""
    now = this_hour()
    asks(participant, survey, now - HOUR)
    db.session.add(EventRebuild(study_id=participant.study_id))
    db.session.commit()
    step()
    assert outcomes() == []
    rebuild_events(db.session(), participant.study, now, asked_at=now - 2 * HOUR)
    assert outcomes() == []
    assert record_counted_events(db.session(), now, study_id=participant.study_id, waits_for_rebuild=False)


def test_an_event_that_begins_with_a_submission_takes_it_from_the_one_before(
    app: Flask, participant: Participant, survey: Survey
):
    """NOTIF-24: also where it is written down after the submission."""
    now = this_hour()
    asks(participant, survey, now - 2 * DAY)
    path = submits(participant, survey, now - DAY - HOUR, DONE)
    process()
    assert outcomes() == ["answered"]
    asks(participant, survey, now - DAY - HOUR)
    step()
    assert outcomes() == ["missed", "answered"] and submission(path).standing == "answered"


moments = st.lists(st.integers(0, 30 * 60), unique=True, max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=moments, submitted=st.lists(st.integers(0, 40 * 60), max_size=8), order=st.randoms())
def test_the_order_of_arrival_does_not_matter(app: Flask, events: list[int], submitted: list[int], order: Any):
    """NOTIF-24: against a plain reading of the rule."""
    now = this_hour()
    factory, session = Factory(), db.session()
    participant = factory.participant(factory.study(timezone_name="UTC"), timezone_name="UTC")
    survey = factory.survey(participant.study)
    begin, minutes = now - 3 * DAY, 300
    set_expiry(session, survey, minutes)
    arrivals = [("event", at) for at in events] + [("submission", at) for at in submitted]
    order.shuffle(arrivals)
    for place, (what, at) in enumerate(arrivals):
        moment = begin + at * MINUTE
        if what == "event":
            asks(participant, survey, moment)
            bring_outcomes_up_to_date(session, now, participant_ids=[participant.id])
            continue
        row = {"path": f"{participant.id} {place}", "participant_id": participant.id, "survey_id": survey.id}
        session.add(Submission(**row, submitted_at=moment, received_at=moment, is_new=True))
        settle_outcomes(session, [Touched(participant.id, survey.id, moment)], now)
    mine = {"participant_id": participant.id}
    session.expire_all()
    found = session.scalars(sa.select(CountedEvent).filter_by(**mine).order_by(CountedEvent.counts_at)).all()
    assert [each.outcome for each in found] == expected(sorted(events), submitted, minutes)
    standings = session.scalars(sa.select(Submission.standing).filter_by(**mine)).all()
    assert standings.count("answered") == sum(each.outcome == "answered" for each in found)
    assert standings.count("late") == sum(each.outcome == "late" for each in found)
    assert standings.count("unasked") == sum(at < min(events, default=10**9) for at in submitted)
    session.commit()


def expected(events: list[int], submitted: list[int], minutes: int) -> list[str]:
    outcomes = []
    for event_at, next_at in zip(events, [*events[1:], 10**9], strict=False):
        first = min((at for at in submitted if event_at <= at < next_at), default=None)
        in_time = first is not None and first < event_at + minutes
        outcomes.append("missed" if first is None else "answered" if in_time else "late")
    return outcomes
