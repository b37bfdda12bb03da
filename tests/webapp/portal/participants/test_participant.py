"""A participant's page: arrivals and coverage (PORTAL-130 to PORTAL-132, PORTAL-220)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from core.database import db
from core.models import Chunk, Participant, ProblemUpload, QueuedUpload, RefusedUpload, UploadRecord
from core.participants.arrivals import arrivals_of
from core.participants.coverage import Cell, coverage
from core.streams import SPECS, DataStream
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")

NEW_YORK = ZoneInfo("America/New_York")
GPS, CALLS = SPECS[DataStream.GPS].number, SPECS[DataStream.CALLS].number
HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 23, 5, tzinfo=UTC)  # in New York
NOW = MIDNIGHT + 36 * HOUR


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(factory.study())


def chunks(participant: Participant, stream: int, *hours: datetime, size_bytes: int = 100) -> None:
    for hour in hours:
        db.session.add(
            Chunk(
                participant_id=participant.id,
                study_id=participant.study_id,
                stream=stream,
                time_bin=hour,
                size_bytes=size_bytes,
            )
        )
    db.session.commit()


def drawn(participant: Participant, day: date, expected: set[int] = frozenset(), since: datetime | None = None):
    return coverage(
        db.session(),
        participant.id,
        NEW_YORK,
        day,
        NOW,
        lambda _: set(expected),
        since or MIDNIGHT - 50 * 24 * HOUR,
        None,
    )


def test_hours_count_towards_the_day_of_the_studys_zone(participant: Participant):
    """PORTAL-220."""
    chunks(participant, GPS, MIDNIGHT - HOUR, MIDNIGHT, MIDNIGHT + HOUR, MIDNIGHT + 23 * HOUR, MIDNIGHT + 24 * HOUR)
    covered = drawn(participant, date(2026, 11, 23))
    cells = dict(zip(covered.days, covered.by_day[GPS], strict=True))
    assert [cells[date(2026, 11, d)].hours for d in (22, 23, 24)] == [1, 3, 1]
    assert covered.days[0] == date(2026, 10, 28) and len(covered.days) == 28
    assert [n for n, cell in enumerate(covered.by_hour[GPS]) if cell.level] == [0, 1, 23]


def test_two_files_of_an_hour_are_one_hour(participant: Participant):
    answers = SPECS[DataStream.SURVEY_ANSWERS].number
    for minute in (3, 44):
        at = MIDNIGHT + timedelta(minutes=minute)
        db.session.add(
            Chunk(
                participant_id=participant.id,
                study_id=participant.study_id,
                stream=answers,
                time_bin=at,
                path=f"raw/{minute}",
                size_bytes=7,
            )
        )
    db.session.commit()
    covered = drawn(participant, date(2026, 11, 23))
    assert covered.by_hour[answers][0] == Cell(5, hours=1, size_bytes=14)


def test_the_longest_and_shortest_days_have_their_hours(participant: Participant):
    assert len(drawn(participant, date(2026, 11, 1)).hours) == 25
    assert len(drawn(participant, date(2026, 3, 8)).hours) == 23


def test_levels_deepen_with_hours(participant: Participant):
    for day, hours in enumerate((1, 4, 5, 12, 20, 24)):
        chunks(participant, GPS, *(MIDNIGHT - (day + 1) * 24 * HOUR + n * HOUR for n in range(hours)))
    levels = [cell.level for cell in drawn(participant, date(2026, 11, 23)).by_day[GPS][-3::-1][:6]]
    assert levels == [1, 1, 2, 3, 5, 5]


def test_a_gap_is_a_whole_day_without_a_stream_that_is_on(participant: Participant):
    """Not on the day of registration, not today, and not in streams that record only events."""
    since = MIDNIGHT - 3 * 24 * HOUR + HOUR
    chunks(participant, CALLS, MIDNIGHT - 24 * HOUR)
    covered = drawn(participant, date(2026, 11, 24), {GPS}, since)
    assert [cell.mark for cell in covered.by_day[GPS][-6:]] == ["off", "none", "gap", "gap", "gap", "none"]
    assert [cell.mark for cell in covered.by_day[CALLS][-6:]] == ["off", "none", "none", "", "none", "none"]


def test_an_earlier_day_brings_its_own_four_weeks(participant: Participant):
    covered = drawn(participant, date(2026, 9, 1))
    assert (covered.days[-1], covered.day) == (date(2026, 9, 1), date(2026, 9, 1))


def test_arrivals_are_told_by_stream(participant: Participant):
    chunks(participant, GPS, MIDNIGHT, MIDNIGHT + 5 * HOUR, size_bytes=1_500)
    common = {"participant_id": participant.id, "size_bytes": 5}
    db.session.add_all(
        [UploadRecord(path=f"{n}", stream=CALLS, received_at=NOW - n * HOUR, **common) for n in range(30)]
        + [
            QueuedUpload(path="0", study_id=participant.study_id, received_at=NOW, **common),
            ProblemUpload(received_name="x", object_path="y", reason="no key", received_at=NOW, **common),
        ]
    )
    db.session.commit()
    arrivals = arrivals_of(db.session(), participant.id)
    calls, gps = arrivals.streams
    assert (gps.chunks, gps.size_bytes, gps.first_bin, gps.last_bin) == (2, 3_000, MIDNIGHT, MIDNIGHT + 5 * HOUR)
    assert gps.last_upload_at is None and gps.last_processed_at
    assert (calls.chunks, calls.last_upload_at, calls.last_processed_at) == (0, NOW, None)
    assert [upload.path for upload in arrivals.recent] == [str(n) for n in range(20)]
    assert (arrivals.waiting, arrivals.first_upload_at) == (1, NOW - 29 * HOUR)
    assert [problem.reason for problem in arrivals.problems] == ["no key"]


def test_an_empty_page_says_what_to_hand_over(app: Flask, factory: Factory):
    study = factory.study()
    newcomer = factory.participant(study, platform=None)
    page = Visitor(app, factory.researcher(study=study)).get(address(newcomer)).text
    assert "Nothing has arrived yet" in page and "Server address" in page and "Four weeks" not in page


def test_the_page_tells_what_arrived(app: Flask, factory: Factory, participant: Participant):
    """PORTAL-130, PORTAL-132; times in the study's zone with UTC on hover (PORTAL-10)."""
    now = datetime.now(UTC)
    chunks(participant, GPS, now.replace(minute=0, second=0, microsecond=0))
    db.session.add(
        UploadRecord(
            path="a",
            participant_id=participant.id,
            stream=GPS,
            size_bytes=2_048,
            received_at=now,
            processed_at=now,
            dropped_rows={"bad time": 3},
        )
    )
    db.session.commit()
    page = Visitor(app, factory.researcher(study=participant.study)).get(address(participant)).text
    for words in ("By stream", "Recent uploads", "2.0 kB", "3 bad time", "1 of 24 hours", "Android"):
        assert words in page
    assert f'title="{now:%Y-%m-%d %H:%M:%S} UTC"' in page


