"""What phones get of surveys, their schedules and their events, and what registration does to the events."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.crypto.passwords import device_hash
from core.database import db
from core.models import EventState, Participant, ScheduledEvent, Survey, SurveyType, SurveyVersion
from core.surveys import timings
from core.surveys.events import rebuild_events
from core.surveys.schedules import Absolute, Relative, Weekly
from ops.phones.surveys import complaints
from tests.support.factories import PASSWORD, Factory, phone_fields
from webapp.phone import fetching

TODAY = date(2024, 6, 5)
NOW = datetime(2024, 6, 5, 16, tzinfo=UTC)  # a Wednesday, noon in New York
EMPTY: list[list[int]] = [[], [], [], [], [], [], []]


@pytest.fixture
def participant(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> Participant:
    """Of a study in New York, whose surveys are fetched at `NOW`."""
    monkeypatch.setattr(fetching, "now", lambda: NOW)
    return factory.participant()


def download(app: Flask, participant: Participant) -> list[dict[str, Any]]:
    answer = app.test_client().post("/download_surveys", data=phone_fields(participant))
    assert answer.status_code == 200
    assert complaints(answer.json) == []
    return answer.json


def week_of(app: Flask, participant: Participant) -> list[list[int]]:
    (survey,) = download(app, participant)
    return survey["timings"]


def event(participant: Participant, survey: Survey, at: datetime, **columns: Any) -> None:
    """An event by hand."""
    db.session.add(ScheduledEvent(survey_id=survey.id, participant_id=participant.id, scheduled_at=at, **columns))
    db.session.commit()


def test_weekly_schedules_are_seven_sorted_lists_without_repeats(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-46, PHONE-47, PHONE-49: seconds after midnight, Sunday first; other surveys keep theirs."""
    survey, other = factory.survey(participant.study), factory.survey(participant.study)
    for timing in (Weekly(0, time(9, 30)), Weekly(0, time(0)), Weekly(6, time(23, 59)), Weekly(2, time(12))):
        factory.schedule(survey, timing)
    factory.schedule(other, Weekly(0, time(9, 30)))
    first, second = download(app, participant)
    assert first["timings"] == [[0, 34200], [], [43200], [], [], [], [86340]]
    assert second["timings"] == [[34200], [], [], [], [], [], []]
    assert (first["_id"], second["_id"]) == (survey.object_id, other.object_id)


