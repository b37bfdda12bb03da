"""The simulated phones, which behave as the apps do, at the real server."""

import time

import pytest
from flask import Flask

from core.database import db
from core.models import Participant, ParticipantActivity, ProblemUpload, QueuedUpload
from core.phones.file_names import EXTENSIONS, NameNotAccepted, is_junk, raw_path
from core.streams import SPECS
from core.streams import Platform as OurPlatform
from ops.phones import Phone, Platform, Transport
from ops.phones.data import HEADERS
from ops.phones.history import Habit
from ops.phones.live import HEARTBEAT_SECONDS, SETTINGS_SECONDS, _run_timers
from ops.phones.member import Member
from tests.support.factories import PASSWORD, Factory

both = pytest.mark.parametrize("platform", Platform)


def phone_of(server: str, participant: Participant, platform: Platform) -> Phone:
    phone = Phone(participant.patient_id, PASSWORD, platform, Transport(server))
    phone.register()
    assert phone.is_registered and phone.problems == []
    return phone


def newest(participant: Participant, column: str) -> object:
    db.session.rollback()
    column_of = getattr(ParticipantActivity, column)
    return db.session.scalar(db.select(column_of).where(ParticipantActivity.participant_id == participant.id))


@both
def test_after_registration_a_phone_finds_all_that_it_asks_for(server: str, factory: Factory, platform: Platform):
    """PHONE-39: with the new password, settings, surveys and token, and then its first files."""
    participant = factory.participant(platform=None)
    survey = factory.survey(participant.study, settings='{"audio_survey_type": "raw"}')
    phone = Phone(participant.patient_id, PASSWORD, platform, Transport(server))
    phone.register(new_password="a new one")
    member = Member(phone, Habit.STEADY)
    member.fetch_all()
    phone.collect("accel", 1717236000000, 1717236060000)
    assert [answer.status for answer in phone.upload_round()] == [200]
    assert phone.problems == [] and [found["_id"] for found in phone.surveys] == [survey.object_id]
    assert phone.set_password("another").status == 200
    for column in ("last_upload_at", "last_surveys_at", "last_settings_at", "last_set_push_token_at"):
        assert newest(participant, column) is not None
    db.session.refresh(participant)
    assert participant.os_type == OurPlatform[platform.name]


@both
def test_a_phone_asks_when_its_timers_say_so(server: str, factory: Factory, platform: Platform):
    """PHONE-14: heartbeat every 5 minutes, settings every 30, surveys as often as our settings tell it."""
    participant = factory.participant(platform=None)
    phone = phone_of(server, participant, platform)
    surveys_seconds = phone.settings["check_for_new_surveys_frequency_seconds"]
    assert (HEARTBEAT_SECONDS, SETTINGS_SECONDS, surveys_seconds) == (300, 1800, 3600)
    now = time.monotonic()
    early = Member(phone, Habit.STEADY, 0, now - 270, now - 1770, now - 3570)
    _run_timers(early)
    columns = ("last_heartbeat_at", "last_settings_at", "last_surveys_at")
    assert [newest(participant, column) for column in columns] == [None] * 3
    late = Member(phone, Habit.STEADY, 0, now - 301, now - 1801, now - 3601)
    _run_timers(late)
    times = [newest(participant, column) for column in columns]
    assert None not in times
    _run_timers(late)
    assert [newest(participant, column) for column in columns] == times


@both
def test_no_answer_of_ours_signs_a_phone_out(server: str, factory: Factory, app: Flask, platform: Platform):
    """PHONE-15: refused, unanswered or told to come back, it stays registered and keeps its files."""
    participant = factory.participant(platform=None)
    phone = phone_of(server, participant, platform)
    phone.collect("accel", 1717236000000, 1717236060000)
    participant.purge_asked_at = db.func.now()
    db.session.commit()
    refusal = 401 if platform is Platform.IOS else 403
    assert [answer.status for answer in phone.upload_round()] == [refusal]
    assert phone.heartbeat().status == 403
    assert phone.update_settings().status == refusal
    store = app.extensions["beiwe_store"]
    participant.purge_asked_at = None
    db.session.commit()
    app.extensions["beiwe_store"] = None  # an error of ours
    app.testing = False
    assert phone.upload_round()[0].status >= 500
    app.extensions["beiwe_store"] = store
    assert phone.is_registered and len(phone.outbox) == 1 and phone.settings
    assert [answer.status for answer in phone.upload_round()] == [200]
    assert len(phone.outbox) == 0


@both
def test_every_name_that_a_phone_gives_is_a_path_of_its_participant(platform: Platform):
    """PHONE-72: `.csv`, `.mp4` and `.wav`; the three endings that nothing sends any more are taken as well."""
    aliases = [alias for s in SPECS.values() if OurPlatform[platform.name] in s.platforms for alias in s.upload_aliases]
    assert set(HEADERS[platform]) <= set(aliases)
    for alias in HEADERS[platform]:
        for extension in EXTENSIONS:
            name = f"ab3kz9qw_{alias}_1717236000000.{extension}"
            assert not is_junk(name)
            assert raw_path(name, "ab3kz9qw").startswith("ab3kz9qw/")
    with pytest.raises(NameNotAccepted, match="another participant"):
        raw_path("zzzzzzzz_gps_1717236000000.csv", "ab3kz9qw")


def test_files_that_ios_kept_from_a_former_registration_are_let_go_and_kept_aside(server: str, factory: Factory):
    """PHONE-72: iOS uploads whatever lies in its folder, also under the id that it had before."""
    before, after = factory.participant(platform=None), factory.participant(platform=None)
    phone = phone_of(server, before, Platform.IOS)
    pending = phone.collect("gps", 1717236000000, 1717236060000)
    phone.patient_id = after.patient_id
    phone.register()
    assert [answer.status for answer in phone.upload_round()] == [200]
    assert len(phone.outbox) == 0
    problem = db.session.scalars(db.select(ProblemUpload)).one()
    assert (problem.participant_id, problem.received_name) == (after.id, pending.file_name)
    assert "gps" not in "".join(db.session.scalars(db.select(QueuedUpload.path)))
