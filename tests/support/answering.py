"""Participants who answer surveys: files as the apps write them, uploaded and processed by the real code."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.database import db
from core.models import Participant, ParticipantActivity, ScheduledEvent, Study, Submission, Survey
from core.phones.key_cache import PrivateKeyCache
from core.phones.uploads import UploadContext, place_raw_object, rows_of_upload
from core.processing.claims import Scope
from core.processing.run import process_everything
from core.streams import Platform
from core.surveys.rules.answer_files import answers_file
from core.surveys.rules.answering import Answer, way_through
from tests.support.factories import Factory
from tests.support.this_hour import this_hour
from webapp.stores import object_store, settings

ODD = "{{ 7*7 }} <b>fett</b> 😀 שלום"
MOOD = {
    "question_id": "mood",
    "question_type": "radio_button",
    "question_text": "How was your mood, in general?",
    "answers": [{"text": "bad"}, {"text": "so; so"}, {"text": "good, mostly"}],
}
WHY = {
    "question_id": "why",
    "question_type": "checkbox",
    "question_text": f"Why? {ODD}",
    "answers": [{"text": "work"}, {"text": "pain, bad"}, {"text": ODD}],
    "display_if": {"<": ["mood", 2]},
}
ENERGY = {"question_id": "energy", "question_type": "slider", "question_text": "Energy?", "min": "0", "max": "10"}
HOURS = {
    "question_id": "hours",
    "question_type": "free_response",
    "question_text": "Hours of sleep?",
    "text_field_type": "NUMERIC",
}
REST = {
    "question_id": "rest",
    "question_type": "free_response",
    "question_text": "Anything else?",
    "text_field_type": "MULTI_LINE_TEXT",
}
CONTENT: list[dict[str, Any]] = [MOOD, WHY, ENERGY, HOURS, REST]


def file_of(given: Mapping[str, Answer], platform: Platform, content: Sequence[Any] = CONTENT) -> bytes:
    """The answers file that the app of this platform writes today."""
    way = way_through(list(content), {}, given, platform)
    return "\n".join(answers_file(list(content), way, given, platform)).encode()


def as_older_android(contents: bytes, content: Sequence[Any] = CONTENT) -> bytes:
    """The same file as an older Android app wrote it: radio buttons as texts."""
    lines = contents.decode().split("\n")
    for place, line in enumerate(lines):
        fields = line.split(",")
        if fields[1] == "Radio Button Question" and fields[-1].isdecimal():
            question = next(q for q in content if q["question_id"] == fields[0])
            fields[-1] = question["answers"][int(fields[-1])]["text"].replace(",", ";")
            lines[place] = ",".join(fields)
    return "\n".join(lines).encode()


def queue(participant: Participant, path: str, contents: bytes) -> str:
    """Stores and queues a raw file as an accepted upload does; gives its path."""
    context = UploadContext(db.session(), Factory().store(participant.study), PrivateKeyCache())
    stored = place_raw_object(context, f"{participant.study.object_id}/{participant.patient_id}/{path}", contents)
    platform = Platform(participant.os_type) if participant.os_type else None
    db.session.execute(*rows_of_upload(participant, stored, platform))
    db.session.commit()
    return stored.path.removesuffix(".zst")


def submits(participant: Participant, survey: Survey, at: datetime, contents: bytes) -> str:
    """Uploads a file of answers that was written at that time; gives its path."""
    return queue(participant, f"surveyAnswers/{survey.object_id}/{int(at.timestamp() * 1000)}.csv", contents)


def records(participant: Participant, survey: Survey, at: datetime) -> str:
    """Uploads a recording; gives its path."""
    return queue(participant, f"voiceRecording/{survey.object_id}/{int(at.timestamp())}.mp4", b"sound")


def opens(participant: Participant, survey: Survey, at: datetime) -> None:
    """Uploads survey timings of somebody who saw the survey then."""
    header = "timestamp,question id,question type,question text,question answer options,answer"
    ms = int(at.timestamp() * 1000)
    row = f"{ms},mood,radio_button,How?,a;b,,present"
    queue(participant, f"surveyTimings/{survey.object_id}/{ms}.csv", f"{header},event\n{row}\n".encode())


def asks(participant: Participant, survey: Survey, *moments: datetime) -> None:
    """Events of the survey, which were made a week before they count."""
    for at in moments:
        made = {"created_at": min(at, this_hour()) - timedelta(days=7)}
        db.session.add(ScheduledEvent(survey_id=survey.id, participant_id=participant.id, scheduled_at=at, **made))
    db.session.commit()


def process() -> None:
    """Processes all uploads; nothing may fail."""
    db.session.commit()
    report = process_everything(db.engine, object_store(), settings(), Scope())
    assert not report.failures
    forget_rows()


def forget_rows() -> None:
    """Lets what other sessions have changed be read anew."""
    db.session.commit()
    for row in list(db.session):
        if not isinstance(row, Participant | ParticipantActivity | Study | Survey):
            db.session.expunge(row)


def submission(path: str) -> Submission:
    """The submission of a file."""
    return db.session.scalars(sa.select(Submission).where(Submission.path == path)).one()
