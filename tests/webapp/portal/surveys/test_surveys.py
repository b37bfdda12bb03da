"""The list of surveys, one survey, its versions, and the existing platform's routes (PORTAL-210)."""

import json
from datetime import date, time

import pytest
from flask import Flask

from core.access import Role
from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, Schedule, Study, Survey, SurveyType, SurveyVersion
from core.studies.custom_fields import create_field
from core.surveys.schedules import Absolute, Arm, Relative, Weekly
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")

SCALE = {
    "question_id": "a",
    "question_type": "slider",
    "question_text": "Pain <b>now</b>? {{7*7}} 😀",
    "min": "0",
    "max": "10",
}
BOX = {"question_id": "b", "question_type": "info_text_box", "question_text": "Rest", "display_if": {">": ["a", 5]}}


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening", content=json.dumps([SCALE, BOX]))


def again(survey: Survey) -> Survey:
    db.session.refresh(survey)
    return survey


def place(survey: Survey) -> str:
    return f"{survey.study_id}/{survey.id}"


def test_a_study_without_surveys_says_what_they_are(visitor: Visitor, study: Study):
    """PORTAL-210."""
    page = visitor.get(f"/view_study/{study.id}/surveys").text
    assert "No surveys yet" in page and "New survey" in page


@pytest.mark.parametrize(("kind", "status"), [("tracking_survey", 302), ("audio_survey", 302), ("image_survey", 404)])
def test_a_survey_is_created_empty(visitor: Visitor, study: Study, kind: str, status: int):
    """SURVEY-2, PORTAL-210: by POST only."""
    assert visitor.get(f"/create_survey/{study.id}/{kind}").status_code == 405
    answer = visitor.post(f"/create_survey/{study.id}/{kind}")
    assert answer.status_code == status
    if status == 302:
        assert "without a name" in visitor.get(answer.location).text


def test_a_survey_is_shown_as_phones_have_it(visitor: Visitor, survey: Survey, factory: Factory):
    """PORTAL-8, PORTAL-9, SURVEY-21: text as typed, conditions in words, schedules of each kind."""
    visit = factory.intervention(db.session.get_one(Study, survey.study_id), "Visit")
    for timing in (Weekly(1, time(20)), Absolute(date(2030, 1, 31), time(9, 5)), Relative(visit.id, -2, time(7))):
        factory.schedule(survey, timing)
    page = visitor.get(f"/edit_survey/{place(survey)}").text
    assert "Pain &lt;b&gt;now&lt;/b&gt;? {{7*7}} 😀" in page and "Slider, 0 to 10" in page
    assert "Shown if question 1" in page and "is more than 5" in page
    for words in (
        "Mondays at 20:00",
        "31 Jan 2030 at 09:05",
        "It can be answered for 24 hours",
        "2 days before Visit at 07:00",
    ):
        assert words in page
    listed = visitor.get(f"/view_study/{survey.study_id}/surveys").text
    assert "1 weekly time, 1 date, 1 time after an intervention" in listed


def test_times_of_one_arm_say_whose_they_are(visitor: Visitor, survey: Survey, factory: Factory, study: Study):
    """CLAR-53: the page of the survey names field and value, so that no reader takes them for everybody's."""
    field = create_field(db.session(), study, "Dose", actor=SERVER)
    db.session.commit()
    factory.schedule(survey, Weekly(1, time(9)), Arm(field.id, "high <b>"))
    factory.schedule(survey, Weekly(1, time(9)))
    page = visitor.get(f"/edit_survey/{place(survey)}").text
    assert "<li>Mondays at 09:00, for Dose high &lt;b&gt; only</li>" in page and "<li>Mondays at 09:00</li>" in page


def test_what_checking_finds_stands_at_its_question(visitor: Visitor, factory: Factory, study: Study):
    """SURVEY-20, SURVEY-23."""
    never = BOX | {"display_if": {">": ["a", 50]}}
    warned = factory.survey(study, content=json.dumps([SCALE, never]))
    assert "No answer can meet this condition." in visitor.get(f"/edit_survey/{place(warned)}").text
    broken = factory.survey(study, content="nonsense")
    assert "cannot be read" in visitor.get(f"/edit_survey/{place(broken)}").text
    assert visitor.get(f"/edit_survey/{place(broken)}/versions").status_code == 200


def test_an_audio_survey_shows_its_prompt(visitor: Visitor, factory: Factory, study: Study):
    """SURVEY-17."""
    content, settings = json.dumps([{"prompt": "How was today?"}]), '{"bit_rate": 64000}'
    survey = factory.survey(study, SurveyType.AUDIO, content=content, settings=settings)
    page = visitor.get(f"/edit_survey/{place(survey)}").text
    assert "How was today?" in page and "64,000" in page


