"""Getting in with a password whose hash is older than those made now (PHONE-29)."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from core.crypto.passwords import device_hash, hash_password, verify_password
from core.database import db
from core.models import Participant
from core.phones.authentication import Level, Refused, authenticate
from tests.support.factories import PASSWORD, Factory, phone_fields


@pytest.mark.parametrize("scheme", [("sha256", 2), ("sha1", 1), ("sha512", 999)])
@pytest.mark.parametrize("level", Level)
def test_a_weak_hash_is_made_anew_from_what_the_phone_sent_and_lets_it_in_again(
    app: Flask, factory: Factory, scheme: tuple[str, int], level: Level
):
    """PHONE-29: not a hash of a hash, which would lock the participant out."""
    participant = _with_hash(factory, scheme)
    for _ in range(3):
        authenticate(db.session(), phone_fields(participant), level, datetime.now(UTC))
        db.session.commit()
        assert participant.password_hash.startswith("sha1$1000$")
        assert verify_password(device_hash(PASSWORD), participant.password_hash)


def test_a_strong_hash_is_left_alone(app: Flask, factory: Factory):
    """PHONE-28, PHONE-29: also one with other parameters than ours."""
    participant = _with_hash(factory, ("sha256", 5_000))
    before = participant.password_hash
    authenticate(db.session(), phone_fields(participant), Level.FULL, datetime.now(UTC))
    assert participant.password_hash == before


def test_a_wrong_password_renews_nothing(app: Flask, factory: Factory):
    """PHONE-29."""
    participant = _with_hash(factory, ("sha256", 2))
    before = participant.password_hash
    with pytest.raises(Refused):
        fields = phone_fields(participant) | {"password": device_hash("wrong")}
        authenticate(db.session(), fields, Level.FULL, datetime.now(UTC))
    assert participant.password_hash == before


def _with_hash(factory: Factory, scheme: tuple[str, int]) -> Participant:
    participant = factory.participant()
    participant.password_hash = hash_password(device_hash(PASSWORD), scheme)
    db.session.commit()
    return participant
