"""Random prompts of a day: within their window and distance, for every zone and clock change."""

import uuid
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.surveys.random_times import drawn_times, fits
from core.surveys.schedules import (
    Absolute,
    Random,
    Relative,
    ScheduleKind,
    Weekly,
    counts_as,
    days_between,
    moments_of,
    wall_clock,
)
from core.surveys.timing_lists import TimingRefused, random_entry, read_timings

SEED = uuid.UUID(int=7)
UTC_ZONE = ZoneInfo("UTC")
EVERY_DAY = tuple(range(7))
YEARS = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))


@cache
def transitions() -> list[tuple[str, date]]:
    """Every zone's days of a clock change within two years of today's rules, by the zone's calendar."""
    found = []
    for name in sorted(available_timezones()):
        zone, at = ZoneInfo(name), YEARS[0]
        while at < YEARS[1]:
            later = at + timedelta(days=1)
            if at.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
                found.append((name, _changed_on(zone, at, later)))
            at = later
    return found


def _changed_on(zone: ZoneInfo, before: datetime, after: datetime) -> date:
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) / 2
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after.astimezone(zone).date()


def check(timing: Random, day: date, zone: ZoneInfo, study_zone: ZoneInfo, participant: int = 1) -> list[time]:
    """Draws, and checks all that must hold of what is drawn."""
    drawn = drawn_times(timing, SEED, participant, day, zone, study_zone)
    assert drawn == sorted(set(drawn)) and len(drawn) <= timing.prompts
    moments = []
    for at in drawn:
        assert timing.first <= at <= timing.last
        counts = counts_as(wall_clock(day, at, study_zone), study_zone, zone)
        assert counts.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at)  # on the participant's clock
        moments.append(counts)
    for one, other in pairwise(moments):
        assert other - one >= timedelta(minutes=timing.distance_minutes)  # as time passes
    assert drawn_times(timing, SEED, participant, day, zone, study_zone) == drawn
    return drawn


windows = st.tuples(st.integers(0, 1439), st.integers(0, 1439)).map(sorted)


