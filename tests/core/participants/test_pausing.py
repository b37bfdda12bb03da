"""Pauses: no survey of that time is ever asked, and an Android phone's own alarms are silent (CLAR-36)."""

from datetime import datetime, time, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.models import Participant, ScheduledEvent
from core.participants import ParticipantRefused
from core.participants.pausing import current_pause, pause_participant, resume_participant
from core.streams import Platform
from core.surveys.events import rebuild_events
from core.surveys.schedules import Weekly
from core.surveys.timings import timings_for_phones
from tests.support.factories import Factory
from tests.support.this_hour import this_hour


def events(participant: Participant) -> list[datetime]:
    query = sa.select(ScheduledEvent.scheduled_at).where(ScheduledEvent.participant_id == participant.id)
    return sorted(db.session.scalars(query))


def asked_daily(factory: Factory, platform: Platform) -> Participant:
    participant = factory.participant(platform=platform)
    survey = factory.survey(participant.study)
    for weekday in range(7):
        factory.schedule(survey, Weekly(weekday, time(12)))
    rebuild_events(db.session(), participant.study, this_hour())
    db.session.commit()
    return participant


def test_events_of_a_pause_are_gone_and_never_come_later(app: Flask, factory: Factory):
    """CLAR-36, NOTIF-7."""
    now = this_hour()
    participant = asked_daily(factory, Platform.IOS)
    before, until = events(participant), now + timedelta(days=5)
    pause_participant(db.session(), participant, until, now, actor=COMMAND_LINE)
    left = events(participant)
    assert left == [at for at in before if not now <= at < until] and len(left) < len(before)
    later = now + timedelta(days=2)
    assert resume_participant(db.session(), participant, later, actor=COMMAND_LINE)
    now_planned = [at for at in events(participant) if at <= before[-1]]
    assert now_planned == [at for at in before if not now <= at < later]
    assert not resume_participant(db.session(), participant, later, actor=COMMAND_LINE)


@pytest.mark.parametrize(("platform", "is_empty"), [(Platform.ANDROID, True), (Platform.IOS, False)])
def test_android_gets_the_same_surveys_with_empty_weeks(
    app: Flask, factory: Factory, platform: Platform, is_empty: bool
):
    """CLAR-36, PHONE-45: a survey that is missing is deleted with its unfinished answers."""
    now = this_hour()
    participant = asked_daily(factory, platform)
    (survey_id,) = db.session.scalars(sa.text("SELECT id FROM surveys"))
    pause_participant(db.session(), participant, None, now, actor=COMMAND_LINE)
    week = timings_for_phones(db.session(), participant, [survey_id], now)[survey_id]
    assert len(week) == 7 and (week == [[]] * 7) == is_empty
    resume_participant(db.session(), participant, now + timedelta(hours=1), actor=COMMAND_LINE)
    assert timings_for_phones(db.session(), participant, [survey_id], now + timedelta(hours=2))[survey_id] != [[]] * 7


def test_a_pause_is_moved_and_refused_where_it_cannot_be(app: Flask, factory: Factory):
    now = this_hour()
    participant = factory.participant()
    first = pause_participant(db.session(), participant, None, now, actor=COMMAND_LINE)
    until = now + timedelta(days=1)
    assert pause_participant(db.session(), participant, until, now, actor=COMMAND_LINE) is first
    assert current_pause(db.session(), participant.id, now) is first
    assert current_pause(db.session(), participant.id, until) is None
    with pytest.raises(ParticipantRefused, match="in the future"):
        pause_participant(db.session(), participant, now, now, actor=COMMAND_LINE)
    participant.retired_at = now
    db.session.flush()
    with pytest.raises(ParticipantRefused, match="retired"):
        pause_participant(db.session(), participant, None, now, actor=COMMAND_LINE)
