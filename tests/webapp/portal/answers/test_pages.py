"""Pages of answers: rates, questions, submissions, files, one participant, exports (NOTIF-24, CLAR-55, CLAR-56)."""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.audit import SERVER
from core.database import db
from core.models import DataAccessRecord, Participant, Study, Submission, Survey, SurveyType
from core.surveys.saving import SurveyChanges, delete_survey, save_survey
from tests.support.answered import survey_with_answers
from tests.support.answering import CONTENT, MOOD, process, records
from tests.support.exporting import fetched_export
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import TwoSites
from tests.support.this_hour import this_hour
from webapp.portal.answers import submissions, views

pytestmark = pytest.mark.usefixtures("quick_passwords")
TYPED = "a private word"


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood", timezone_name="UTC")


@pytest.fixture
def people(factory: Factory, study: Study) -> list[Participant]:
    """Two, and a phone of the study team."""
    return [factory.participant(study, timezone_name="UTC", is_test=n == 2) for n in range(3)]


@pytest.fixture
def survey(study: Study, people: list[Participant]) -> Survey:
    return survey_with_answers(study, people, days=8)


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("nurse", study=study))


def at(survey: Survey, rest: str = "") -> str:
    return f"/view_study/{survey.study_id}/survey/{survey.id}/answers{rest}"


def accesses() -> list[tuple[str, int | None, str | None]]:
    query = sa.select(DataAccessRecord.kind, DataAccessRecord.size_bytes, DataAccessRecord.error)
    return [tuple(row) for row in db.session.execute(query.order_by(DataAccessRecord.id))]  # type: ignore[misc]


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*given: object) -> None:
        seen.append(str(given[2]))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(db.engine, "before_cursor_execute", note)


def test_rates_with_words_chart_and_its_table(visitor: Visitor, survey: Survey, people: list[Participant]):
    """NOTIF-24, CLAR-51: the figure says of how many; the chart has its table; the study team is left out."""
    page = visitor.get(at(survey)).text
    assert "of 16 that have ended" in page and "answered ÷ (answered + late + missed)" in page
    assert page.count("<rect class=") > 8 and "As a table" in page
    assert people[0].patient_id in page and people[2].patient_id not in page
    assert people[2].patient_id in visitor.get(at(survey, "?tests=shown")).text
    assert "of 24 that have ended" in visitor.get(at(survey, "?tests=shown")).text
    assert "By week" in visitor.get(at(survey, "?by=week")).text
    assert "of 12 that have ended" in visitor.get(at(survey, "?days=7")).text


