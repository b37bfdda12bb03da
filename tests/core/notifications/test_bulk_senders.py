"""Many messages by the real libraries to stand-ins that speak the real protocols (NOTIF-34 to NOTIF-36)."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import core.notifications.senders.apns
from core.notifications.credential_files import ApnsKey
from core.notifications.messages import Message, survey_message
from core.notifications.outcomes import Fate, Outcome
from core.notifications.senders import Addressed
from core.notifications.senders.apns_bulk import ApnsBulkSender
from core.notifications.senders.fcm_bulk import FcmBulkSender
from core.streams import Platform
from tests.core.notifications.test_credentials import pem
from tests.support.fakes.apple import KEY, KEY_ID, TEAM_ID, TOPIC, FakeApple, running_apple
from tests.support.fakes.google import UNREGISTERED, FakeGoogle, fcm_error

NOW = datetime(2034, 6, 5, 12, tzinfo=UTC)
OURS = ApnsKey(pem(KEY), KEY_ID, TEAM_ID, TOPIC)


@pytest.fixture
def apple(tmp_path: Path) -> Iterator[FakeApple]:
    with running_apple(tmp_path) as fake:
        yield fake


def message(platform: Platform = Platform.IOS) -> Message:
    return survey_message(platform, {"a": ["u1"]}, NOW).until(NOW + timedelta(minutes=90), "a-key", NOW)


def addressed(count: int, platform: Platform = Platform.IOS) -> list[Addressed]:
    return [Addressed(n, f"{n:064x}", message(platform)) for n in range(1, count + 1)]


def by_apple(apple: FakeApple, messages: list[Addressed]) -> dict[int, Outcome]:
    with ApnsBulkSender(OURS, apple.gateway) as sender:
        return dict(sender.send_all(messages))


def by_google(google: FakeGoogle, messages: list[Addressed]) -> dict[int, Outcome]:
    with FcmBulkSender(google.service_account, google.url) as sender:
        return dict(sender.send_all(messages))


def fates(outcomes: dict[int, Outcome]) -> Counter[Fate]:
    return Counter(outcome.fate for outcome in outcomes.values())


def test_apple_gets_many_messages_over_one_connection(apple: FakeApple):
    """NOTIF-34, NOTIF-36: each once, with its end in unix seconds and its key."""
    assert fates(by_apple(apple, addressed(300))) == {Fate.DELIVERED: 300}
    assert (apple.connections, len(apple.authorizations)) == (1, 1)
    assert len({path for path, _, _ in apple.pushes}) == len(apple.pushes) == 300
    headers = apple.pushes[0][1]
    assert headers["apns-collapse-id"] == "a-key"
    left = int(headers["apns-expiration"]) - datetime.now(UTC).timestamp()
    assert 5_380 < left <= 5_400


def test_a_goodbye_in_the_middle_loses_and_doubles_nothing(apple: FakeApple):
    """NOTIF-36: what Apple has not looked at is sent again over a new connection."""
    apple.goodbye_after = {40, 90}
    outcomes = by_apple(apple, addressed(200))
    taken = Counter(path for path, _, _ in apple.pushes)
    assert set(taken.values()) == {1}
    assert fates(outcomes)[Fate.DELIVERED] + sum(o.is_unknown for o in outcomes.values()) == 200
    assert len(taken) == 200
    assert apple.connections >= 3


def test_a_refused_stream_is_sent_again(apple: FakeApple):
    """NOTIF-36: aioapns alone would wait for it for ever."""
    apple.refused_streams = {5, 6}
    assert fates(by_apple(apple, addressed(20))) == {Fate.DELIVERED: 20}
    assert len(apple.pushes) == 20


def test_dead_tokens_narrow_the_connection_and_nobody_gives_up(apple: FakeApple):
    """NOTIF-36, NOTIF-41: after a refused token one stream at a time until a good one."""
    messages = addressed(60)
    apple.by_token = {each.token: (410, "Unregistered") for each in messages[40:]}
    assert fates(by_apple(apple, messages)) == {Fate.DELIVERED: 40, Fate.UNREGISTERED: 20}


def test_a_message_without_an_answer_is_unknown_after_its_time(apple: FakeApple, monkeypatch: pytest.MonkeyPatch):
    """NOTIF-36, NOTIF-45: the library has no limit of its own, and would resend."""
    monkeypatch.setattr(core.notifications.senders.apns, "SEND_SECONDS", 1)
    apple.unanswered = {3}
    outcomes = by_apple(apple, addressed(6))
    assert fates(outcomes) == {Fate.DELIVERED: 5, Fate.UNREACHABLE: 1}
    assert sum(outcome.is_unknown for outcome in outcomes.values()) == 1
    assert len(apple.pushes) == 6


def test_a_refused_key_stops_the_run(apple: FakeApple):
    """NOTIF-42: ten thousand messages are not refused one by one."""
    apple.refusals = [(403, "ExpiredProviderToken")]
    outcomes = by_apple(apple, addressed(50))
    assert fates(outcomes) == {Fate.CREDENTIALS: 1}
    assert apple.requests == 1


def test_firebase_gets_each_message_once_with_one_access_token(firebase: FakeGoogle):
    """NOTIF-36."""
    outcomes = by_google(firebase, addressed(100, Platform.ANDROID))
    assert fates(outcomes) == {Fate.DELIVERED: 100}
    assert (firebase.sends, firebase.token_requests) == (100, 1)
    assert {m["android"]["ttl"] for m in firebase.messages} == {"5400s"}
    assert {m["android"]["collapse_key"] for m in firebase.messages} == {"a-key"}


def test_ios_by_firebase_carries_apples_headers(firebase: FakeGoogle):
    """NOTIF-35: unix seconds, as text."""
    by_google(firebase, addressed(1))
    expected = {"apns-expiration": str(int(NOW.timestamp()) + 5_400), "apns-collapse-id": "a-key"}
    assert firebase.messages[0]["apns"]["headers"] == expected


def test_a_service_that_takes_half_and_then_fails_is_left_alone(firebase: FakeGoogle):
    """NOTIF-42: the library would repeat each 503 for minutes."""
    down = fcm_error(503, "UNAVAILABLE", "Overloaded", "UNAVAILABLE", Retry_After="30")
    firebase.answer_nth = lambda nth: down if nth > 50 else None
    outcomes = by_google(firebase, addressed(200, Platform.ANDROID))
    counted = fates(outcomes)
    assert counted[Fate.DELIVERED] == 50
    assert 10 <= counted[Fate.UNREACHABLE] <= 30, "ten in a row, and those on their way"
    assert len(firebase.messages) == 50


def test_a_lost_answer_is_unknown_and_is_not_repeated_below_the_ledger(firebase: FakeGoogle):
    """NOTIF-36, NOTIF-45."""
    firebase.hangs_up_after = {7}
    outcomes = by_google(firebase, addressed(20, Platform.ANDROID))
    assert sum(outcome.is_unknown for outcome in outcomes.values()) == 1
    assert len(firebase.messages) == firebase.sends == 20


def test_nobody_to_connect_to_is_not_unknown(firebase: FakeGoogle):
    """NOTIF-42: then the message can be sent again at once."""
    account = firebase.service_account
    by_google(firebase, addressed(1))
    with FcmBulkSender(account, firebase.url) as sender:
        list(sender.send_all(addressed(1)))
        client = sender._sender._client
        assert client is not None
        client._fcm_end_point = "http://127.0.0.1:9/v1/projects/x/messages:send"
        ((_, outcome),) = sender.send_all(addressed(1))
    assert (outcome.fate, outcome.is_unknown) == (Fate.UNREACHABLE, False)


def test_dead_tokens_of_firebase_are_told_one_by_one(firebase: FakeGoogle):
    """NOTIF-41."""
    messages = addressed(30, Platform.ANDROID)
    firebase.by_token = {each.token: UNREGISTERED for each in messages[:10]}
    assert fates(by_google(firebase, messages)) == {Fate.DELIVERED: 20, Fate.UNREGISTERED: 10}
