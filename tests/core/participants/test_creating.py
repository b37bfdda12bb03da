"""Creating participants: ids, temporary passwords, key pairs."""

import pytest
from flask import Flask

from core.audit import SERVER
from core.crypto.participant_keys import DevicePrivateKey, client_public_key, generate_key_pair
from core.crypto.passwords import device_hash, verify_password
from core.database import db
from core.models import Participant, ParticipantActivity, StoredObject, Study
from core.participants import ParticipantRefused, create_participants
from core.phones.key_cache import PrivateKeyCache
from core.storage import SealedStore, StoreUnavailable
from tests.support.factories import Factory


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


def test_participants_get_ids_passwords_and_stored_keys(app: Flask, factory: Factory, study: Study):
    """PORTAL-120, PHONE-93, STORE-7."""
    store = factory.store(study)
    new = create_participants(db.session(), store, study, 3, actor=SERVER)
    assert len({n.patient_id for n in new}) == 3
    for person in new:
        row = db.session.scalars(db.select(Participant).where(Participant.patient_id == person.patient_id)).one()
        assert verify_password(device_hash(person.password), row.password_hash)
        assert (row.study_id, row.device_id, row.os_type) == (study.id, "", None)
        assert db.session.get(ParticipantActivity, row.id)
        folder = f"{study.object_id}/keys/{person.patient_id}"
        DevicePrivateKey.from_pem(store.read(f"{folder}_private")[0])
        assert client_public_key(store.read(f"{folder}_public")[0]).startswith("MIIBI")
        for end in ("_private", "_public"):
            assert db.session.get(StoredObject, f"{folder}{end}.zst").participant_id == row.id


def test_a_store_that_fails_halfway_leaves_no_participant_behind(
    app: Flask, factory: Factory, study: Study, monkeypatch: pytest.MonkeyPatch
):
    """PORTAL-122, PHONE-93: nobody gets an id whose keys are not there."""
    really, calls = SealedStore.create, []

    def create(self: SealedStore, path: str, contents: bytes):
        calls.append(path)
        if len(calls) == 4:
            raise StoreUnavailable("full")
        return really(self, path, contents)

    monkeypatch.setattr(SealedStore, "create", create)
    with pytest.raises(StoreUnavailable):
        create_participants(db.session(), factory.store(study), study, 3, actor=SERVER)
    assert db.session.scalar(db.select(db.func.count(Participant.id))) == 0


def test_a_single_participant_may_have_a_chosen_id_and_password(app: Flask, factory: Factory, study: Study):
    """PORTAL-120."""
    store = factory.store(study)
    (person,) = create_participants(db.session(), store, study, 1, "abc12345", "secret4", actor=SERVER)
    assert (person.patient_id, person.password) == ("abc12345", "secret4")
    for count, patient_id in ((1, "abc12345"), (1, "ABC"), (1, "abc0"), (1, "abcdefghi"), (2, "abc"), (0, None)):
        with pytest.raises(ParticipantRefused):
            create_participants(db.session(), store, study, count, patient_id, actor=SERVER)


def test_a_private_key_is_fetched_once_and_the_cache_is_bounded(
    app: Flask, factory: Factory, study: Study, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-116."""
    store = factory.store(study)
    ids = [factory.participant(study).patient_id for _ in range(3)]
    reads: list[str] = []
    really = SealedStore.read

    def read(self: SealedStore, path: str, *more: str):
        reads.append(path)
        return really(self, path, *more)

    monkeypatch.setattr(SealedStore, "read", read)
    cache = PrivateKeyCache(most=2)
    assert cache.get(store, ids[0]) is cache.get(store, ids[0])
    assert len(reads) == 1
    for patient_id in (*ids, ids[2], ids[1]):
        cache.get(store, patient_id)
    assert len(reads) == 3
    cache.get(store, ids[0])
    assert len(reads) == 4


def test_keys_left_by_an_attempt_that_broke_off_are_taken_over(app: Flask, factory: Factory, study: Study):
    """PORTAL-120, PHONE-91: a chosen id is not blocked for good."""
    store = factory.store(study)
    left = generate_key_pair()
    store.create(f"{study.object_id}/keys/abc12345_private", left.private_pem)
    create_participants(db.session(), store, study, 1, "abc12345", actor=SERVER)
    assert store.read(f"{study.object_id}/keys/abc12345_public")[0] == left.public_pem
    assert db.session.scalar(db.select(db.func.count()).select_from(StoredObject)) == 2
