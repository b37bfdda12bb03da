"""Hours with data, and how many the app settings let expect (PORTAL-226)."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from core.database import db
from core.models import AppSettingsVersion, Chunk, Participant, Study
from core.models.app_settings import APP_SETTINGS
from core.participants.expected_streams import SCHEDULED
from core.processing.daily_quantities import recompute_days
from core.quantities.days import Days
from core.quantities.expected import expected_hours, hours_by_settings
from core.quantities.hours import add_participant_hours, add_stream_hours, add_study_hours
from core.quantities.marking import share_level
from core.quantities.tables import StreamQuery, participant_table, stream_table, study_table
from core.streams import SPECS, DataStream
from tests.support.factories import Factory

DEFAULTS = {setting.name: setting.default for setting in APP_SETTINGS}
FIRST = date(2026, 3, 7)  # the day after, clocks in New York go forward


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep", timezone_name="America/New_York")


def fill(person: Participant, chance: random.Random) -> dict[tuple[DataStream, date], set[datetime]]:
    """Chunks of four days at random hours, and unchunked files of recordings; the hours by stream and day."""
    midnight, expected = datetime(2026, 3, 7, 5, tzinfo=UTC), {}
    of = {"participant_id": person.id, "study_id": person.study_id, "size_bytes": 7, "md5": b"m" * 16}
    for stream in (DataStream.GPS, DataStream.CALLS, DataStream.AUDIO_RECORDINGS):
        for hour in chance.sample(range(95), 40):
            at = midnight + timedelta(hours=hour)
            minutes = (3, 30) if stream is DataStream.AUDIO_RECORDINGS else (0,)
            for minute in minutes:
                path = f"x/{person.id}/{hour}/{minute}.mp4" if len(minutes) > 1 else None
                moment = at + timedelta(minutes=minute)
                db.session.add(Chunk(stream=SPECS[stream].number, time_bin=moment, path=path, **of))
            expected.setdefault((stream, at.astimezone(person.study.zone).date()), set()).add(at)
    db.session.flush()
    recompute_days(db.session(), person)
    db.session.commit()
    return expected


def test_hours_are_there_where_bytes_are(factory: Factory, study: Study):
    """Equal to the daily summaries' days, over random chunks and a change of clocks, in all three tables."""
    chance, session = random.Random(3), db.session()
    people = [factory.participant(study) for _ in range(3)]
    written = {person.id: fill(person, chance) for person in people}
    days = Days(FIRST, FIRST + timedelta(days=3), FIRST, FIRST + timedelta(days=3))
    for person in people:
        for row in add_participant_hours(session, study, person, days, participant_table(session, person, days)):
            wanted = [len(written[person.id].get((DataStream(row.name), day), ())) or None for day in days.all]
            assert row.hours == wanted
            assert [cell is None for cell in row.cells] == [cell is None for cell in row.hours]
    rows = stream_table(session, study, DataStream.GPS, days, StreamQuery()).rows
    by_stream = add_stream_hours(session, study, DataStream.GPS, days, rows)
    assert sum(row.total_hours for row in by_stream) == 120
    (total,) = (
        total
        for total in add_study_hours(session, study, days, study_table(session, study, days))
        if total.stream is DataStream.GPS
    )
    assert total.participants == 3 and total.row.total_hours == pytest.approx(40)


@pytest.mark.parametrize(
    ("stream", "changed", "hours"),
    [
        (DataStream.GPS, {}, 24),  # on for a minute every eleven
        (DataStream.GPS, {"gps_on_duration_seconds": 600, "gps_off_duration_seconds": 7_800}, 12),
        (DataStream.GPS, {"gps": False}, 0),
        (DataStream.ACCELEROMETER, {"accelerometer_off_duration_seconds": 0}, 24),
        (DataStream.WIFI, {"wifi_log_frequency_seconds": 14_400}, 6),
        (DataStream.BLUETOOTH, {"bluetooth_on_duration_seconds": 0, "bluetooth_total_duration_seconds": 7_200}, 12),
        (DataStream.CALLS, {}, None),
    ],
)
def test_expected_hours_follow_from_the_cycle(stream: DataStream, changed: dict[str, int], hours: float | None):
    switched_on = dict.fromkeys(SCHEDULED.values(), True)
    assert hours_by_settings(DEFAULTS | switched_on | changed, stream) == hours


def test_expected_hours_are_those_of_the_day(study: Study):
    """A stream that a system does not have is not expected; on the day of a change the fewest hours count."""
    changed_at = datetime(2026, 3, 9, 17, tzinfo=UTC)
    db.session.execute(db.delete(AppSettingsVersion))
    for at, changes in ((changed_at - timedelta(days=9), {"wifi": True}), (changed_at, {"wifi": False})):
        values = DEFAULTS | changes
        db.session.add(AppSettingsVersion(study_id=study.id, at=at, author_name="anna", values=values))
    db.session.flush()
    expected = expected_hours(db.session(), study)
    assert [expected(DataStream.WIFI, "ANDROID", date(2026, 3, day)) for day in (8, 9, 10)] == [24, 0, 0]
    assert expected(DataStream.WIFI, "IOS", FIRST) is None and expected(DataStream.WIFI, None, FIRST) == 24


def test_colours_are_shares_of_the_expected_hours():
    shares = [share_level(hours, 12) for hours in (None, 0, 1, 2.4, 2.5, 12, 14)]
    assert shares == [0, 0, 1, 1, 2, 5, 5] and share_level(3, None) == share_level(3, 0.0) == 0
