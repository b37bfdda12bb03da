"""Copying surveys and blocks of questions (CLAR-50)."""

import json
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, CustomField, Intervention, ScheduledEvent, Study, Survey, SurveyType, SurveyVersion
from core.models.audit_record import Action
from core.surveys.copying import NothingToCopy, copy_block, copy_survey
from core.surveys.drafts import DraftMoved, draft_of, publish_draft, save_draft
from core.surveys.expiry import own_expiry
from core.surveys.listing import schedules_of
from core.surveys.rules.blocks import block_of, without_others
from core.surveys.rules.checking import check_questions
from core.surveys.rules.renewing import with_new_ids
from core.surveys.schedules import Absolute, Arm, Planned, Relative, Weekly
from core.surveys.scheduling import ScheduleChanges, apply_schedules, planned_schedules
from tests.support.factories import Factory

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
SCALE = {"question_id": "a", "question_type": "slider", "question_text": "Pain 😀 <b>{{ a }}", "min": "0", "max": "10"}
TEXT = {"question_id": "b", "question_type": "info_text_box", "question_text": "a", "display_if": {">": ["a", 5]}}
BOTH = TEXT | {"question_id": "c", "display_if": {"and": [{">": ["a", 5]}, {"not": {"==": ["n", 1]}}]}}
NUMBER = {"question_id": "n", "question_type": "free_response", "question_text": "?", "text_field_type": "NUMERIC"}
CONTENT: list[Any] = [SCALE, TEXT, NUMBER, BOTH]


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    """A published survey with a schedule of each kind."""
    chosen = json.dumps({"always_available": True, "ours": 1})
    survey = factory.survey(study, name="Evening", content=json.dumps(CONTENT), settings=chosen)
    survey.published_at = NOW
    visit = factory.intervention(study, "Visit")
    for timing in (Weekly(1, time(20)), Absolute(date(2030, 1, 31), time(9, 5)), Relative(visit.id, -2, time(7))):
        factory.schedule(survey, timing)
    db.session.commit()
    return survey


def drafted(survey: Survey) -> list[Any]:
    content: list[Any] = json.loads(draft_of(db.session(), survey).content)
    return content


def test_a_copy_in_the_same_study_has_ids_of_its_own_and_is_published_nowhere(survey: Survey, study: Study):
    """CLAR-50, SURVEY-5."""
    copied = copy_survey(db.session(), survey, study, NOW, actor=SERVER)
    db.session.commit()
    copy = copied.survey
    assert copy.name == "Copy of Evening" and copy.published_at is None and copied.new_ids == 4
    assert copied.interventions == [] and copied.left_out == []
    content = drafted(copy)
    assert not {q["question_id"] for q in content} & {"a", "b", "c", "n"}
    assert content[1]["display_if"] == {">": [content[0]["question_id"], 5]}
    assert content[1]["question_text"] == "a" and content[0]["question_text"] == SCALE["question_text"]
    assert json.loads(draft_of(db.session(), copy).settings) == {"always_available": True, "ours": 1}
    assert _timings(copy) == _timings(survey)
    events = sa.select(sa.func.count()).where(ScheduledEvent.survey_id == copy.id)
    versions = sa.select(sa.func.count()).where(SurveyVersion.survey_id == copy.id)
    assert db.session.scalar(events) == db.session.scalar(versions) == 0
    assert publish_draft(db.session(), copy, number=copy.edit_number, now=NOW, actor=SERVER)


def _timings(survey: Survey) -> list[tuple[Any, ...]]:
    return [
        (s.kind, s.weekday, s.falls_on, s.days_after, s.time_of_day, name)
        for s, name in schedules_of(db.session(), survey)
    ]


def test_a_copy_in_another_study_keeps_free_ids_and_finds_interventions_by_name(
    survey: Survey, factory: Factory, study: Study
):
    """CLAR-50."""
    other = factory.study("Sleep")
    factory.survey(other, content=json.dumps([NUMBER]))
    copied = copy_survey(db.session(), survey, other, NOW, actor=SERVER)
    db.session.commit()
    assert copied.survey.name == "Evening" and copied.new_ids == 1 and copied.interventions == ["Visit"]
    content = drafted(copied.survey)
    assert [q["question_id"] for q in content][:2] == ["a", "b"]
    assert content[3]["display_if"]["and"][1] == {"not": {"==": [content[2]["question_id"], 1]}}
    assert _timings(copied.survey) == _timings(survey)
    found = db.session.scalars(sa.select(Intervention.study_id).where(Intervention.name == "Visit")).all()
    assert sorted(found) == sorted([study.id, other.id])
    again = copy_survey(db.session(), survey, other, NOW, actor=SERVER)
    assert again.interventions == [] and again.new_ids == 4
    copies = sa.select(AuditRecord).where(AuditRecord.action == Action.SURVEY_COPY)
    assert {row.study_object_id for row in db.session.scalars(copies)} == {other.object_id}


