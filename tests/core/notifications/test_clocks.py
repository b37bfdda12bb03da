"""The clock of a study's participants in one zone: as exact as the rule, and cheaper (NOTIF-21)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from core.models import Study
from core.notifications.clocks import Clock, clock_of
from core.notifications.rules.due_times import bracket
from core.notifications.running_studies import RunningStudy
from core.surveys.rules.answerable import answerable_until
from core.surveys.schedules import counts_as
from tests.core.notifications.test_rules import ZONES

DAYS = 60 * 24


def clock(study: str, phone: str, now: datetime) -> Clock:
    running = RunningStudy(Study(id=1, timezone_name=study, survey_expiry_minutes=DAYS), 180, "", 60, False)
    found = {(1, phone): bracket(ZoneInfo(study), ZoneInfo(phone), now)}
    return clock_of(running, phone, found, now)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 31)),
    st.integers(-4 * DAYS, 4 * DAYS),
    st.integers(1, 20 * DAYS),
    st.integers(10, 3 * DAYS),
)
@example("America/New_York", "Asia/Tokyo", datetime(2024, 3, 9, 3), -60, 24 * 60, DAYS)
def test_a_clock_says_what_the_rule_says(study: str, phone: str, now: datetime, minutes: int, more: int, expiry: int):
    """NOTIF-21, NOTIF-35: in every zone, around every change of a clock, and until when a survey can be answered."""
    now = now.replace(second=0, microsecond=0, tzinfo=UTC)
    at = now + timedelta(minutes=minutes)
    later, zones, ours = at + timedelta(minutes=more), (ZoneInfo(study), ZoneInfo(phone)), clock(study, phone, now)
    counts_at = counts_as(at, *zones)
    assert ours.counts_at(at) == counts_at
    found = answerable_until(counts_at, ours.next_at(at, later, expiry), expiry)
    assert found == answerable_until(counts_at, counts_as(later, *zones), expiry)


def test_most_events_are_not_computed_one_by_one():
    """NOTIF-20: where no clock changes within two days."""
    now = datetime(2024, 6, 5, 16, tzinfo=UTC)
    assert clock("America/New_York", "Asia/Tokyo", now).shift == timedelta(hours=-13)
    assert clock("America/New_York", "Asia/Tokyo", datetime(2024, 3, 10, tzinfo=UTC)).shift is None
