"""A study's page, its CONSORT counts, and its processing (PORTAL-73, PORTAL-281, CLAR-40)."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.audit import SERVER
from core.database import db
from core.models import ProblemUpload, ProcessedHour, QueuedUpload, Study, UploadRecord, WithdrawalReason
from core.participants.departures import end_participation
from core.streams import SPECS, DataStream
from core.studies.consort import consort_counts
from core.studies.overview import uploads_by_day
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    """Somebody of each kind."""
    now = this_hour()
    study = factory.study("Mood & movement")
    first = factory.participant(study, created_at=LONG_AGO)
    first.activity.first_registered_at = first.activity.last_upload_at = now
    factory.participant(study, platform=None)
    factory.participant(study, retired_at=now)
    factory.participant(study, purge_asked_at=now, retired_at=now)
    factory.participant(study, is_test=True)
    for reason in (WithdrawalReason.BURDEN, WithdrawalReason.BURDEN, None):
        left = factory.participant(study, created_at=LONG_AGO)
        end_participation(db.session(), left, now.date() - timedelta(days=1), reason, now, actor=SERVER)
    for back in (0, 0, 3):
        received = now - timedelta(days=back, minutes=1)
        record = {"path": f"x/{back}", "stream": SPECS[DataStream.SURVEY_ANSWERS].number, "size_bytes": 1000}
        db.session.add(UploadRecord(participant_id=first.id, received_at=received, **record))
    problem = {"received_name": "x", "object_path": "x", "reason": "the key line is not base64", "size_bytes": 1}
    db.session.add(ProblemUpload(participant_id=first.id, **problem))
    db.session.commit()
    return study


def test_consort_counts_hold_each_participant_once(study: Study):
    """CLAR-40."""
    counts = consort_counts(db.session(), study.id)
    assert (counts.enrolled, counts.registered, counts.with_data, counts.tests) == (7, 1, 1, 1)
    ends = counts.taking_part + counts.completed + sum(counts.withdrawn.values()) + counts.retired + counts.purged
    assert ends == counts.enrolled
    assert counts.withdrawn == {"too much effort": 2} and (counts.completed, counts.retired, counts.purged) == (1, 1, 1)


def test_the_page_says_how_the_study_is_doing(study: Study, app: Flask, factory: Factory):
    """PORTAL-73."""
    page = Visitor(app, factory.researcher(study=study)).get(f"/view_study/{study.id}").text
    assert "Mood &amp; movement" in page and "1 participant not registered" in page
    assert "Surveys answered in the last 7 days: 3" in page and "1 upload kept aside" in page
    assert "Withdrawn: too much effort" in page and "1 test participant left out" in page
    assert "Changed lately" not in page
    admin = Visitor(app, factory.researcher(study=study, role=Role.STUDY_ADMIN)).get(f"/view_study/{study.id}").text
    assert "Changed lately" in admin and "recorded the completion of" in admin


def test_uploads_are_counted_by_the_studys_days(study: Study):
    now = this_hour()
    days = uploads_by_day(db.session(), study, now)
    assert len(days) == 14 and days[-1].day == now.astimezone(study.zone).date()
    assert sum(day.files for day in days) == 3 and sum(day.size_bytes for day in days) == 3000


def test_counts_are_downloaded_as_csv(study: Study, app: Flask, factory: Factory):
    """CLAR-40."""
    answer = Visitor(app, factory.researcher(study=study)).get(f"/view_study/{study.id}/consort.csv")
    assert answer.text.startswith("step,participants\r\nEnrolled,7\r\n")
    assert 'filename="consort - Mood & movement.csv"' in answer.headers["Content-Disposition"]


def test_processing_shows_what_was_done_and_tries_again_what_failed(app: Flask, factory: Factory):
    """PORTAL-281, CLAR-1, CLAR-7: rows of our own; a poll that would show the same is empty."""
    study = factory.study()
    participant = factory.participant(study)
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002800001,unknown,1,2,3\nx,1\n")
    queue(factory, participant, f"surveyAnswers/{'a' * 24}/12.csv", b"question id\nq")
    process()
    failed = db.session.scalars(sa.select(QueuedUpload)).one()
    failed.state = "failed"
    db.session.commit()
    hour = db.session.scalars(sa.select(ProcessedHour)).one()
    assert (hour.files, hour.rows_kept, hour.rows_dropped, hour.failures) == (1, 1, 1, 1)
    admin = Visitor(app, factory.researcher(study=study, role=Role.STUDY_ADMIN))
    path = f"/view_study/{study.id}/processing"
    page = admin.get(path).text
    assert "Given up, by reason" in page and (failed.reason or "?")[:20] in page and "Prefect" not in page
    version = page.partition("/processing/state?version=")[2].partition('"')[0]
    assert admin.swap(f"{path}/state?version={version}").status_code == 204
    admin.post(f"{path}/try_again")
    db.session.expire_all()
    assert db.session.scalars(sa.select(QueuedUpload)).one().state == "waiting"
    assert admin.swap(f"{path}/state?version={version}").status_code == 200