def test_the_week_reaches_from_four_days_back_to_three_ahead_in_the_studys_zone(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-48: the first midnight is in, the last one out."""
    survey = factory.survey(participant.study)
    factory.schedule(survey, Absolute(TODAY - timedelta(days=4), time(0)))  # Saturday
    factory.schedule(survey, Absolute(TODAY - timedelta(days=5), time(23, 59)))
    factory.schedule(survey, Absolute(TODAY + timedelta(days=2), time(23, 59)))  # Friday
    factory.schedule(survey, Absolute(TODAY + timedelta(days=3), time(0)))
    rebuild_events(db.session(), participant.study, NOW)
    db.session.commit()
    assert week_of(app, participant) == [[], [], [], [], [], [86340], [0]]


def test_events_fold_into_the_day_of_the_studys_clock_once_also_those_that_are_done(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-48: 23:30 on Tuesday in New York is Wednesday in UTC; equal to a weekly time it is there once."""
    survey, intervention = factory.survey(participant.study), factory.intervention(participant.study)
    factory.schedule(survey, Absolute(TODAY - timedelta(days=1), time(23, 30)))
    factory.schedule(survey, Relative(intervention.id, -1, time(9)))
    factory.schedule(survey, Weekly(4, time(9)))
    factory.intervention_date(participant, intervention, TODAY + timedelta(days=2))  # and so on Thursday
    rebuild_events(db.session(), participant.study, NOW)
    db.session.commit()
    expected = [[], [], [84600], [], [32400], [], []]
    assert week_of(app, participant) == expected
    db.session.execute(sa.update(ScheduledEvent).values(state=EventState.DONE.value))
    event(participant, survey, datetime(2024, 6, 3, 14, 5, 59, 7, tzinfo=UTC), state=EventState.DONE, uuid=None)
    expected[1] = [36300]
    assert week_of(app, participant) == expected


def test_events_of_weekly_schedules_and_of_others_are_not_folded_in(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-48."""
    survey = factory.survey(participant.study)
    factory.schedule(survey, Weekly(4, time(9)))
    rebuild_events(db.session(), participant.study, NOW)
    newest = sa.select(sa.func.max(ScheduledEvent.id)).scalar_subquery()
    db.session.execute(sa.update(ScheduledEvent).where(ScheduledEvent.id == newest).values(scheduled_at=NOW))
    event(factory.participant(participant.study), survey, NOW)
    db.session.commit()
    assert week_of(app, participant) == [[], [], [], [], [32400], [], []]


def test_a_list_of_surveys_costs_the_same_few_statements_however_many_there_are(
    app: Flask, factory: Factory, participant: Participant
):
    """PHONE-44: the endpoint stays cheap."""

    def statements() -> int:
        seen: list[str] = []

        def note(*arguments: Any) -> None:
            seen.append(arguments[2])

        sa.event.listen(db.engine, "before_cursor_execute", note)
        download(app, participant)
        sa.event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    for _ in range(2):
        factory.schedule(factory.survey(participant.study), Weekly(0, time(9)))
    statements()  # the process's first request also looks whether there is downtime
    few = statements()
    for _ in range(8):
        factory.schedule(factory.survey(participant.study), Weekly(0, time(9)))
    assert statements() == few <= 6


def test_equal_surveys_are_sent_equal_byte_for_byte(app: Flask, factory: Factory, participant: Participant):
    """PHONE-52: iOS shows a survey again when anything in it differs, the order of its timings included."""
    survey = factory.survey(participant.study, settings='{"trigger_on_first_download": true}')
    for hour in (20, 3, 11):
        factory.schedule(survey, Weekly(1, time(hour)))
    client = app.test_client()
    first = client.post("/download_surveys", data=phone_fields(participant)).data
    db.session.execute(sa.text("UPDATE schedules SET weekday = 1 WHERE time_of_day = '03:00'"))  # moves the row
    db.session.execute(sa.text("UPDATE surveys SET name = name"))
    db.session.commit()
    assert client.post("/download_surveys/ios/", data=phone_fields(participant)).data == first
    assert json.loads(first)[0]["timings"][1] == [10800, 39600, 72000]


def test_surveys_of_retired_participants_and_stopped_studies_are_sent_all_the_same(app: Flask, factory: Factory):
    """PHONE-44; the time is noted."""
    participant = factory.participant(retired_at=NOW)
    survey = factory.survey(participant.study)
    participant.study.is_stopped_by_hand = True
    db.session.commit()
    assert [s["_id"] for s in download(app, participant)] == [survey.object_id]
    db.session.refresh(participant.activity)
    assert participant.activity.last_surveys_at is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"content": "{"},
        {"content": "{}"},
        {"content": "[NaN]"},
        {"content": "[" * 100_000},
        {"settings": "[]"},
        {"settings": "nonsense"},
    ],
    ids=lambda columns: str(columns)[:30],
)
def test_a_survey_that_is_broken_in_the_database_lets_phones_keep_what_they_have(
    app: Flask, factory: Factory, participant: Participant, caplog: pytest.LogCaptureFixture, broken: dict[str, str]
):
    """PHONE-43, PHONE-45: never a partial list; the log names the survey, and the time of the request is stored."""
    factory.survey(participant.study)
    survey = factory.survey(participant.study, **broken)
    answer = app.test_client().post("/download_surveys", data=phone_fields(participant))
    assert (answer.status_code, answer.data, answer.headers["Retry-After"]) == (503, b"", "60")
    assert survey.object_id in caplog.text
    db.session.refresh(participant.activity)
    assert participant.activity.last_surveys_at is not None
    survey.deleted_at = NOW
    db.session.commit()
    assert len(download(app, participant)) == 1


@pytest.mark.parametrize(
    ("columns", "sent"),
    [
        ({"settings": "{}"}, {"settings": {"always_available": False}}),
        ({"settings": '{"always_available": true, "x": 1}'}, {"settings": {"always_available": True, "x": 1}}),
        ({"settings": "null", "content": "null"}, {"settings": {"always_available": False}, "content": []}),
        ({"content": ""}, {"content": []}),
        (
            {"settings": '{"randomize": true, "number_of_random_questions": 0}'},
            {"settings": {"always_available": False, "randomize": True, "number_of_random_questions": None}},
        ),
        (
            {"settings": '{"number_of_random_questions": 3}'},
            {"settings": {"always_available": False, "number_of_random_questions": 3}},
        ),
    ],
)
def test_settings_are_sent_as_phones_need_them(
    app: Flask, factory: Factory, participant: Participant, columns: dict[str, str], sent: dict[str, Any]
):
    """PHONE-50, PHONE-51, PHONE-52, SURVEY-11: also of surveys that came from elsewhere."""
    factory.survey(participant.study, **columns)
    (survey,) = download(app, participant)
    assert {name: survey[name] for name in sent} == sent


def test_questions_are_sent_as_phones_need_them(app: Flask, factory: Factory, participant: Participant):
    """PHONE-53, PHONE-54, PHONE-55, SURVEY-17: ends of sliders as texts, logic as stored, a prompt for audio."""
    common = {"question_text": "How 🌍 <b>{{ }}", "required": True}
    questions = [
        {"question_id": "q1", "question_type": "slider", "min": 0, "max": 10.0, **common},
        {
            "question_id": "q2",
            "question_type": "free_response",
            "text_field_type": "NUMERIC",
            "display_if": {"or": [{">=": ["q1", 3]}, {"==": ["q1", 0.5]}]},
            **common,
        },
    ]
    factory.survey(participant.study, content=json.dumps(json.dumps(questions)))
    factory.survey(participant.study, SurveyType.AUDIO, content="[]")
    tracking, audio = download(app, participant)
    questions[0] |= {"min": "0", "max": "10"}
    assert tracking["content"] == questions
    assert audio["content"] == [{"prompt": ""}]


def test_downloads_write_no_version(app: Flask, factory: Factory, participant: Participant):
    """PHONE-57."""
    factory.survey(participant.study, content='[{"question_id": "q", "question_type": "date"}]')
    for _ in range(2):
        download(app, participant)
    assert len(db.session.scalars(db.select(SurveyVersion)).all()) == 1


# --- registration


def register(app: Flask, participant: Participant) -> int:
    fields = phone_fields(participant, phone_number="1", new_password=device_hash(PASSWORD))
    participant.has_easy_enrollment = True
    db.session.commit()
    return app.test_client().post("/register_user", data=fields).status_code


def test_registration_makes_the_participants_events_and_a_stopped_studys_go(app: Flask, factory: Factory):
    """PHONE-32 step 7, NOTIF-7."""
    participant = factory.participant(platform=None)
    study = participant.study
    factory.participant(study)
    survey = factory.survey(study)
    factory.schedule(survey, Absolute(date(2024, 6, 1), time(9)))
    assert register(app, participant) == 200
    made = db.session.scalars(db.select(ScheduledEvent)).all()
    assert [(e.participant_id, e.survey_id) for e in made] == [(participant.id, survey.id)]
    uuid = made[0].uuid
    assert register(app, participant) == 200
    assert db.session.scalars(db.select(ScheduledEvent.uuid)).all() == [uuid]
    study.is_stopped_by_hand = True
    db.session.commit()
    assert register(app, participant) == 200
    assert db.session.scalars(db.select(ScheduledEvent)).all() == []


def test_a_registration_whose_events_fail_changes_nothing(
    app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-32: the events are in the transaction of step 6."""
    from core.phones import registration

    participant = factory.participant(platform=None)
    before = participant.password_hash

    def fail(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("x", {}, Exception("gone"))

    monkeypatch.setattr(registration, "rebuild_events", fail)
    assert register(app, participant) == 503
    db.session.refresh(participant)
    assert (participant.os_type, participant.password_hash) == (None, before)


def test_no_surveys_need_no_queries_for_timings(app: Flask, factory: Factory, participant: Participant):
    """PHONE-47."""
    assert timings.timings_for_phones(db.session(), participant, [], NOW) == {}
    survey = factory.survey(participant.study)
    assert timings.timings_for_phones(db.session(), participant, [survey.id], NOW) == {survey.id: EMPTY}
