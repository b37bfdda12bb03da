"""Answers of browsers that are no passkey, and challenges that were answered (PORTAL-54)."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from core.accounts.passkeys import PasskeyRefused, Site, _PasskeyProof, add_passkey, check_passkey, new_challenge
from core.audit import SERVER
from core.database import db
from core.models import Passkey
from tests.support.factories import Factory

SITE = Site(host="localhost", origin="http://localhost")
NESTED = ("[" * 16_000, '{"id":' * 2_000, '{"id": 1', "", "null", '{"id": "AAAA"}', '{"id": 7}')


@pytest.mark.parametrize("answer", NESTED)
def test_nested_answers_are_no_passkey(app: Flask, factory: Factory, answer: str):
    """PORTAL-54: refused, not failed, however deeply nested."""
    person = factory.researcher()
    assert check_passkey(db.session(), person, answer, new_challenge(), SITE) is None
    with pytest.raises(PasskeyRefused):
        add_passkey(db.session(), person, "laptop", answer, new_challenge(), SITE, actor=SERVER)


def test_a_challenge_is_answered_once(app: Flask, factory: Factory):
    """PORTAL-54: a recorded answer opens nothing, also for another passkey of the same person."""
    person = factory.researcher()
    for name in (b"one", b"two"):
        db.session.add(
            Passkey(researcher_id=person.id, credential_id=name, public_key=b"", sign_count=0, transports=[], name="x")
        )
    db.session.commit()
    one, two = db.session.scalars(db.select(Passkey).order_by(Passkey.id)).all()
    challenge, now = new_challenge(), datetime.now(UTC)
    assert len(challenge) == 32 and challenge != new_challenge()
    assert _PasskeyProof(one.id, 1, challenge).use(db.session(), now)
    db.session.commit()
    assert not _PasskeyProof(one.id, 2, challenge).use(db.session(), now)
    assert not _PasskeyProof(two.id, 2, challenge).use(db.session(), now)
    assert _PasskeyProof(two.id, 2, new_challenge()).use(db.session(), now)