def test_a_poll_asks_for_a_new_drawing_only_when_there_are_new_chunks(
    app: Flask, factory: Factory, participant: Participant
):
    visitor = Visitor(app, factory.researcher(study=participant.study))
    figures = f"{address(participant)}/figures"
    assert "HX-Trigger" not in visitor.swap(f"{figures}?drawn=").headers
    chunks(participant, GPS, MIDNIGHT)
    assert visitor.swap(f"{figures}?drawn=").headers["HX-Trigger"] == "new-data"
    drawing = visitor.swap(address(participant)).text
    seen = drawing.split('name="drawn" value="')[1].split('"')[0]
    assert "HX-Trigger" not in visitor.swap(f"{figures}?drawn={seen}").headers


@pytest.mark.parametrize("day", ["2020-99-99", "x", "0001-01-01", "9999-12-31", ""])
def test_any_day_can_be_asked_for(app: Flask, factory: Factory, participant: Participant, day: str):
    visitor = Visitor(app, factory.researcher(study=participant.study))
    assert visitor.get(f"{address(participant)}?day={day}").status_code == 200


def test_retired_and_purged_participants_are_told_so(app: Flask, factory: Factory, participant: Participant):
    """PORTAL-132."""
    visitor = Visitor(app, factory.researcher(study=participant.study))
    participant.retired_at = datetime.now(UTC)
    db.session.commit()
    assert "Retired on" in visitor.get(address(participant)).text
    participant.purge_asked_at = datetime.now(UTC)
    db.session.commit()
    assert "will be deleted" in visitor.get(address(participant)).text


def address(participant: Participant) -> str:
    return f"/view_study/{participant.study_id}/participant/{participant.patient_id}"


def test_files_too_large_to_take_are_shown_with_how_often_they_came(app: Flask, factory: Factory):
    """PHONE-10: the phone repeats them for ever, and only people can help."""
    participant = factory.participant()
    assert "Too large to take" not in _page(app, factory, participant)
    refused = {"participant_id": participant.id, "status": 413, "size_bytes": 2_000_000_000, "times": 7}
    db.session.add(RefusedUpload(file_name="a_voiceRecording_1.mp4", reason="too large", **refused))
    db.session.add(RefusedUpload(file_name="a_gps_1.csv", reason="junk name", **refused))
    db.session.commit()
    page = _page(app, factory, participant)
    assert "Too large to take" in page
    assert "2.0 GB" in page
    assert "a_voiceRecording_1.mp4</span>, sent 7 times" in page
    assert "a_gps_1.csv" not in page


def _page(app: Flask, factory: Factory, participant: Participant) -> str:
    visitor = Visitor(app, factory.researcher(study=participant.study))
    return visitor.get(f"/view_study/{participant.study_id}/participant/{participant.patient_id}").text
