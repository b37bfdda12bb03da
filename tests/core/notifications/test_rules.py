"""Rules of notifications: due times in all zones, quiet hours, resends, bundles, what outcomes mean."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.notifications.outcomes import Fate
from core.notifications.rules.bundling import AskedEvent, bundles, collapse_key
from core.notifications.rules.due_times import Bracket, bracket
from core.notifications.rules.judging import blames_credential, pause_after
from core.notifications.rules.quiet_hours import is_quiet
from core.notifications.rules.receipts import reports_receipts
from core.notifications.rules.resends import Sent, is_resend_due
from core.streams import Platform
from core.surveys.schedules import counts_as
from tests.support.paths import VECTORS

ZONES = [
    "America/New_York",
    "Asia/Tokyo",
    "Europe/London",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "America/St_Johns",
    "UTC",
]
NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
CASES = json.loads((VECTORS / "schedules" / "schedules.json").read_text())
DUE_CASES = [case for case in (CASES["cases"] if isinstance(CASES, dict) else CASES) if case["kind"] == "due"]


def holds(found: Bracket, at: datetime, counts_at: datetime, now: datetime) -> bool:
    """Whether the bracket does not contradict the exact time."""
    if at <= found.surely:
        return counts_at <= now
    return at <= found.perhaps or counts_at > now


@given(
    st.sampled_from(ZONES),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 31)),
    st.integers(-26 * 60, 26 * 60),
)
@example("America/New_York", "America/New_York", datetime(2024, 11, 3, 6, 30), -60)
@example("UTC", "America/New_York", datetime(2024, 3, 10, 7, 10), -290)
def test_a_bracket_never_contradicts_the_exact_time(study: str, phone: str, now: datetime, minutes: int):
    """NOTIF-21: in every zone, around every change of a clock."""
    now = now.replace(second=0, microsecond=0, tzinfo=UTC)
    at, zones = now + timedelta(minutes=minutes), (ZoneInfo(study), ZoneInfo(phone))
    assert holds(bracket(*zones, now), at, counts_as(at, *zones), now)


@pytest.mark.parametrize("case", DUE_CASES, ids=lambda case: case["id"])
def test_the_due_vectors_lie_on_the_right_side_of_their_bracket(case: dict[str, Any]):
    """NOTIF-21."""
    study = ZoneInfo(case["study_zone"])
    phone = study if case["participant_zone_unknown"] else ZoneInfo(case["participant_zone"])
    now, at = datetime.fromisoformat(case["now"]), datetime.fromisoformat(case["scheduled_time"])
    found = bracket(study, phone, now)
    assert (at > found.surely) if not case["due"] else (at <= found.perhaps)


def test_a_bracket_is_exact_where_no_clock_changes():
    """NOTIF-21: so that no event is read before its time."""
    found = bracket(ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo"), NOW)
    assert found == Bracket(NOW + timedelta(hours=13), NOW + timedelta(hours=13))


@pytest.mark.parametrize(
    ("clock", "begins", "ends", "expected"),
    [
        ("22:00", "22:00", "08:00", True),
        ("07:59", "22:00", "08:00", True),
        ("08:00", "22:00", "08:00", False),
        ("12:30", "12:00", "13:00", True),
        ("13:00", "12:00", "13:00", False),
        ("03:00", "05:00", "05:00", True),
    ],
)
def test_quiet_hours_may_span_midnight(clock: str, begins: str, ends: str, expected: bool):
    """CLAR-54."""
    now = datetime.combine(NOW.date(), time.fromisoformat(clock), ZoneInfo("Asia/Tokyo"))
    zone = ZoneInfo("Asia/Tokyo")
    assert is_quiet(now, zone, time.fromisoformat(begins), time.fromisoformat(ends)) is expected
    assert not is_quiet(now, zone, None, None)


@pytest.mark.parametrize(
    ("platform", "code", "name", "expected"),
    [
        ("IOS", "1", "2024.27", True),
        ("IOS", "1", "2024.9", False),
        ("IOS", "1", "2025.1", True),
        ("IOS", "1", "12024.21", True),
        ("IOS", None, "2024.28", False),
        ("IOS", "1", "2.6.1", False),
        ("IOS", "1", "abcdef", False),
        ("IOS", "1", None, False),
        ("ANDROID", "99", "2025.1", False),
        (None, "1", "2025.1", False),
    ],
)
def test_only_newer_ios_apps_report_receipts(platform: str, code: str, name: str, expected: bool):
    """NOTIF-50, NOTIF-52, PHONE-130, PHONE-131."""
    assert reports_receipts(platform, code, name) is expected


def test_resends_follow_their_period_eight_times_within_a_week():
    """NOTIF-51: zero is never; the seconds of an attempt do not move the next one."""
    sent = Sent(NOW, NOW + timedelta(seconds=40), 1)
    assert not is_resend_due(sent, 180, NOW + timedelta(minutes=179))
    assert is_resend_due(sent, 180, NOW + timedelta(minutes=180))
    assert not is_resend_due(sent, 0, NOW + timedelta(days=1))
    assert is_resend_due(Sent(NOW, NOW, 8), 180, NOW + timedelta(hours=3))
    assert not is_resend_due(Sent(NOW, NOW, 9), 180, NOW + timedelta(hours=3))
    assert not is_resend_due(sent, 180, NOW + timedelta(days=7))


def asked(survey: str, hours: float, **more: Any) -> AskedEvent:
    at = NOW + timedelta(hours=hours)
    columns = {"counts_at": at, "answerable_until": at + timedelta(hours=24)} | more
    return AskedEvent(int(hours * 60), ord(survey[0]), survey, "weekly", at, uuid4(), **columns)


def test_android_gets_a_message_for_each_survey_and_ios_one_for_all():
    """CLAR-60, NOTIF-22: two events of one survey are one message with two uuids."""
    events = [asked("a", -2), asked("b", -1), asked("a", 0)]
    android = bundles(Platform.ANDROID, "abc", events, NOW, carries_unconfirmed=False)
    assert [bundle.collapse_key for bundle in android] == ["a", "b"]
    assert [len(bundle.events) for bundle in android] == [2, 1]
    (ios,) = bundles(Platform.IOS, "abc", events, NOW, carries_unconfirmed=True)
    assert {survey: len(uuids) for survey, uuids in ios.uuids.items()} == {"a": 2, "b": 1}
    assert (ios.earliest, ios.due_at) == (events[0].scheduled_at, NOW)


def test_a_message_replaces_only_what_it_carries():
    """NOTIF-35, CLAR-60: an old app's survey that was not delivered is not replaced by another survey's message."""
    one, other = (
        bundles(Platform.IOS, "abc", [asked(survey, 0)], NOW, carries_unconfirmed=False)[0].collapse_key
        for survey in "ab"
    )
    assert one != other
    keys = {
        bundles(Platform.IOS, "abc", [asked(survey, 0)], NOW, carries_unconfirmed=True)[0].collapse_key
        for survey in "ab"
    }
    assert keys == {collapse_key("abc")} != {collapse_key("abd")}
    assert all(len(key.encode()) <= 64 for key in keys)


def test_a_message_lives_until_its_newest_event_ends_and_for_ten_minutes_at_least():
    """NOTIF-35."""
    ending = asked("a", -24, answerable_until=NOW + timedelta(minutes=1))
    (short,) = bundles(Platform.IOS, "abc", [ending], NOW, carries_unconfirmed=True)
    assert short.expires_at == NOW + timedelta(minutes=10)
    (long,) = bundles(Platform.IOS, "abc", [ending, asked("b", 0)], NOW, carries_unconfirmed=True)
    assert long.expires_at == NOW + timedelta(hours=24)


def test_nothing_is_sent_for_events_that_only_go_along():
    """NOTIF-22."""
    along = [asked("a", -3, is_due=False)]
    for platform in Platform:
        assert bundles(platform, "abc", along, NOW, carries_unconfirmed=True) == []


@pytest.mark.parametrize(
    ("delivered", "lost", "has_accepted", "expected"),
    [
        (0, 1, False, True),
        (0, 1, True, False),
        (0, 4, True, False),
        (2, 3, True, True),
        (7_000, 3_000, True, False),
        (7_000, 3_000, False, False),
        (3, 3, True, False),
        (5, 0, False, False),
    ],
)
def test_many_lost_tokens_at_once_are_the_credentials_fault(
    delivered: int, lost: int, has_accepted: bool, expected: bool
):
    """NOTIF-41."""
    fates = [Fate.DELIVERED] * delivered + [Fate.UNREGISTERED] * lost
    assert blames_credential(fates, has_accepted=has_accepted) is expected


def test_pauses_grow_and_a_service_that_names_a_time_gets_it():
    """NOTIF-42, NOTIF-43."""
    pauses = [pause_after(Fate.UNREACHABLE, n) for n in (1, 2, 3, 30)]
    assert pauses == [timedelta(seconds=s) for s in (15, 30, 60, 300)]
    assert pause_after(Fate.QUOTA, 1, 90) == timedelta(seconds=90)
    assert pause_after(Fate.QUOTA, 1) == timedelta(minutes=1)
    assert pause_after(Fate.UNREACHABLE, 1, 120) == timedelta(minutes=2)
    assert pause_after(Fate.QUOTA, 1, 10**6) == timedelta(hours=1)
