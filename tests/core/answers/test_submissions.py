"""Uploads become submissions and answers in the transaction that settles their processing (CLAR-56)."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.answers.texts import open_texts
from core.audit import SERVER
from core.database import db
from core.models import (
    AnswerTally,
    FormerTranslation,
    Participant,
    QuestionWording,
    QueuedUpload,
    StudyLanguage,
    Submission,
    SubmittedAnswer,
    Survey,
    SurveyTranslation,
    SurveyType,
)
from core.storage.sealed import SUFFIX
from core.streams import Platform
from core.studies.languages import remove_language, save_language
from core.surveys.rules.translating import translated
from core.surveys.saving import add_version
from core.surveys.translations import in_language, save_translation
from tests.support.answering import (
    CONTENT,
    MOOD,
    ODD,
    as_older_android,
    file_of,
    process,
    queue,
    records,
    submission,
    submits,
)
from tests.support.factories import Factory
from tests.support.paths import VECTORS
from tests.support.this_hour import this_hour

GIVEN: dict[str, Any] = {"mood": 1, "why": (1, 2), "energy": 7, "hours": "7.5", "rest": f"well, {ODD}"}
HOUR = timedelta(hours=1)


def a_survey(factory: Factory, participant: Participant, content: list[Any] = CONTENT, **columns: Any) -> Survey:
    survey = factory.survey(participant.study, content=json.dumps(content), **columns)
    db.session.execute(
        sa.text("UPDATE survey_versions SET started_at = :at"), {"at": this_hour() - timedelta(days=100)}
    )
    db.session.commit()
    return survey


def answers_of(path: str) -> dict[str, tuple[str, float | None, list[int] | None]]:
    query = (
        sa.select(QuestionWording.question_id, SubmittedAnswer.state, SubmittedAnswer.number, SubmittedAnswer.choices)
        .join(SubmittedAnswer, SubmittedAnswer.wording_id == QuestionWording.id)
        .join(Submission, Submission.id == SubmittedAnswer.submission_id)
        .where(Submission.path == path)
    )
    return {row[0]: tuple(row[1:]) for row in db.session.execute(query)}


@pytest.mark.parametrize("form", ["ios", "android", "older android"])
def test_files_of_both_apps_become_the_same_rows(app: Flask, factory: Factory, form: str):
    """CLAR-56: `;` and `,` in options, emoji and right-to-left text, typed numbers and texts."""
    now = this_hour()
    platform = Platform.IOS if form == "ios" else Platform.ANDROID
    participant = factory.participant(platform=platform)
    survey = a_survey(factory, participant)
    contents = file_of(GIVEN, platform)
    path = submits(participant, survey, now - HOUR, as_older_android(contents) if form == "older android" else contents)
    process()
    row = submission(path)
    assert (row.problem, row.is_new, row.answered, row.unreadable) == (None, True, 5, 0)
    assert (row.survey_id, row.submitted_at, row.os_type) == (survey.id, now - HOUR, platform.value)
    assert row.survey_version_id is not None and row.received_at >= now
    assert answers_of(path) == {
        "mood": ("answered", None, [1]),
        "why": ("answered", None, [1, 2]),
        "energy": ("answered", 7.0, None),
        "hours": ("answered", 7.5, None),
        "rest": ("answered", None, None),
    }
    assert open_texts(participant.study, path, row.sealed_texts) == {4: f"well; {ODD}"}
    wordings = db.session.scalars(sa.select(QuestionWording).order_by(QuestionWording.number)).all()
    assert [(w.number, w.revision, w.question_id) for w in wordings] == [
        (n, 1, question["question_id"]) for n, question in enumerate(CONTENT, 1)
    ]
    assert wordings[0].text == MOOD["question_text"] and wordings[0].options == ["bad", "so; so", "good, mostly"]
    assert (wordings[2].least, wordings[2].most) == (0, 10)


def test_typed_texts_are_nowhere_in_clear(app: Flask, factory: Factory):
    """CLAR-56."""
    participant = factory.participant()
    survey = a_survey(factory, participant)
    submits(participant, survey, this_hour(), file_of({"mood": 1, "rest": "my secret garden"}, Platform.ANDROID))
    process()
    tables = [table.name for table in db.metadata.sorted_tables]
    found = [t for t in tables if "garden" in str(db.session.execute(sa.text(f"SELECT t FROM {t} AS t")).all())]  # noqa: S608
    assert found == []


def test_unseen_and_skipped_questions_are_told_apart(app: Flask, factory: Factory):
    """CLAR-56: iOS lists what it did not show."""
    participant = factory.participant(platform=Platform.IOS)
    path = submits(participant, a_survey(factory, participant), this_hour(), file_of({"mood": 2}, Platform.IOS))
    process()
    row = submission(path)
    assert (row.answered, row.skipped, row.unseen) == (1, 3, 1)
    assert answers_of(path)["why"][0] == "unseen" and answers_of(path)["energy"][0] == "skipped"


def test_answers_are_read_by_the_version_that_the_phone_had(app: Flask, factory: Factory):
    """CLAR-56: a survey edited between event and answer, and one whose answers moved."""
    now = this_hour()
    participant = factory.participant()
    survey = a_survey(factory, participant)
    before = submits(participant, survey, now - 2 * HOUR, file_of({"mood": 2}, Platform.ANDROID))
    first = db.session.scalars(sa.select(QuestionWording.id).order_by(QuestionWording.number)).all()
    edited = [CONTENT[4], MOOD | {"answers": [*MOOD["answers"][:1], {"text": "new"}, *MOOD["answers"][1:]]}]
    survey.content = json.dumps(edited)
    second = add_version(db.session(), survey, now - HOUR)
    db.session.commit()
    late = submits(participant, survey, now - HOUR / 2, file_of({"mood": 2}, Platform.ANDROID))
    after = submits(participant, survey, now - HOUR / 4, file_of({"mood": 3}, Platform.ANDROID, edited))
    process()
    versions = [submission(path).survey_version_id for path in (before, late, after)]
    assert versions[0] == versions[1] != versions[2] == second.id
    assert answers_of(before)["mood"] == answers_of(late)["mood"] == ("answered", None, [2])
    assert answers_of(after)["mood"] == ("answered", None, [3])
    moods = db.session.scalars(sa.select(QuestionWording).filter_by(question_id="mood").order_by("revision")).all()
    assert [(w.number, w.revision, len(w.options)) for w in moods] == [(1, 1, 3), (1, 2, 4)]
    assert len(first) == 5, "questions have their numbers from the publication on"


@pytest.mark.parametrize("form", ["ios", "android", "older android"])
def test_answers_in_another_language_are_answers_to_the_same_questions(app: Flask, factory: Factory, form: str):
    """CLAR-55, CLAR-59: codes and wordings are those of the base language; missing texts are of the base language."""
    now = this_hour()
    platform = Platform.IOS if form == "ios" else Platform.ANDROID
    participant = factory.participant(platform=platform)
    survey = a_survey(factory, participant)
    texts = {"mood": {MOOD["question_text"]: "Wie war, Ihre Stimmung?", "bad": "schlecht", "so; so": "geht; so"}}
    language = StudyLanguage(study_id=survey.study_id, code="de", name="Deutsch")
    db.session.add(language)
    db.session.flush()
    db.session.add(SurveyTranslation(survey_id=survey.id, language_id=language.id, texts=texts, saved_at=now))
    db.session.commit()
    shown = translated(CONTENT, texts)
    contents = file_of({"mood": 1, "energy": 2}, platform, shown)
    assert "geht; so" in contents.decode()
    older = as_older_android(contents, shown) if form == "older android" else contents
    foreign = submits(participant, survey, now, older)
    plain = submits(participant, survey, now - HOUR, file_of({"mood": 1, "energy": 2}, platform))
    process()
    assert answers_of(foreign) == answers_of(plain) and answers_of(foreign)["mood"] == ("answered", None, [1])
    assert db.session.scalar(sa.select(sa.func.count()).select_from(QuestionWording)) == len(CONTENT)
    assert submission(foreign).survey_version_id == submission(plain).survey_version_id is not None


def test_answers_in_texts_that_were_changed_or_removed_meanwhile_are_read(app: Flask, factory: Factory):
    """CLAR-56: phones upload later than somebody mends a translation, or removes its language."""
    now = this_hour()
    participant = factory.participant(platform=Platform.IOS)
    study, survey = participant.study, a_survey(factory, participant)
    save_language(db.session(), study, "en", "English", {}, actor=SERVER)
    language = save_language(db.session(), study, "de", "Deutsch", {}, actor=SERVER)
    given, files = {"mood": 1, "energy": 2}, []
    for edit, text in enumerate(("geht so", "geht so la la", "so lala")):
        typed = {"answer-mood-0": "schlecht", "answer-mood-1": text}
        save_translation(db.session(), survey, language, "", typed, edit, now, actor=SERVER)
        shown = in_language(db.session(), survey, language, CONTENT)
        assert shown[0]["answers"][1]["text"] == text
        files.append(file_of(given, Platform.IOS, shown))
    remove_language(db.session(), study, language, now, actor=SERVER)
    db.session.commit()
    paths = [submits(participant, survey, now - n * HOUR, contents) for n, contents in enumerate(files)]
    process()
    assert [answers_of(path)["mood"] for path in paths] == [("answered", None, [1])] * 3
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FormerTranslation)) == 3


def test_the_same_file_twice_changes_nothing_twice(app: Flask, factory: Factory):
    """PROC-2: a phone that did not hear the answer sends again; processing may do a batch twice."""
    participant = factory.participant()
    survey = a_survey(factory, participant)
    contents = file_of({"mood": 2}, Platform.ANDROID)
    path = submits(participant, survey, this_hour(), contents)
    process()
    tallies = db.session.execute(sa.select(sa.func.sum(AnswerTally.count))).scalar_one()
    name = f"surveyAnswers/{survey.object_id}/{path.rsplit('/')[-1]}"
    twice = queue(participant, f"{name}-duplicate-abcdefghij", contents)
    process()
    assert submission(path).standing == "unasked" and submission(twice).standing == "duplicate"
    assert answers_of(twice) == {}
    assert db.session.execute(sa.select(sa.func.sum(AnswerTally.count))).scalar_one() == tallies
    other = queue(
        participant,
        f"{name}-duplicate-bbbbbbbbbb",
        file_of({"mood": 0}, Platform.ANDROID),
    )
    process()
    assert answers_of(other)["mood"] == ("answered", None, [0])


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (b"\x00\xff\xfe garbage", "the file cannot be read"),
        (b"", "the file cannot be read"),
        (file_of({}, Platform.ANDROID).split(b"\n")[0], "no answers in it"),
        (file_of({"mood": 1}, Platform.ANDROID) + b"\nmood,Slider Question,?,,3", "a question is in it twice"),
        (b"question id,x\n" + b"".join(b"q%d,slider,?,,3\n" % n for n in range(1001)), "only the first 1,000"),
    ],
)
def test_a_file_that_cannot_be_read_is_counted_and_stops_nothing(
    app: Flask, factory: Factory, contents: bytes, problem: str
):
    """CLAR-56."""
    participant = factory.participant()
    survey = a_survey(factory, participant)
    bad = queue(participant, f"surveyAnswers/{survey.object_id}/1700000000000.csv", contents)
    good = submits(participant, survey, this_hour(), file_of({"mood": 1}, Platform.ANDROID))
    process()
    assert problem in (submission(bad).problem or "")
    assert submission(good).problem is None
    assert not db.session.scalars(sa.select(QueuedUpload)).all()


def test_odd_files_do_not_stop_processing(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """CLAR-56: gone from the store, too large, of an unknown survey, of another study's, unforeseen."""
    now = this_hour()
    participant = factory.participant()
    survey = a_survey(factory, participant)
    elsewhere = factory.survey(factory.study())
    contents = file_of({"mood": 1}, Platform.ANDROID)
    gone = submits(participant, survey, now, contents)
    factory.store(participant.study).store.delete(gone + SUFFIX)
    large = submits(participant, survey, now - HOUR, b"x" * (1 << 20) + b"x")
    unknown = queue(participant, f"surveyAnswers/{'a' * 24}/1700000000000.csv", contents)
    foreign = submits(participant, elsewhere, now, contents)
    monkeypatch.setattr("core.answers.writing.read_by_version", lambda *_: 1 / 0)
    defect = submits(participant, survey, now - 2 * HOUR, contents)
    process()
    assert submission(gone).problem == "missing in the store"
    assert submission(large).problem == "too large to be a file of answers"
    assert submission(unknown).problem == submission(foreign).problem == "of a survey that is not known here"
    assert submission(defect).problem == "the file cannot be read"


def test_a_recording_is_a_submission_of_its_survey(app: Flask, factory: Factory):
    now = this_hour()
    participant = factory.participant()
    survey = factory.survey(participant.study, SurveyType.AUDIO, content='[{"prompt": "Speak."}]')
    path = records(participant, survey, now)
    process()
    row = submission(path)
    assert row.is_recording and row.survey_id == survey.id and row.problem is None and row.submitted_at == now
    assert answers_of(path) == {}


@pytest.mark.parametrize("path", sorted((VECTORS / "chunks").rglob("surveyAnswers/**/*.csv")), ids=str)
def test_golden_files_become_submissions(app: Flask, factory: Factory, path: Any):
    participant = factory.participant(platform=Platform.IOS)
    survey = a_survey(factory, participant, [])
    stored = queue(participant, f"surveyAnswers/{survey.object_id}/{path.name}", path.read_bytes())
    process()
    assert answers_of(stored) and submission(stored).problem is None
