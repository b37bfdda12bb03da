"""The page of a participant's own answers (PHONE-62)."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from werkzeug.test import TestResponse

import webapp.phone.graph
from core.database import db
from core.models import Participant, Survey, UploadRecord
from core.phones.survey_answers import MOST_FILE_BYTES, answers_in
from core.storage import SealedStore, StoreUnavailable
from core.streams import SPECS, DataStream
from tests.support.factories import Factory, phone_fields

HEADER = "question id,question type,question text,question answer options,answer"
STREAM = SPECS[DataStream.SURVEY_ANSWERS].number
START = datetime(2026, 3, 4, 14, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def row(answer: str, question: str = "How did you sleep?", options: str = "min = 0; max = 10", id: str = "q1") -> str:
    return f"{id},slider,{question},{options},{answer}"


def leaves(participant: Participant, survey: Survey, at: datetime, *rows: str, contents: bytes | None = None) -> str:
    """An answer file as a phone uploads it; gives its path."""
    study = participant.study.object_id
    path = f"{study}/{participant.patient_id}/surveyAnswers/{survey.object_id}/{int(at.timestamp() * 1000)}.csv"
    contents = "\n".join((HEADER, *rows)).encode() if contents is None else contents
    Factory().store(participant.study).create(path, contents)
    db.session.add(
        UploadRecord(path=path, participant_id=participant.id, stream=STREAM, size_bytes=len(contents), received_at=at)
    )
    db.session.commit()
    return path


def opens(app: Flask, participant: Participant, path: str = "/graph", **fields: str) -> TestResponse:
    return app.test_client().post(path, data=phone_fields(participant, **fields))


def drawn(page: str) -> list[str]:
    """The numbers shown beside the points, in their order."""
    return re.findall(r'<text class="value"[^>]*>([^<]*)</text>', page)


def test_the_last_seven_answers_of_each_survey_are_drawn(app: Flask, factory: Factory):
    """PHONE-62: oldest at the left, in the study's zone, surveys by their names."""
    participant = factory.participant()
    survey, other = factory.survey(participant.study, name="Sleep diary"), factory.survey(participant.study, name="Two")
    for day in range(9):
        leaves(participant, survey, START + day * DAY, row(str(day)))
    leaves(participant, other, START, row("77", "Steps, in hundreds".replace(",", ";"), "", "q2"))
    answer = opens(app, participant)
    assert answer.status_code == 200 and answer.content_type == "text/html; charset=utf-8"
    assert "<title>Rendered graph for user</title>" in answer.text
    assert drawn(answer.text) == ["2", "3", "4", "5", "6", "7", "8", "77"]
    assert answer.text.index("Sleep diary") < answer.text.index("Two")
    assert "12 Mar 2026 10:05" in answer.text and "those of New York" in answer.text
    assert answer.text.count("<polyline") == 1


def test_answers_that_are_no_numbers_are_gaps(app: Flask, factory: Factory):
    """PHONE-62: a line never crosses a gap; a question without any number is not drawn."""
    participant = factory.participant()
    survey = factory.survey(participant.study)
    for day, text in enumerate(["1", "2", "often", "", "4.5", "NaN", "-3"]):
        leaves(participant, survey, START + day * DAY, row(text), row("words", "Why?", "", "q2"))
    page = opens(app, participant).text
    assert drawn(page) == ["1", "2", "4.5", "-3"]
    assert page.count('class="gap"') == 3 and page.count("<polyline") == 1
    assert page.count("no number</td>") == 3
    assert "Why?" not in page


def test_a_survey_without_numbers_and_a_participant_without_answers(app: Flask, factory: Factory):
    """PHONE-62: 200, and words in place of drawings."""
    participant = factory.participant()
    assert "Nothing to draw yet" in opens(app, participant).text
    leaves(participant, factory.survey(participant.study, name="Diary"), START, row("words"))
    answer = opens(app, participant)
    assert answer.status_code == 200
    assert "Diary" in answer.text and "Answered once, without a number" in answer.text