@given(
    change=st.deferred(lambda: st.sampled_from(transitions())),
    beside=st.integers(-1, 1),
    window=windows,
    prompts=st.integers(1, 12),
    distance=st.integers(1, 240),
    other=st.deferred(lambda: st.sampled_from(transitions())),
    participant=st.integers(1, 2**40),
)
def test_prompts_are_in_their_window_and_at_their_distance_around_every_clock_change(
    change: tuple[str, date],
    beside: int,
    window: list[int],
    prompts: int,
    distance: int,
    other: tuple[str, date],
    participant: int,
):
    """CLAR-52, NOTIF-21: on days of 23 and 25 hours, whatever the study's zone."""
    first, last = (time(minute // 60, minute % 60) for minute in window)
    timing = Random(EVERY_DAY, first, last, prompts, distance)
    day = change[1] + timedelta(days=beside)
    drawn = check(timing, day, ZoneInfo(change[0]), ZoneInfo(other[0]), participant)
    if fits(timing) and day not in {on for name, on in transitions() if name in (change[0], other[0])}:
        assert len(drawn) == prompts


def test_every_zone_draws_well_on_each_of_its_clock_changes():
    """CLAR-52: a sweep over all zones, in the night and over the whole day."""
    night, whole = Random(EVERY_DAY, time(0), time(4), 3, 20), Random(EVERY_DAY, time(0), time(23, 59), 8, 60)
    seen = set()
    for name, day in transitions():
        zone = ZoneInfo(name)
        key = (day, *(wall_clock(day, time(hour, 30), zone) for hour in range(24)))
        if key in seen:  # links, and zones of the same clocks
            continue
        seen.add(key)
        assert len(check(night, day, zone, zone)) == 3
        assert len(check(whole, day, zone, UTC_ZONE)) == 8
    assert len(seen) > 100


@given(
    change=st.deferred(lambda: st.sampled_from(transitions())),
    beside=st.integers(-1, 1),
    minute=st.integers(0, 1439),
    other=st.deferred(lambda: st.sampled_from(transitions())),
)
def test_other_kinds_show_their_wall_clock_around_every_clock_change(
    change: tuple[str, date], beside: int, minute: int, other: tuple[str, date]
):
    """NOTIF-4, NOTIF-21: weekly, absolute and relative times; later only where clocks jumped over them."""
    zone, theirs, day = ZoneInfo(change[0]), ZoneInfo(other[0]), change[1] + timedelta(days=beside)
    at = time(minute // 60, minute % 60)
    for timing in (Weekly(day.isoweekday() % 7, at), Absolute(day, at), Relative(1, 3, at)):
        days = days_between(timing, day - timedelta(days=3), day + timedelta(days=3), day - timedelta(days=3))
        assert days == [day]
        ((on, moment),) = moments_of(timing, days, zone)
        shown = moment.astimezone(zone).replace(tzinfo=None)
        assert on == day and shown >= datetime.combine(day, at)
        counted = counts_as(moment, zone, theirs).astimezone(theirs).replace(tzinfo=None)
        assert counted >= shown


def test_a_window_wholly_inside_a_clock_change_has_no_prompts_and_a_narrow_one_as_many_as_fit():
    """CLAR-52: 02:00 to 02:59 does not exist in New York on 10 March 2024."""
    new_york, day = ZoneInfo("America/New_York"), date(2024, 3, 10)
    assert check(Random(EVERY_DAY, time(2), time(2, 59), 2, 10), day, new_york, new_york) == []
    assert check(Random(EVERY_DAY, time(2), time(2, 59), 2, 10), day, UTC_ZONE, new_york) == []  # nor on its way
    assert len(check(Random(EVERY_DAY, time(1, 30), time(3, 30), 5, 30), day, new_york, new_york)) == 3
    assert (
        check(Random(EVERY_DAY, time(0), time(23, 59), 1, 1), date(2011, 12, 30), ZoneInfo("Pacific/Apia"), UTC_ZONE)
        == []
    )


def test_half_an_hour_of_lord_howe_is_passed_over():
    """CLAR-52: on 6 October 2024 clocks go from 02:00 to 02:30; on 7 April 2024 from 02:00 back to 01:30."""
    zone, timing = ZoneInfo("Australia/Lord_Howe"), Random(EVERY_DAY, time(1, 45), time(2, 45), 2, 10)
    for participant in range(1, 200):
        spring = check(timing, date(2024, 10, 6), zone, zone, participant)
        assert len(spring) == 2 and not any(time(2) <= at < time(2, 30) for at in spring)
        assert len(check(timing, date(2024, 4, 7), zone, zone, participant)) == 2


def test_every_set_of_times_is_equally_likely():
    """CLAR-52: of the six pairs of four minutes at a distance of one, and the three at a distance of two."""
    for distance, sets in ((1, 6), (2, 3)):
        timing = Random(EVERY_DAY, time(9), time(9, 3), 2, distance)
        seen = Counter(tuple(check(timing, date(2024, 6, 3), UTC_ZONE, UTC_ZONE, n)) for n in range(1, 3_001))
        assert len(seen) == sets
        assert all(abs(count - 3_000 / sets) < 5 * (3_000 / sets) ** 0.5 for count in seen.values())


def test_participants_and_days_have_draws_of_their_own():
    """CLAR-52."""
    timing = Random(EVERY_DAY, time(9), time(21), 3, 60)
    days = [date(2024, 6, 1) + timedelta(days=n) for n in range(20)]
    drawn = {tuple(check(timing, day, UTC_ZONE, UTC_ZONE, n)) for day in days for n in range(1, 20)}
    assert len(drawn) > 370


def test_random_timings_are_read_and_written():
    """CLAR-52."""
    entry = [[6, 0, 6], 9 * 3600 + 59, 21 * 3600, 5, 90]
    timing = Random((0, 6), time(9), time(21), 5, 90)
    assert read_timings(ScheduleKind.RANDOM, [entry, entry]) == [timing]
    assert random_entry(timing) == [[0, 6], 9 * 3600, 21 * 3600, 5, 90]


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ([[1], 0, 3600, 3, 31], "3 prompts at least 31 minutes apart need 62 minutes, more than from 00:00 to 01:00"),
        ([[], 0, 3600, 1, 1], "at least one day"),
        ([[7], 0, 3600, 1, 1], "days of the week"),
        ([[1], 82_800, 3600, 1, 1], "cannot cross midnight"),
        ([[1], 0, 86_400, 1, 1], "seconds into the day"),
        ([[1], 0, 3600, 0, 1], "from 1 to 24 prompts"),
        ([[1], 0, 86_399, 25, 1], "from 1 to 24 prompts"),
        ([[1], 0, 3600, 1, 0], "least distance"),
        ([[1], 0, 3600, True, 1], "whole numbers"),
        ([1, 0, 3600, 1, 1], "is expected"),
        ({}, "is expected"),
    ],
)
def test_random_times_that_cannot_be_are_refused_with_their_place(entry: object, named: str):
    """CLAR-52, SURVEY-30."""
    with pytest.raises(TimingRefused, match=f"random timings, entry 1: .*{named}"):
        read_timings(ScheduleKind.RANDOM, [entry])
