"""Creating, saving and deleting surveys: what is stored, and when a version is written."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, Schedule, ScheduledEvent, Study, Survey, SurveyType, SurveyVersion
from core.models.survey import surveys_for_phones
from core.studies.changing import set_survey_expiry
from core.studies.custom_fields import create_field
from core.surveys.content import ContentRefused, decoded_content, decoded_settings
from core.surveys.expiry import ExpiryRefused, expiries_of, own_expiry
from core.surveys.rules.answerable import answerable_until
from core.surveys.saving import SurveyChanges, create_survey, delete_survey, restore_survey, save_survey
from core.surveys.schedules import Absolute, Arm, Planned, Random, Relative, ScheduleKind, Weekly
from core.surveys.scheduling import ScheduleChanges, planned_schedules, save_schedules
from core.surveys.timing_lists import TimingRefused
from tests.support.factories import Factory

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
QUESTION = {"question_id": "q1", "question_type": "info_text_box", "question_text": "Grüße 🌍 {{ }} <b>"}


def save(survey: Survey, now: datetime = NOW, **changes: Any) -> None:
    save_survey(db.session(), survey, SurveyChanges(**changes), now, actor=SERVER)
    db.session.commit()


def published(study: Study) -> Survey:
    survey = create_survey(db.session(), study, SurveyType.TRACKING, NOW, actor=SERVER)
    save(survey, content=[])
    return survey


def versions(survey: Survey) -> list[SurveyVersion]:
    query = db.select(SurveyVersion).where(SurveyVersion.survey_id == survey.id).order_by(SurveyVersion.started_at)
    return list(db.session.scalars(query))


@pytest.mark.parametrize(
    ("survey_type", "default"),
    [
        (SurveyType.TRACKING, {}),
        (SurveyType.AUDIO, {"audio_survey_type": "compressed", "bit_rate": 64000, "sample_rate": 44100}),
    ],
)
def test_a_new_survey_has_the_defaults_of_its_type(
    app: Flask, factory: Factory, survey_type: SurveyType, default: dict[str, Any]
):
    """SURVEY-1, SURVEY-2, SURVEY-5, PHONE-50: no phone gets it, and it has no version, until it is published."""
    survey = create_survey(db.session(), factory.study(), survey_type, NOW, actor=SERVER)
    db.session.commit()
    assert (survey.name, survey.content, json.loads(survey.settings)) == ("", "[]", default)
    assert (len(survey.object_id), survey.object_id.isalnum()) == (24, True)
    assert versions(survey) == []
    assert surveys_for_phones(db.session(), survey.study_id) == []
    save(survey, content=[])
    assert [(v.started_at, v.content, v.settings, v.is_deleted) for v in versions(survey)] == [
        (NOW, "[]", survey.settings, False)
    ]
    assert surveys_for_phones(db.session(), survey.study_id) == [survey]


def test_a_version_is_written_when_and_only_when_one_of_the_four_changed(app: Flask, factory: Factory):
    """PHONE-57, SURVEY-3: content, type, settings, deletion; not for a name, a schedule, or the same again."""
    survey = published(factory.study())
    minutes = (NOW + timedelta(minutes=n) for n in range(1, 100))
    for changes, count in (
        ({"content": [QUESTION]}, 2),
        ({"content": [QUESTION]}, 2),
        ({"content": json.dumps([dict(reversed(QUESTION.items()))], indent=1)}, 2),
        ({"settings": {"always_available": True}}, 3),
        ({"settings": '{"always_available":true}', "content": [QUESTION]}, 3),
        ({"settings": {"always_available": 1}}, 4),  # phones tell 1 and true apart
        ({"name": "Evening"}, 4),
        ({"timings": {ScheduleKind.WEEKLY: [Weekly(0, time(9))]}}, 4),
        ({"survey_type": SurveyType.AUDIO}, 5),
    ):
        save(survey, next(minutes), **changes)
        assert len(versions(survey)) == count
    delete_survey(db.session(), survey, next(minutes), actor=SERVER)
    delete_survey(db.session(), survey, next(minutes), actor=SERVER)
    newest = versions(survey)[-1]
    assert (len(versions(survey)), newest.is_deleted) == (6, True)
    assert (newest.content, newest.settings, newest.survey_type) == (survey.content, survey.settings, "audio_survey")
    assert (survey.name, json.loads(survey.content)) == ("Evening", [QUESTION])


def test_the_newest_version_is_the_newest_also_when_a_clock_was_set_back(app: Flask, factory: Factory):
    """SURVEY-3."""
    survey = published(factory.study())
    save(survey, NOW - timedelta(minutes=1), content=[QUESTION])
    assert [json.loads(v.content) for v in versions(survey)] == [[], [QUESTION]]


def test_deleting_removes_the_schedules_and_their_events_and_can_be_taken_back_without_them(
    app: Flask, factory: Factory
):
    """SURVEY-4."""
    participant = factory.participant()
    survey = published(participant.study)
    save(survey, content=[QUESTION], timings={ScheduleKind.ABSOLUTE: [Absolute(date(2024, 7, 1), time(9))]})
    assert db.session.scalars(db.select(ScheduledEvent)).all() != []
    delete_survey(db.session(), survey, NOW, actor=SERVER)
    db.session.commit()
    for model in (Schedule, ScheduledEvent):
        assert db.session.scalars(db.select(model)).all() == []
    restore_survey(db.session(), survey, NOW, actor=SERVER)
    restore_survey(db.session(), survey, NOW, actor=SERVER)
    db.session.commit()
    assert (survey.deleted_at, json.loads(survey.content)) == (None, [QUESTION])
    assert [v.is_deleted for v in versions(survey)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("given", "stored"), [(0, "0"), (-5, "-5"), (7.0, "7"), (2.5, "2.5"), ("9", "9"), (None, None), (True, True)]
)
def test_ends_of_a_slider_are_stored_as_texts(app: Flask, factory: Factory, given: Any, stored: Any):
    """PHONE-54, SURVEY-16."""
    survey = factory.survey(factory.study())
    save(survey, content=[{**QUESTION, "question_type": "slider", "min": given, "max": given}])
    question = json.loads(survey.content)[0]
    assert (question["min"], question["max"]) == (stored, stored)


def test_keys_of_other_types_of_question_are_dropped_and_unknown_ones_kept(app: Flask, factory: Factory):
    """SURVEY-15."""
    survey = factory.survey(factory.study())
    answers = [{"text": "a"}]
    more = {"answers": answers, "min": 1, "max": 2, "text_field_type": "NUMERIC", "of_ours": 1}
    save(
        survey, content=[{**QUESTION, "question_type": kind, **more} for kind in ("checkbox", "slider", "date", "new")]
    )
    checkbox, slider, day, new = ({k: v for k, v in q.items() if k in more} for q in json.loads(survey.content))
    assert checkbox == {"answers": answers, "of_ours": 1}
    assert slider == {"min": "1", "max": "2", "of_ours": 1}
    assert day == {"of_ours": 1}
    assert new == more


def test_no_random_questions_at_all_are_stored_as_null_and_unknown_settings_kept(app: Flask, factory: Factory):
    """PHONE-52, SURVEY-11."""
    survey = factory.survey(factory.study())
    save(survey, settings={"randomize": True, "number_of_random_questions": 0, "of_old": {"a": 1}})
    assert json.loads(survey.settings) == {"randomize": True, "number_of_random_questions": None, "of_old": {"a": 1}}


def encoded(value: Any, times: int) -> Any:
    for _ in range(times):
        value = json.dumps(value)
    return value


@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_content_is_decoded_however_often_it_was_encoded(app: Flask, factory: Factory, times: int):
    """SURVEY-19."""
    survey = factory.survey(factory.study())
    save(survey, content=encoded([QUESTION], times), settings=encoded({"randomize": True}, times))
    assert json.loads(survey.content) == [QUESTION]
    assert json.loads(survey.settings) == {"randomize": True}
    assert decoded_content(encoded("", times)) == []
    assert decoded_settings(encoded("", times)) == {}


@pytest.mark.parametrize("content", ["{", "{}", '"text"', 5, {}, "null", "[NaN]", "[1e999]", "[" * 100_000, "x" * 101])
def test_content_that_is_no_list_is_refused_and_nothing_is_saved(app: Flask, factory: Factory, content: Any):
    """SURVEY-19."""
    survey = factory.survey(factory.study(), content=json.dumps([QUESTION]))
    with pytest.raises(ContentRefused):
        save(survey, content=content, name="new")
    db.session.rollback()
    db.session.refresh(survey)
    assert (survey.name, json.loads(survey.content), len(versions(survey))) == ("", [QUESTION], 1)
    with pytest.raises(ContentRefused):
        save(survey, settings=[])


def test_equal_timings_keep_their_rows_and_events(app: Flask, factory: Factory):
    """SURVEY-30, SURVEY-31: a kind that is not named is left alone; equal entries are one."""
    participant = factory.participant()
    study = participant.study
    intervention = factory.intervention(study)
    factory.intervention_date(participant, intervention, date(2024, 6, 1))
    survey = factory.survey(study)
    kept = [Absolute(date(2024, 6, 1), time(9)), Absolute(date(2024, 7, 1), time(9))]
    relative = [Relative(intervention.id, -1, time(8))]
    save(survey, timings={ScheduleKind.ABSOLUTE: [*kept, *kept], ScheduleKind.RELATIVE: relative})

    def events() -> dict[int, Any]:
        return {e.id: e.uuid for e in db.session.scalars(db.select(ScheduledEvent).order_by(ScheduledEvent.id))}

    before = events()
    assert len(before) == 3
    save(survey, content=[QUESTION])
    save(survey, timings={ScheduleKind.RELATIVE: relative, ScheduleKind.ABSOLUTE: kept})
    assert events() == before
    save(survey, timings={ScheduleKind.ABSOLUTE: kept[:1]})
    assert events().items() < before.items()
    assert len(events()) == 2
    save(survey, timings={ScheduleKind.ABSOLUTE: [], ScheduleKind.RELATIVE: []})
    assert events() == {}


def test_an_intervention_of_another_study_is_refused(app: Flask, factory: Factory):
    """SURVEY-30."""
    survey, foreign = factory.survey(factory.study()), factory.intervention(factory.study())
    for wrong in (foreign.id, foreign.name):
        with pytest.raises(TimingRefused, match="entry 1"):
            save(survey, timings={ScheduleKind.RELATIVE: [Relative(wrong, 0, time(9))]})
        db.session.rollback()
    with pytest.raises(TimingRefused):
        save(survey, timings={ScheduleKind.WEEKLY: [Absolute(date(2024, 6, 1), time(9))]})


def test_surveys_that_were_there_before_versions_get_their_first(app: Flask, factory: Factory):
    """SURVEY-3, OPS-43: the newest version of every survey equals it."""
    study = factory.study()
    old = factory.survey(study, content='[ {"a": 1}]', settings='{"b":2}')
    gone = factory.survey(study, deleted_at=NOW, created_at=NOW - timedelta(days=1))
    ids, made = (old.id, gone.id), old.created_at
    db.session.remove()
    downgrade(revision="0002")
    upgrade()
    rows = db.session.scalars(db.select(SurveyVersion).order_by(SurveyVersion.survey_id)).all()
    assert [(v.survey_id, v.started_at, v.content, v.settings, v.survey_type, v.is_deleted) for v in rows] == [
        (ids[0], made, '[ {"a": 1}]', '{"b":2}', "tracking_survey", False),
        (ids[1], NOW, "[]", "{}", "tracking_survey", True),
    ]


def test_old_forms_leave_random_times_and_arms_alone(app: Flask, factory: Factory):
    """SURVEY-30, CLAR-53: a kind that is sent replaces the schedules for everybody."""
    study = factory.study()
    survey = factory.survey(study)
    field = create_field(db.session(), study, "Group", actor=SERVER)
    db.session.flush()
    arm, random = Arm(field.id, "A"), Random((1,), time(9), time(21), 2, 60)
    planned = [Planned(Weekly(1, time(9))), Planned(Weekly(1, time(9)), arm), Planned(random), Planned(random, arm)]
    save_schedules(db.session(), survey, ScheduleChanges(planned), NOW, actor=SERVER)
    assert planned_schedules(db.session(), survey) == planned
    save(survey, timings={ScheduleKind.WEEKLY: [Weekly(2, time(9))]})
    assert set(planned_schedules(db.session(), survey)) == {Planned(Weekly(2, time(9))), *planned[1:]}
    delete_survey(db.session(), survey, NOW, actor=SERVER)
    assert db.session.scalars(db.select(Schedule)).all() == []


def test_the_time_to_answer_is_the_surveys_own_or_the_studys(app: Flask, factory: Factory):
    """CLAR-51: 24 hours at first."""
    study = factory.study()
    one, two = factory.survey(study), factory.survey(study)
    assert expiries_of(db.session(), study) == {one.id: 1_440, two.id: 1_440}
    set_survey_expiry(db.session(), study, 600, actor=SERVER)
    assert not save_schedules(db.session(), one, ScheduleChanges(expiry_minutes=90), NOW, actor=SERVER)
    assert expiries_of(db.session(), study) == {one.id: 90, two.id: 600}
    save_schedules(db.session(), one, ScheduleChanges(planned=[]), NOW, actor=SERVER)
    assert (own_expiry(db.session(), one), own_expiry(db.session(), two)) == (90, None)
    save_schedules(db.session(), one, ScheduleChanges(expiry_minutes=0), NOW, actor=SERVER)
    assert own_expiry(db.session(), one) is None
    for wrong in (9, 44_641):
        with pytest.raises(ExpiryRefused, match="10 to 44,640 minutes"):
            save_schedules(db.session(), one, ScheduleChanges(expiry_minutes=wrong), NOW, actor=SERVER)
        with pytest.raises(ExpiryRefused):
            set_survey_expiry(db.session(), study, wrong, actor=SERVER)
    seen = db.session.scalars(db.select(AuditRecord.action).where(AuditRecord.action.like("%s%e%"))).all()
    assert {"survey.schedules", "study.survey_expiry"} <= set(seen)


def test_a_survey_is_answerable_until_its_next_event_or_its_expiry():
    """CLAR-51, NOTIF-24."""
    hour = timedelta(hours=1)
    assert answerable_until(NOW, None, 90) == NOW + 1.5 * hour
    assert answerable_until(NOW, NOW + hour, 90) == NOW + hour
    assert answerable_until(NOW, NOW + 2 * hour, 90) == NOW + 1.5 * hour
    assert answerable_until(NOW, NOW, 90) == NOW + 1.5 * hour
