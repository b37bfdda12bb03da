"""Drafts of surveys, and publishing them (SURVEY-5, SURVEY-20, SURVEY-27, CLAR-50)."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import downgrade, upgrade

from core.audit import SERVER
from core.database import db, open_session
from core.models import AuditRecord, ScheduledEvent, Survey, SurveyDraft, SurveyType, SurveyVersion
from core.models.audit_record import Action
from core.models.survey import surveys_for_phones
from core.surveys.content import ContentRefused, decoded_content
from core.surveys.drafts import (
    Draft,
    DraftMoved,
    NotPublishable,
    PublishedSince,
    discard_draft,
    draft_of,
    keep_stale_draft,
    publish_draft,
    save_draft,
)
from core.surveys.listing import survey_lines
from core.surveys.locking import SurveyDeleted
from core.surveys.saving import SurveyChanges, create_survey, delete_survey, save_survey
from core.surveys.schedules import Planned, ScheduleKind, Weekly
from core.surveys.scheduling import ScheduleChanges, save_schedules
from tests.support.factories import Factory
from tests.support.paths import VECTORS

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
TEXT = {"question_id": "q1", "question_type": "info_text_box", "question_text": "Grüße 🌍 {{ }} <b>"}
SCALE = {"question_id": "q2", "question_type": "slider", "question_text": "Pain?", "min": "0", "max": "10"}
BROKEN = SCALE | {"display_if": {"==": ["nowhere", 1]}}


def saved(survey: Survey, content: list[Any], number: int, settings: dict[str, Any] | None = None) -> Draft:
    draft = save_draft(db.session(), survey, content, settings or {}, number=number, now=NOW, actor=SERVER)
    db.session.commit()
    return draft


def published(survey: Survey, number: int) -> bool:
    is_new = publish_draft(db.session(), survey, number=number, now=NOW, actor=SERVER)
    db.session.commit()
    return is_new


def versions(survey: Survey) -> list[SurveyVersion]:
    query = sa.select(SurveyVersion).where(SurveyVersion.survey_id == survey.id).order_by(SurveyVersion.started_at)
    return list(db.session.scalars(query))


def actions() -> list[str]:
    return list(db.session.scalars(sa.select(AuditRecord.action).order_by(AuditRecord.id)))


@pytest.fixture
def survey(app: Flask, factory: Factory) -> Survey:
    """A survey that was never published."""
    survey = create_survey(db.session(), factory.study(), SurveyType.TRACKING, NOW, actor=SERVER)
    db.session.commit()
    return survey


def test_a_draft_is_seen_by_no_phone_until_it_is_published(survey: Survey):
    """SURVEY-5: until the first publication no version, no download, no export."""
    draft = saved(survey, [TEXT], draft_of(db.session(), survey).number)
    assert json.loads(draft.content) == [TEXT] and draft.is_saved
    assert surveys_for_phones(db.session(), survey.study_id) == [] and versions(survey) == []
    assert [(line.has_draft, line.questions) for line in survey_lines(db.session(), survey.study_id)] == [(True, 1)]
    assert published(survey, draft.number)
    assert surveys_for_phones(db.session(), survey.study_id) == [survey]
    assert [json.loads(version.content) for version in versions(survey)] == [[TEXT]]
    assert [line.has_draft for line in survey_lines(db.session(), survey.study_id)] == [False]
    assert {Action.SURVEY_DRAFT, Action.SURVEY_PUBLISH} <= set(actions())


def test_a_survey_without_questions_is_published(survey: Survey):
    """SURVEY-5, SURVEY-2."""
    assert published(survey, 0)
    assert [version.content for version in versions(survey)] == ["[]"]


def test_publishing_for_the_first_time_makes_the_events(app: Flask, factory: Factory):
    """SURVEY-5, NOTIF-7: schedules are saved at once, their events come with the publication."""
    study = factory.study()
    factory.participant(study)
    survey = create_survey(db.session(), study, SurveyType.TRACKING, NOW, actor=SERVER)
    weekly = {ScheduleKind.WEEKLY: [Weekly(day, time(9)) for day in range(7)]}
    save_survey(db.session(), survey, SurveyChanges(timings=weekly), NOW, actor=SERVER)
    db.session.commit()
    count = sa.select(sa.func.count()).select_from(ScheduledEvent)
    assert db.session.scalar(count) == 0
    published(survey, 0)
    assert db.session.scalar(count) == 11  # from Wednesday morning in New York to the Saturday of the next week


def test_publishing_the_same_again_writes_nothing(survey: Survey):
    """SURVEY-3, SURVEY-27."""
    published(survey, saved(survey, [TEXT], 0).number)
    number = survey.edit_number
    assert not published(survey, number)
    reordered = saved(survey, [dict(reversed(TEXT.items()))], number)
    assert not reordered.is_saved and reordered.number == number
    assert len(versions(survey)) == 1 and survey.edit_number == number


def test_a_draft_that_was_changed_back_is_none(survey: Survey):
    """SURVEY-5: with the published bytes, also after other drafts in between."""
    published(survey, saved(survey, [TEXT, SCALE], 0).number)
    stored = survey.content
    changed = saved(survey, [TEXT | {"question_text": "Other"}, SCALE], survey.edit_number)
    assert changed.is_saved
    back = saved(survey, [TEXT, SCALE], changed.number)
    assert not back.is_saved and back.number > changed.number and survey.content == stored
    assert db.session.get(SurveyDraft, survey.id) is None


def test_saving_over_somebody_elses_newer_draft_is_refused(survey: Survey):
    """SURVEY-5: two editors that have read the same."""
    first = saved(survey, [TEXT], 0)
    with pytest.raises(DraftMoved):
        saved(survey, [SCALE], 0)
    db.session.rollback()
    assert json.loads(draft_of(db.session(), survey).content) == [TEXT]
    saved(survey, [SCALE], first.number)
    for change in (
        lambda: published(survey, first.number),
        lambda: discard_draft(db.session(), survey, number=first.number, now=NOW, actor=SERVER),
        lambda: keep_stale_draft(db.session(), survey, number=first.number, actor=SERVER),
    ):
        with pytest.raises(DraftMoved):
            change()
        db.session.rollback()


def test_an_editor_that_read_before_a_publication_is_refused(survey: Survey):
    """SURVEY-5: what it read is no longer what phones have."""
    published(survey, 0)
    number = survey.edit_number
    save_survey(db.session(), survey, SurveyChanges(content=[TEXT]), NOW + timedelta(hours=1), actor=SERVER)
    db.session.commit()
    with pytest.raises(DraftMoved):
        saved(survey, [SCALE], number)


def test_a_draft_that_is_older_than_the_newest_version_is_published_only_on_purpose(survey: Survey):
    """SURVEY-5."""
    published(survey, 0)
    saved(survey, [SCALE], survey.edit_number)
    save_survey(db.session(), survey, SurveyChanges(content=[TEXT]), NOW + timedelta(hours=1), actor=SERVER)
    db.session.commit()
    assert draft_of(db.session(), survey).is_stale
    with pytest.raises(PublishedSince):
        published(survey, survey.edit_number)
    db.session.rollback()
    keep_stale_draft(db.session(), survey, number=survey.edit_number, actor=SERVER)
    assert published(survey, survey.edit_number)
    assert [json.loads(version.content) for version in versions(survey)][-1] == [SCALE]


def test_errors_may_be_in_a_draft_and_are_never_published(survey: Survey):
    """SURVEY-20: nothing is saved."""
    draft = saved(survey, [BROKEN], 0)
    with pytest.raises(NotPublishable) as refused:
        published(survey, draft.number)
    assert [(f.question_id, f.kind) for f in refused.value.findings] == [("q2", "unknown_question")]
    db.session.rollback()
    assert versions(survey) == [] and survey.published_at is None


def test_a_discarded_draft_is_gone_and_a_deleted_survey_keeps_its_own(survey: Survey):
    """SURVEY-5, SURVEY-4."""
    draft = saved(survey, [TEXT], 0)
    discard_draft(db.session(), survey, number=draft.number, now=NOW, actor=SERVER)
    db.session.commit()
    assert not draft_of(db.session(), survey).is_saved
    saved(survey, [TEXT], survey.edit_number)
    delete_survey(db.session(), survey, NOW, actor=SERVER)
    db.session.commit()
    assert draft_of(db.session(), survey).is_saved and versions(survey) == []


def contents() -> list[Any]:
    """Every survey of the golden settings files, and every accepted content of the cases of skip logic."""
    found: list[Any] = []
    for path in sorted((VECTORS / "surveys").glob("export_*.json")):
        try:
            surveys = json.loads(path.read_text("utf-8-sig"))["surveys"]
        except (ValueError, KeyError, TypeError):
            continue
        found += [survey.get("content") for survey in surveys if isinstance(survey, dict)]
    cases = json.loads((VECTORS / "surveys" / "skip_logic.json").read_text())["cases"]
    return found + [case["content"] for case in cases]


def test_content_that_is_opened_and_published_unchanged_keeps_every_byte(app: Flask, factory: Factory):
    """SURVEY-27, CLAR-50: in any spelling of JSON, for every golden survey that can be published."""
    study, kept = factory.study(), 0
    for content in contents():
        for text in (json.dumps(content), json.dumps(content, indent=1), json.dumps(json.dumps(content))):
            survey = factory.survey(study, content=text)
            try:
                questions = decoded_content(draft_of(db.session(), survey).content)
                saved(survey, questions, survey.edit_number)
                assert not published(survey, survey.edit_number)
            except (NotPublishable, ContentRefused):
                db.session.rollback()
                continue
            assert (survey.content, len(versions(survey))) == (text, 1)
            kept += 1
    assert kept > 100


def test_of_many_who_save_or_publish_at_once_one_succeeds(survey: Survey):
    """SURVEY-5: several editors have read the same draft; nothing of the others is left behind."""
    draft = saved(survey, [TEXT], draft_of(db.session(), survey).number)
    number = survey.id
    db.session.remove()

    def run(n: int) -> str:
        with open_session() as session:
            mine = session.get_one(Survey, number)
            draft_of(session, mine)
            try:
                if n % 2:
                    publish_draft(session, mine, number=draft.number, now=NOW, actor=SERVER)
                else:
                    changed = [TEXT | {"question_text": str(n)}]
                    save_draft(session, mine, changed, {}, number=draft.number, now=NOW, actor=SERVER)
                session.commit()
                return "published" if n % 2 else "saved"
            except DraftMoved:
                return "moved"

    with ThreadPoolExecutor(6) as threads:
        ends = list(threads.map(run, range(12)))
    assert ends.count("moved") == 11
    after = db.session.get_one(Survey, number)
    is_published = "published" in ends
    assert (after.published_at is not None, len(versions(after))) == (is_published, int(is_published))
    assert draft_of(db.session(), after).is_saved is not is_published


def test_nothing_is_saved_into_a_survey_that_somebody_deleted_meanwhile(survey: Survey):
    """SURVEY-4: restored, it would else have schedules again."""
    saved(survey, [TEXT], 0)
    number = survey.id
    with open_session() as other:
        delete_survey(other, other.get_one(Survey, number), NOW, actor=SERVER)
        other.commit()
    weekly = Weekly(1, time(9))
    session = db.session()
    for change in (
        lambda: save_schedules(session, survey, ScheduleChanges([Planned(weekly)]), NOW, actor=SERVER),
        lambda: save_survey(session, survey, SurveyChanges(timings={ScheduleKind.WEEKLY: [weekly]}), NOW, actor=SERVER),
        lambda: save_draft(session, survey, [], {}, number=1, now=NOW, actor=SERVER),
        lambda: publish_draft(session, survey, number=1, now=NOW, actor=SERVER),
        lambda: discard_draft(session, survey, number=1, now=NOW, actor=SERVER),
        lambda: keep_stale_draft(session, survey, number=1, actor=SERVER),
    ):
        with pytest.raises(SurveyDeleted):
            change()
        session.rollback()
    assert db.session.get_one(Survey, number).published_at is None


def test_surveys_of_before_count_as_published_and_no_unpublished_one_reaches_phones_by_going_back(
    app: Flask, factory: Factory
):
    """SURVEY-5, OPS-43: migration 0022 with data, down and up again."""
    study = factory.study()
    old = factory.survey(study, content=json.dumps([TEXT]))
    new = create_survey(db.session(), study, SurveyType.TRACKING, NOW, actor=SERVER)
    save_draft(db.session(), new, [SCALE], {}, number=0, now=NOW, actor=SERVER)
    weekly = {ScheduleKind.WEEKLY: [Weekly(1, time(9))]}
    save_survey(db.session(), new, SurveyChanges(timings=weekly), NOW, actor=SERVER)
    db.session.commit()
    kept, first = old.id, versions(old)[0].started_at
    db.session.remove()
    downgrade(revision="0021")
    upgrade()
    rows = db.session.scalars(sa.select(Survey)).all()
    assert [(survey.id, survey.published_at, survey.edit_number) for survey in rows] == [(kept, first, 0)]
