"""Push tokens of phones (PHONE-60)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from flask import Flask

from core.database import db
from core.models import Participant, PushToken
from tests.support.factories import Factory, phone_fields


def send(app: Flask, participant: Participant, **tokens: str) -> None:
    answer = app.test_client().post("/set_fcm_token", data=phone_fields(participant, **tokens))
    assert (answer.status_code, answer.data) == (204, b"")


def in_use() -> set[tuple[int, str, str]]:
    """Participant, service and token of every token in use."""
    query = db.select(PushToken.participant_id, PushToken.service, PushToken.token)
    return set(db.session.execute(query.where(PushToken.retired_at.is_(None))).tuples())


def test_a_new_token_replaces_the_old_one_and_the_same_is_renewed(app: Flask, factory: Factory):
    """PHONE-60."""
    participant = factory.participant()
    send(app, participant, fcm_token="one")
    first = db.session.scalars(db.select(PushToken)).one()
    before = first.renewed_at
    send(app, participant, fcm_token="one")
    db.session.refresh(first)
    assert first.renewed_at > before
    send(app, participant, fcm_token="two")
    assert in_use() == {(participant.id, "fcm", "two")}
    db.session.refresh(participant.activity)
    assert participant.activity.last_set_push_token_at is not None


@pytest.mark.parametrize("blank", [{}, {"fcm_token": ""}, {"fcm_token": " "}])
def test_a_blank_or_missing_token_retires_the_one_in_use(app: Flask, factory: Factory, blank: dict[str, str]):
    """PHONE-60."""
    participant = factory.participant()
    send(app, participant, fcm_token="one")
    send(app, participant, **blank)
    assert in_use() == set()


def test_a_phone_that_changes_hands_takes_its_token_along(app: Flask, factory: Factory):
    """PHONE-60, and back again."""
    first, second = factory.participant(), factory.participant()
    send(app, first, fcm_token="the phone's")
    send(app, second, fcm_token="the phone's")
    assert in_use() == {(second.id, "fcm", "the phone's")}
    send(app, first, fcm_token="the phone's")
    assert in_use() == {(first.id, "fcm", "the phone's")}


def test_each_service_has_its_own_token(app: Flask, factory: Factory):
    """NOTIF-34: a request with an APNs token retires no FCM token."""
    participant = factory.participant()
    send(app, participant, fcm_token="f")
    send(app, participant, apns_token="a")
    assert in_use() == {(participant.id, "fcm", "f"), (participant.id, "apns", "a")}
    send(app, participant, apns_token="b", fcm_token="g")
    assert in_use() == {(participant.id, "fcm", "g"), (participant.id, "apns", "b")}


def test_a_token_of_no_sensible_length_changes_nothing(app: Flask, factory: Factory):
    """PHONE-60: 204 always."""
    participant = factory.participant()
    send(app, participant, fcm_token="f")
    send(app, participant, fcm_token="x" * 5_000)
    assert in_use() == {(participant.id, "fcm", "f")}


def test_only_posts_are_taken(app: Flask):
    """PHONE-6."""
    for path in ("/set_fcm_token", "/set_fcm_token/"):
        assert app.test_client().get(path).status_code == 405


def test_many_requests_about_one_token_at_once_fail_none(server: str, app: Flask, factory: Factory):
    """PHONE-60: one participant holds it in the end."""
    participants = [factory.participant(), factory.participant()]
    forms = [phone_fields(participants[n % 2], fcm_token="shared") for n in range(12)]
    pool = urllib3.PoolManager(maxsize=6)

    def post(form: dict[str, str]) -> int:
        return pool.request_encode_body(
            "POST", f"{server}/set_fcm_token", fields=form, encode_multipart=False, timeout=30
        ).status

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(post, forms)) == {204}
    assert len(in_use()) == 1