def test_a_survey_is_renamed_without_a_version(visitor: Visitor, survey: Survey):
    """SURVEY-3, PORTAL-210: an empty name is allowed."""
    visitor.post(f"/rename_survey/{place(survey)}", survey_name="  Each   evening ")
    assert again(survey).name == "Each evening"
    visitor.post(f"/rename_survey/{place(survey)}", survey_name="")
    assert again(survey).name == "" and db.session.query(SurveyVersion).count() == 1
    long = visitor.post(f"/rename_survey/{place(survey)}", survey_name="x" * 501)
    assert long.status_code == 422 and "x" * 501 in long.text


def test_saving_writes_a_version_and_schedules(visitor: Visitor, survey: Survey):
    """SURVEY-3, SURVEY-30, PORTAL-210: kinds that are missing stay; publishing the same writes nothing."""
    weekly = json.dumps([[], [72_000], [], [], [], [], []])
    fields = {"content": json.dumps([SCALE]), "settings": '{"always_available": true}', "weekly_timings": weekly}
    for _ in range(2):
        answer = visitor.post(f"/update_survey/{place(survey)}", **fields)
        assert (answer.status_code, answer.text) == (201, "")
    assert db.session.query(SurveyVersion).count() == 2
    visitor.post(f"/update_survey/{place(survey)}", absolute_timings="[[2030, 1, 31, 3600]]")
    assert sorted(db.session.scalars(db.select(Schedule.kind))) == ["absolute", "weekly"]
    actions = db.session.scalars(db.select(AuditRecord.action).filter_by(actor_name="mlopez")).all()
    assert actions.count("survey.save") >= 2


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"content": json.dumps([SCALE, SCALE])}, "duplicate_uuids"),
        ({"content": json.dumps([SCALE, BOX | {"display_if": {">": ["zz", 5]}}])}, "b"),
        ({"content": "{"}, ""),
        ({"settings": '{"randomize": 3}'}, ""),
        ({"weekly_timings": "[[]]"}, ""),
        ({"absolute_timings": "[[2030, 2, 31, 0]]"}, ""),
        ({"relative_timings": "[[99999, 1, 0]]"}, ""),
        ({"relative_timings": "x"}, ""),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_saved(visitor: Visitor, survey: Survey, fields: dict, named: str):
    """SURVEY-20, SURVEY-30, PORTAL-210."""
    before = survey.content
    answer = visitor.post(f"/update_survey/{place(survey)}", **fields)
    assert answer.status_code == 400 and named in answer.json
    assert again(survey).content == before and db.session.query(SurveyVersion).count() == 1


def test_an_intervention_of_another_study_is_refused(visitor: Visitor, survey: Survey, factory: Factory):
    """PERM-72."""
    foreign = factory.intervention(factory.study(), "Visit")
    answer = visitor.post(f"/update_survey/{place(survey)}", relative_timings=f"[[{foreign.id}, 1, 0]]")
    assert answer.status_code == 400 and not db.session.scalars(db.select(Schedule)).all()


def test_a_deleted_survey_is_listed_and_restored(visitor: Visitor, survey: Survey, factory: Factory):
    """SURVEY-4, PORTAL-210."""
    factory.schedule(survey, Weekly(1, time(20)))
    visitor.post(f"/delete_survey/{place(survey)}")
    page = visitor.get(f"/view_study/{survey.study_id}/surveys").text
    assert "Deleted surveys" in page and "Evening" in page and not db.session.scalars(db.select(Schedule)).all()
    assert visitor.get(f"/edit_survey/{place(survey)}").status_code == 404
    visitor.post(f"/restore_survey/{place(survey)}")
    assert again(survey).deleted_at is None and visitor.get(f"/edit_survey/{place(survey)}").status_code == 200


def test_two_versions_stand_side_by_side(visitor: Visitor, survey: Survey):
    """SURVEY-3."""
    changed = [SCALE | {"max": "5"}, {**BOX, "question_id": "c"}]
    visitor.post(f"/update_survey/{place(survey)}", content=json.dumps(changed), settings='{"always_available": true}')
    page = visitor.get(f"/edit_survey/{place(survey)}/versions").text
    for words in ("greatest value", "not in this version", "not set", "Always on the app"):
        assert words in page
    newest = max(db.session.scalars(db.select(SurveyVersion.id)).all())
    same = visitor.get(f"/edit_survey/{place(survey)}/versions?before={newest}&after={newest}").text
    assert "unchanged" in same and "not in this version" not in same
    assert visitor.get(f"/edit_survey/{place(survey)}/versions?before=x").status_code == 200


def test_a_viewer_reads_and_sees_no_controls(app: Flask, factory: Factory, study: Study, survey: Survey):
    """PERM-91, PERM-94."""
    viewer = Visitor(app, factory.researcher("viewer", study=study, role=Role.STUDY_VIEWER))
    assert viewer.get(f"/view_study/{study.id}/surveys").status_code == 200
    assert "/rename_survey/" not in viewer.get(f"/edit_survey/{place(survey)}").text
