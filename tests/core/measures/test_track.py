"""The track of a day: kilometres from home, in the study's zone, whatever the chunks hold."""

from datetime import UTC, date, datetime, timedelta

import pytest

from core.database import db
from core.measures.track import track_of_day
from core.models import Chunk, Participant, Study
from core.streams import SPECS, DataStream
from core.streams.paths import registered_path
from tests.support.factories import Factory
from tests.support.tracked import tracked_day, tracked_hours

DAY = date(2026, 3, 4)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Walks", timezone_name="America/New_York")


@pytest.fixture
def participant(factory: Factory, study: Study) -> Participant:
    return factory.participant(study)


def test_places_are_kilometres_from_where_the_night_was(factory: Factory, study: Study, participant: Participant):
    """At home until 9:00, then three kilometres to the east, and four to the north of there from noon on."""
    tracked_day(factory, participant, DAY)
    track = track_of_day(db.session(), factory.store(study), study, participant, DAY)
    assert track.is_from_night and track.unreadable == 0
    hours = {hour.starts.hour: hour for hour in track.hours(study.zone)}
    assert sorted(hours) == [*range(13)] and hours[3].minutes == 60
    assert hours[3].farthest_km < 0.03
    assert hours[9].mean_km == pytest.approx(3, rel=0.02) and hours[12].farthest_km == pytest.approx(5, rel=0.02)
    last = track.places[-1]
    assert (last.east_km, last.north_km) == (pytest.approx(3, rel=0.02), pytest.approx(4, rel=0.02))
    assert len(track.runs()) == 1


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "America/New_York"])
def test_a_track_has_the_positions_of_its_day_and_no_others(factory: Factory, zone: str):
    """Also where midnight is at half past an hour of UTC, or a quarter to, and chunks belong to two days."""
    study = factory.study("Hills", timezone_name=zone)
    participant = factory.participant(study)
    tracked_hours(factory, participant, [datetime(2026, 3, 3, 12, tzinfo=UTC) + timedelta(hours=n) for n in range(48)])
    places = track_of_day(db.session(), factory.store(study), study, participant, DAY).places
    clock = [place.at.astimezone(study.zone) for place in places]
    assert (clock[0].date(), clock[-1].date(), len(clock)) == (DAY, DAY, 24 * 60)


def test_an_hour_that_clocks_show_twice_is_two(factory: Factory, study: Study, participant: Participant):
    """CLAR-82: on 1 November 2026 in New York, 25 hours; the next day has the usual names."""
    tracked_hours(factory, participant, [datetime(2026, 11, 1, 4, tzinfo=UTC) + timedelta(hours=n) for n in range(26)])
    store = factory.store(study)
    long, after = (
        track_of_day(db.session(), store, study, participant, date(2026, 11, day)).hours(study.zone) for day in (1, 2)
    )
    assert [hour.clock for hour in long[:4]] == ["00:00", "01:00 EDT", "01:00 EST", "02:00"]
    assert [hour.minutes for hour in long] == [60] * 25
    assert [hour.clock for hour in after] == ["00:00"]


def test_a_pause_breaks_the_line_and_what_cannot_be_read_is_counted(
    factory: Factory, study: Study, participant: Participant
):
    """A missing object, a chunk without its columns, rows without a position; nothing of the days beside counts."""
    tracked_day(factory, participant, DAY, hours=(8, 10), longitude=179.99)
    tracked_day(factory, participant, DAY + timedelta(days=1), hours=(0,))
    for hour, contents in ((11, b"no header of ours\n1,2\n"), (12, None), (13, b"")):
        at = datetime(2026, 3, 4, 5 + hour, tzinfo=UTC)
        of = {"participant_id": participant.id, "study_id": study.id, "size_bytes": 9}
        db.session.add(Chunk(stream=SPECS[DataStream.GPS].number, time_bin=at, **of))
        if contents is not None:
            path = registered_path(study.object_id, participant.patient_id, None, DataStream.GPS, at, None)
            factory.store(study).create(path, contents)
    db.session.commit()
    track = track_of_day(db.session(), factory.store(study), study, participant, DAY)
    assert not track.is_from_night and track.unreadable == 3 and len(track.runs()) == 2
    assert max(place.km for place in track.places) < 10  # across the date line
    empty = track_of_day(db.session(), factory.store(study), study, participant, DAY - timedelta(days=2))
    assert empty.places == () and empty.hours(study.zone) == []