def test_the_page_stands_alone_and_holds_nothing_that_the_policy_forbids(app: Flask, factory: Factory):
    """PHONE-62: no cookie, no script, nothing inline; what participants and researchers wrote is escaped."""
    participant = factory.participant()
    survey = factory.survey(participant.study, name="<script>alert(1)</script>")
    leaves(participant, survey, START, row("5", '"><img src=x onerror=alert(2)>'))
    answer = opens(app, participant)
    assert "Set-Cookie" not in answer.headers and answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script|<img|style=|<style|\son\w+=[^\s&]*>?\s*<", answer.text)
    assert "&lt;script&gt;alert(1)" in answer.text
    assert set(re.findall(r'(?:href|src)="([^"?]+)', answer.text)) == {"/static/mark.svg", "/static/css/phone.css"}


def test_the_password_counts_and_others_answers_are_not_shown(app: Flask, factory: Factory):
    """PHONE-62, PHONE-20: refused with 403; PHONE-6: a GET has no form, so it is refused too."""
    participant, other = factory.participant(), factory.participant()
    leaves(other, factory.survey(other.study, name="Private"), START, row("1"))
    answer = opens(app, participant, password="wrong")
    assert (answer.status_code, answer.text) == (403, "")
    for path in ("/graph", "/graph/"):
        assert app.test_client().get(path, query_string=phone_fields(participant)).status_code == 403
        assert "Private" not in opens(app, participant, path).text
    assert opens(app, participant, "/graph/ios", password="wrong").status_code == 401


def test_a_failing_store_gets_a_friendly_page(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PHONE-62, PHONE-64: 503, and the phone may come back."""
    participant = factory.participant()
    leaves(participant, factory.survey(participant.study), START, row("1"))

    def fail(*_: object) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(SealedStore, "read", fail)
    answer = opens(app, participant)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "cannot be shown now" in answer.text


def test_a_file_that_is_gone_altered_or_no_text_leaves_the_others(app: Flask, factory: Factory):
    """PHONE-62: the page says that something is missing."""
    participant = factory.participant()
    survey = factory.survey(participant.study)
    for day in range(3):
        last = leaves(participant, survey, START + day * DAY, row(str(day)))
    leaves(
        participant, survey, START + 5 * DAY, contents=b"\xff\xfe\x00,\n,,,,\nq1,a,b\n\n" + row("8").encode() + b"\r\n"
    )
    store = factory.store(participant.study).store
    store.delete(last + ".zst")
    sealed = bytearray(
        b"".join(store.read((first := last.replace(last[-17:], f"{int(START.timestamp() * 1000)}.csv")) + ".zst")[0])
    )
    store.delete(first + ".zst")
    sealed[-1] ^= 1
    store.create(first + ".zst", bytes(sealed))
    answer = opens(app, participant)
    assert answer.status_code == 200
    assert drawn(answer.text) == ["1", "8"]
    assert "Some answers could not be read" in answer.text


def test_the_work_is_bounded_in_time_and_bytes(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PHONE-13, PHONE-62: a file too large for answers is not opened; what takes too long is left out, and said."""
    participant = factory.participant()
    survey = factory.survey(participant.study)
    leaves(participant, survey, START, row("1"))
    leaves(participant, survey, START + DAY, contents=b"x" * (MOST_FILE_BYTES + 1))
    page = opens(app, participant).text
    assert drawn(page) == ["1"] and "could not be read" not in page
    assert webapp.phone.graph.READING_SECONDS < 12
    monkeypatch.setattr(webapp.phone.graph, "READING_SECONDS", 0)
    page = opens(app, participant).text
    assert drawn(page) == [] and "could not be read" in page and "Nothing to draw" not in page


def test_rows_are_read_as_the_apps_write_them():
    """PHONE-62: quotes are ignored, and only digits make a number."""
    texts = ["7", " -1.5 ", "+2", "1e5", "inf", "0x10", "1_0", "٣", "9" * 40, '"8"', "12:30", "2024-01-01"]
    found = answers_in("\n".join([HEADER, *map(row, texts)]).encode())
    assert [answer.number for answer in found] == [7, -1.5, 2] + [None] * 9
    assert found[0].limits == (0, 10)
    assert answers_in(b"") == answers_in(HEADER.encode()) == ()