def test_the_published_survey_is_copied_and_a_draft_beside_it_is_said_to_be_left_out(survey: Survey, study: Study):
    number = survey.edit_number
    save_draft(db.session(), survey, [NUMBER], {}, number=number, now=NOW, actor=SERVER)
    copied = copy_survey(db.session(), survey, study, NOW, actor=SERVER)
    assert len(drafted(copied.survey)) == 4 and len(copied.left_out) == 1
    # One that was never published is copied from its draft.
    second = copy_survey(db.session(), copied.survey, study, NOW, actor=SERVER)
    assert len(drafted(second.survey)) == 4 and second.left_out == []


def test_schedules_of_an_arm_come_where_its_field_is_and_the_time_to_answer_always(
    survey: Survey, factory: Factory, study: Study
):
    """CLAR-51, CLAR-53: by the name of the custom field, else they are said to be left out."""
    other = factory.study("Sleep")
    field = CustomField(study_id=study.id, name="Arm")
    db.session.add(field)
    db.session.flush()
    planned = [Planned(Weekly(2, time(8)), Arm(field.id, "App")), Planned(Weekly(3, time(8)))]
    apply_schedules(db.session(), survey, ScheduleChanges(planned, 90), NOW)
    without = copy_survey(db.session(), survey, other, NOW, actor=SERVER)
    assert "no custom field" in without.left_out[0] and own_expiry(db.session(), without.survey) == 90
    assert planned_schedules(db.session(), without.survey) == planned[1:]
    there = CustomField(study_id=other.id, name="ARM")
    db.session.add(there)
    db.session.flush()
    copied = copy_survey(db.session(), survey, other, NOW, actor=SERVER)
    expected = [Planned(Weekly(2, time(8)), Arm(there.id, "App")), planned[1]]
    assert copied.left_out == [] and planned_schedules(db.session(), copied.survey) == expected


def test_an_audio_survey_is_copied_with_its_prompt(factory: Factory, study: Study):
    audio = factory.survey(study, survey_type=SurveyType.AUDIO, content='[{"prompt": "Say a"}]')
    audio.published_at = NOW
    copied = copy_survey(db.session(), audio, study, NOW, actor=SERVER)
    assert drafted(copied.survey) == [{"prompt": "Say a"}] and copied.survey.survey_type == SurveyType.AUDIO


def test_a_block_comes_without_conditions_on_what_stays_behind(survey: Survey, factory: Factory, study: Study):
    """CLAR-50, SURVEY-27: `and` of two without one is the other."""
    target = factory.survey(study, content=json.dumps([NUMBER | {"question_id": "z"}]))
    number = target.edit_number
    copied = copy_block(db.session(), survey, {"a", "c"}, target, number=number, now=NOW, actor=SERVER)
    db.session.commit()
    content = drafted(target)
    assert [q["question_text"] for q in content] == ["?", SCALE["question_text"], "a"]
    assert content[2]["display_if"] == {">": [content[1]["question_id"], 5]}
    assert copied.questions == 2 and [d.question for d in copied.dropped] == ["a"]
    assert "question 3" in copied.dropped[0].condition
    assert not check_questions(content)
    with pytest.raises(DraftMoved):
        copy_block(db.session(), survey, {"a"}, target, number=number, now=NOW, actor=SERVER)
    with pytest.raises(NothingToCopy):
        copy_block(db.session(), survey, {"gone"}, target, number=number + 1, now=NOW, actor=SERVER)


@pytest.mark.parametrize(
    ("logic", "kept"),
    [
        (None, None),
        ({"==": ["a", 1]}, {"==": ["a", 1]}),
        ({"==": ["x", 1]}, None),
        ({"not": {"==": ["x", 1]}}, None),
        ({"or": [{"==": ["a", 1]}, {"==": ["x", 1]}, {"==": ["a", 2]}]}, {"or": [{"==": ["a", 1]}, {"==": ["a", 2]}]}),
        ({"and": [{"or": [{"==": ["x", 1]}]}, {"==": ["a", 2]}]}, {"==": ["a", 2]}),
        ({"and": [{"==": ["a", 2]}]}, {"and": [{"==": ["a", 2]}]}),
        ({"?": 1}, {"?": 1}),
    ],
)
def test_conditions_lose_only_what_names_others(logic: Any, kept: Any):
    """SURVEY-27."""
    assert without_others(logic, {"a"}) == kept


def test_ids_are_renewed_only_where_they_are_taken():
    """CLAR-50: all else is the same, also a text that is equal to an id."""
    assert with_new_ids(CONTENT, {"q"}) is CONTENT
    names = iter(["new"])
    renewed = with_new_ids(CONTENT, {"a"}, lambda: next(names))
    assert (
        json.loads(json.dumps(CONTENT).replace('["a", 5]', '["new", 5]').replace('_id": "a"', '_id": "new"')) == renewed
    )
    assert block_of(CONTENT, {"a", "b"}).questions == [SCALE, TEXT]