def test_participants_are_sorted_and_paged(
    visitor: Visitor, survey: Survey, people: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(views, "ROWS_OF_PAGE", 1)
    first, second = (person.patient_id for person in people[:2])
    assert first in visitor.get(at(survey)).text and second not in visitor.get(at(survey)).text
    assert second in visitor.get(at(survey, "?page=2")).text
    assert second in visitor.get(at(survey, "?sort=id&order=down")).text
    for odd in ("?page=0", "?page=x", "?page=99999999999", "?sort=nothing", "?order=sideways", "?by=year", "?days=9"):
        assert visitor.get(at(survey, odd)).status_code == 200


def test_days_that_cannot_be_read_are_said_at_their_field(visitor: Visitor, survey: Survey):
    for path in ("", "/questions"):
        refused = visitor.get(at(survey, f"{path}?first=yesterday"))
        assert refused.status_code == 422 and "A date like 2030-01-31." in refused.text and "yesterday" in refused.text
    backwards = visitor.get(at(survey, "?first=2026-02-02&last=2026-02-01"))
    assert backwards.status_code == 422 and "Not before the first day." in backwards.text
    none = visitor.get(at(survey, "?first=2001-01-01&last=2001-01-02"))
    assert none.status_code == 200 and "No answers in these days" in none.text


def test_questions_are_counted_and_earlier_wordings_stand_apart(visitor: Visitor, survey: Survey):
    """CLAR-56: choices with counts and shares, texts counted only, an edited question as another one."""
    page = visitor.get(at(survey, "/questions")).text
    assert "so; so" in page and "&lt;b&gt;fett&lt;/b&gt;" in page and ">typed<" in page and TYPED not in page
    edited = [{**MOOD, "answers": [*MOOD["answers"], {"text": "splendid"}]}, *CONTENT[1:]]
    save_survey(db.session(), survey, SurveyChanges(content=json.dumps(edited)), this_hour(), actor=SERVER)
    db.session.commit()
    page = visitor.get(at(survey, "/questions")).text
    assert "Nobody has answered this wording." in page and "Earlier wording" in page


def test_submissions_show_answers_and_problems(visitor: Visitor, survey: Survey, people: list[Participant]):
    page = visitor.get(at(survey, "/submissions")).text
    assert "good, mostly" in page and TYPED not in page and people[2].patient_id not in page
    wrong = visitor.get(at(survey, "/submissions?only=problems")).text
    assert wrong.count("<tbody><tr>") == 1 and "Problem" in wrong and "good, mostly" not in wrong
    of_one = visitor.get(at(survey, f"/submissions?participant={people[1].patient_id}")).text
    assert people[1].patient_id in of_one and people[0].patient_id not in of_one
    assert visitor.get(at(survey, "/submissions?participant=nobody11")).status_code == 404


def test_submissions_are_paged(visitor: Visitor, survey: Survey, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(submissions, "ROWS_OF_PAGE", 3)
    seen: list[str] = []
    address: str | None = at(survey, "/submissions")
    while address:
        page = visitor.get(address).text
        seen += re.findall(r'/submissions/(\d+)"', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older[1].replace("&amp;", "&") if older else None
    query = sa.select(sa.func.count()).select_from(Submission).join(Participant).where(Participant.is_test.is_(False))
    assert len(seen) == len(set(seen)) == db.session.scalar(query)


def test_one_submission_has_texts_scores_and_its_file(visitor: Visitor, survey: Survey):
    """CLAR-56: typed texts are opened; the file is one click away, and who fetched it is in the log (DATA-26)."""
    one = db.session.scalars(sa.select(Submission).where(Submission.answered == 5).order_by(Submission.id)).first()
    assert one is not None
    page = visitor.get(at(survey, f"/submissions/{one.id}")).text
    assert TYPED in page and one.path in page and "version 1" in page and "Raw file" in page
    assert not accesses()
    file = visitor.get(at(survey, f"/submissions/{one.id}/file"))
    assert file.data.startswith(b"question id") and TYPED.encode() in file.data
    assert file.headers["Cache-Control"] == "no-store" and "attachment" in file.headers["Content-Disposition"]
    assert accesses() == [("answer_file", len(file.data), None)]
    assert visitor.get(at(survey, f"/submissions/{one.id}/recording")).status_code == 404


def test_a_file_that_is_gone_is_said(visitor: Visitor, survey: Survey):
    one = db.session.scalars(sa.select(Submission)).first()
    assert one is not None
    db.session.execute(sa.update(Submission).where(Submission.id == one.id).values(path=one.path + "x"))
    db.session.commit()
    assert visitor.get(at(survey, f"/submissions/{one.id}/file")).status_code == 302
    assert "not in the object store" in visitor.get(at(survey, f"/submissions/{one.id}")).text


def test_a_recording_is_played_in_parts_by_those_who_may(app: Flask, factory: Factory, visitor: Visitor, study: Study):
    """PERM-94: a viewer reads answers and plays nothing; the browser may keep it for a while, and nobody else."""
    survey = factory.survey(study, SurveyType.AUDIO)
    person = factory.participant(study)
    records(person, survey, this_hour() - timedelta(hours=1))
    process()
    number = db.session.scalar(sa.select(Submission.id))
    page = visitor.get(at(survey, f"/submissions/{number}")).text
    assert "<audio controls" in page
    whole = visitor.get(at(survey, f"/submissions/{number}/recording"))
    assert (whole.data, whole.mimetype) == (b"sound", "audio/mp4")
    assert whole.headers["Cache-Control"] == "private, max-age=300" and whole.headers["Accept-Ranges"] == "bytes"
    part = visitor.get(at(survey, f"/submissions/{number}/recording"), headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, b"ou", "bytes 1-2/5")
    assert accesses() == [("recording", 5, None)]
    viewer = Visitor(app, factory.researcher(study=study, role=Role.STUDY_VIEWER))
    page = viewer.get(at(survey, f"/submissions/{number}")).text
    assert "<audio" not in page and "does not include playing" in page and "/file" not in page
    assert "media-src 'self'" in whole.headers["Content-Security-Policy"]
    assert "played from the" in visitor.get(at(survey, "/questions")).text


def test_one_participant_over_time(visitor: Visitor, study: Study, survey: Survey, people: list[Participant]):
    address = f"/view_study/{study.id}/participant/{people[0].patient_id}/answers"
    page = visitor.get(address).text
    assert page.count('class="line"') == 3 and "Energy?" in page and "Anything else?" in page and TYPED not in page
    assert visitor.get(f"{address}?survey=999").status_code == 404
    empty = visitor.get(f"{address}?survey={survey.id}".replace(people[0].patient_id, "nobody11"))
    assert empty.status_code == 404


def test_empty_pages_say_what_fills_them(visitor: Visitor, factory: Factory, study: Study):
    survey, person = factory.survey(study), factory.participant(study)
    words = {"": "No answers yet", "/questions": "No answers yet", "/submissions": "No submissions"}
    words |= {"/submissions?only=problems": "No problems", "/scores": "No scores yet", "/codebook": "No variables yet"}
    for path, said in words.items():
        assert said in visitor.get(at(survey, path)).text, path
    of_person = f"/view_study/{study.id}/participant/{person.patient_id}/answers"
    assert "No answers yet" in visitor.get(of_person).text
    assert "No submissions of this survey" in visitor.get(f"{of_person}?survey={survey.id}").text


def test_the_list_of_surveys_shows_the_rate_and_deleted_ones_keep_their_answers(
    visitor: Visitor, study: Study, survey: Survey
):
    surveys = visitor.get(f"/view_study/{study.id}/surveys").text
    assert re.search(r"\d+ %<span", surveys) and at(survey) in surveys
    delete_survey(db.session(), survey, this_hour(), actor=SERVER)
    db.session.commit()
    page = visitor.get(at(survey))
    assert page.status_code == 200 and "Deleted" in page.text and f"/edit_survey/{study.id}" not in page.text
    assert at(survey) in visitor.get(f"/view_study/{study.id}/surveys").text


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet", "sav", "dta"])
def test_exports_are_sent_and_logged(visitor: Visitor, survey: Survey, form: str):
    """CLAR-55, CLAR-74, DATA-26: prepared in the background; the log says who asked, and what was sent."""
    answer = visitor.post(at(survey, "/export"), form=form, layout="wide")
    assert answer.status_code == 302 and answer.location == f"/data_access_web_form/{survey.study_id}/exports"
    assert f"Evening check wide {this_hour():%Y-%m-%d}.{form}" in visitor.get(answer.location).text
    file = fetched_export(visitor)
    assert accesses() == [("export", 0, None), ("export_file", len(file), None)]


def test_an_export_holds_what_was_chosen(visitor: Visitor, survey: Survey, people: list[Participant]):
    def rows(**fields: str) -> list[dict[str, str]]:
        visitor.post(at(survey, "/export"), **{"form": "csv", "layout": "wide"} | fields)
        return list(csv.DictReader(io.StringIO(fetched_export(visitor).decode("utf-8-sig"))))

    plain = rows()
    assert "q5" not in plain[0] and people[2].patient_id not in {row["patient_id"] for row in plain}
    assert people[2].patient_id in {row["patient_id"] for row in rows(tests="shown")}
    assert any(TYPED in (row["q5"] or "") for row in rows(texts="1"))
    day = (this_hour() - timedelta(days=2)).date()
    assert {row["submitted_at"][:10] for row in rows(first=f"{day}", last=f"{day}")} == {f"{day}"}
    assert len(rows(layout="long")) > len(plain)
    for wrong in ({"form": "exe"}, {"layout": "deep"}, {"first": "soon"}):
        refused = visitor.post(at(survey, "/export"), **{"form": "csv", "layout": "wide"} | wrong)
        assert refused.status_code == 422 and 'role="alert"' in refused.text


def test_the_codebook_is_a_page_and_a_file(visitor: Visitor, survey: Survey):
    page = visitor.get(at(survey, "/codebook")).text
    assert "q2_1" in page and "0 to 10" in page
    file = visitor.get(at(survey, "/codebook.csv"))
    assert file.text.startswith("variable,question_id") and "so; so" in file.text
    assert [kind for kind, *_ in accesses()] == ["answers"]


def test_each_page_asks_few_questions_of_the_database(
    visitor: Visitor, factory: Factory, study: Study, survey: Survey, people: list[Participant]
):
    """The number of queries does not grow with participants or answers."""
    paths = ["", "/questions", "/submissions", "/scores", "/codebook", "/export"]
    of_person = f"/view_study/{study.id}/participant/{people[0].patient_id}/answers"
    other = factory.survey(study, name="Never answered")
    for path in paths:
        with counted_queries() as full:
            visitor.get(at(survey, path))
        with counted_queries() as empty:
            visitor.get(at(other, path))
        assert len(full) <= len(empty) + 4 and len(full) < 30, (path, len(full), len(empty))
    with counted_queries() as seen:
        visitor.get(of_person)
    assert len(seen) < 40, len(seen)


def test_people_limited_to_a_site_find_no_submission_of_another(app: Flask, factory: Factory):
    """PERM-95: neither the page, nor the file, nor a recording; figures are of theirs."""
    world = TwoSites(factory)
    world.fill_the_others()
    north = Visitor(app, world.limited(Role.STUDY_RESEARCHER))
    theirs = db.session.scalar(sa.select(Submission.id).where(Submission.participant_id == world.south[0].id))
    own = db.session.scalar(sa.select(Submission.id).where(Submission.participant_id == world.north[0].id))
    assert north.get(at(world.survey, f"/submissions/{own}")).status_code == 200
    for rest in ("", "/file", "/recording"):
        assert north.get(at(world.survey, f"/submissions/{theirs}{rest}")).status_code == 404
    assert "3 of 6 that have ended" in north.get(at(world.survey)).text
    assert "3 answered of 3" in north.get(at(world.survey, "/questions")).text
    north.post(at(world.survey, "/export"), form="csv", layout="wide")
    export = fetched_export(north).decode()
    assert export.count("north") >= 3 and "outh1" not in export


def test_submissions_and_scores_of_another_survey_are_not_there(visitor: Visitor, factory: Factory, survey: Survey):
    other = factory.survey(db.session.get_one(Study, survey.study_id))
    number = db.session.scalar(sa.select(Submission.id))
    for rest in ("", "/file", "/recording"):
        assert visitor.get(at(other, f"/submissions/{number}{rest}")).status_code == 404
