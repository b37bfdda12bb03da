"""The table of streams, and what names of files say (PROC-1 to PROC-3, PROC-37, PROC-39)."""

from datetime import UTC, datetime, timedelta

import pytest

from core.streams import (
    SPECS,
    BadFileTime,
    DataStream,
    Platform,
    UnknownStream,
    chunk_path,
    stream_by_number,
    stream_of_path,
)
from core.streams.paths import file_time, name_digits, survey_of_path

NOW = datetime(2024, 6, 1, tzinfo=UTC)
SURVEY = "5a5a5a5a5a5a5a5a5a5a5a5a"


def test_every_stream_has_one_number_and_aliases_of_its_own() -> None:
    assert set(SPECS) == set(DataStream)
    assert [spec.number for spec in SPECS.values()] == list(range(1, 20))
    assert all(stream_by_number(spec.number) is spec.stream for spec in SPECS.values())
    aliases = [alias for spec in SPECS.values() for alias in spec.upload_aliases]
    assert len(aliases) == len(set(aliases))


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("accel/1700000000000.csv", DataStream.ACCELEROMETER),
        ("ios_log/1700000000000.csv", DataStream.IOS_LOG),
        ("ios/log/1700000000000.csv", DataStream.IOS_LOG),
        ("identifiers_1700000000.csv", DataStream.IDENTIFIERS),
        ("0123456789abcdef01234567/abcd1234/identifiers_1700000000.csv", DataStream.IDENTIFIERS),
        (f"0123456789abcdef01234567/abcd1234/surveyTimings/{SURVEY}/1700000000000.csv", DataStream.SURVEY_TIMINGS),
        (f"voiceRecording/{SURVEY}/1700000000.mp4", DataStream.AUDIO_RECORDINGS),
        ("gps/1700000000000.csv-duplicate-abcdefgh12", DataStream.GPS),
    ],
)
def test_stream_is_found_in_the_path(path: str, stream: DataStream) -> None:
    """PROC-1, PROC-2, PROC-3."""
    assert stream_of_path(path) is stream


@pytest.mark.parametrize("path", ["nonsense/1.csv", "accelerometer/1.csv", "", "x-duplicate-identifiers"])
def test_a_path_without_a_stream_is_an_error(path: str) -> None:
    """PROC-1."""
    with pytest.raises(UnknownStream):
        stream_of_path(path)


def test_headers_follow_the_participants_platform() -> None:
    """PROC-36."""
    power_state = SPECS[DataStream.POWER_STATE]
    assert power_state.chunk_header(Platform.ANDROID) == power_state.chunk_header(None) == "timestamp,UTC time,event"
    assert power_state.chunk_header(Platform.IOS) == "timestamp,UTC time,event,level"
    gps = "timestamp,UTC time,latitude,longitude,altitude,accuracy"
    assert {SPECS[DataStream.GPS].chunk_header(platform) for platform in Platform} == {gps}


def test_time_in_a_name_is_read_before_the_duplicate_mark() -> None:
    """PROC-2, PROC-39."""
    moment = datetime.fromtimestamp(1700000000, UTC)
    for name in ("1700000000999.csv", "1700000000.mp4", "1700000000999.csv-duplicate-abcdefgh12"):
        assert file_time(f"voiceRecording/{SURVEY}/{name}", NOW) == moment
    assert name_digits("identifiers_1700000000.csv") == "1700000000"


@pytest.mark.parametrize("name", ["nonsense.mp4", "x1700000000.mp4", "1406851199.mp4", "12.mp4", "1700000000"])
def test_a_bad_time_in_a_name_is_an_error(name: str) -> None:
    """PROC-39."""
    with pytest.raises(BadFileTime):
        file_time(f"ambientAudio/{name}", NOW)


def test_limits_of_file_times_are_inclusive() -> None:
    """PROC-14."""
    assert file_time("ambientAudio/1406851200000.mp4", NOW).year == 2014
    latest = int((NOW + timedelta(days=90)).timestamp())
    assert file_time(f"ambientAudio/{latest}.mp4", NOW) == NOW + timedelta(days=90)
    with pytest.raises(BadFileTime):
        file_time(f"ambientAudio/{latest + 1}.mp4", NOW)


def test_chunk_paths_hold_the_survey_for_survey_timings_only() -> None:
    """PROC-37."""
    hour = datetime(2023, 11, 14, 23, tzinfo=UTC)
    assert chunk_path("study", "patient", DataStream.GPS, hour, None) == (
        "CHUNKED_DATA/study/patient/gps/2023-11-14T23:00:00.csv"
    )
    assert chunk_path("study", "patient", DataStream.SURVEY_TIMINGS, hour, SURVEY) == (
        f"CHUNKED_DATA/study/patient/survey_timings/{SURVEY}/2023-11-14T23:00:00.csv"
    )


def test_survey_is_the_piece_before_the_name() -> None:
    """PROC-24."""
    assert survey_of_path(f"surveyTimings/{SURVEY}/1.csv") == SURVEY
    assert survey_of_path("surveyTimings/1.csv") is None
    assert survey_of_path("1.csv") is None
