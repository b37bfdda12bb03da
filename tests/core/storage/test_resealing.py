"""Legacy objects under our seal, in place: nothing is lost, whatever happens meanwhile (STORE-2, STORE-4, STORE-7)."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from cryptography.hazmat.decrepit.ciphers.modes import CFB8
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from flask import Flask
from sqlalchemy.orm import Session

from core.config import get_settings
from core.crypto.seal import seal_legacy
from core.database import db
from core.models import Participant, StoredObject, Study
from core.processing.claims import Scope, claimed_participant
from core.storage import ObjectMissing, resealing
from core.storage.resealing import Outcome, ResealingRefused, patient_of, prefixes_of, reseal
from tests.core.processing.test_batch import HEADER, queue
from tests.support.factories import Factory
from webapp.stores import object_store

CONTENTS = b"timestamp,accuracy,x,y,z\n" * 400


class Killed(BaseException):
    """The process is gone; nothing in it catches this."""


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant(factory.study(encryption_key="k" * 32))


def uncompressed(study: Study, contents: bytes) -> bytes:
    """An object of the existing platform from before it compressed any."""
    iv = os.urandom(16)
    encryptor = Cipher(algorithms.AES256(study.storage_key), CFB8(iv)).encryptor()
    return iv + encryptor.update(contents) + encryptor.finalize()


def path_of(participant: Participant, name: str) -> str:
    return f"{participant.study.object_id}/{participant.patient_id}/{name}"


def put_plain(participant: Participant, name: str, contents: bytes = CONTENTS, *, has_row: bool = True) -> str:
    path = path_of(participant, name)
    object_store().create(path, uncompressed(participant.study, contents))
    add_row(participant, path, has_row)
    return path


def put_legacy(participant: Participant, name: str, contents: bytes = CONTENTS, *, has_row: bool = True) -> str:
    path = path_of(participant, name)
    object_store().create(path + ".zst", seal_legacy(contents, participant.study.storage_key, 2))
    add_row(participant, path, has_row)
    return path


def add_row(participant: Participant, path: str, has_row: bool) -> None:
    if has_row:
        owners = {"study_id": participant.study_id, "participant_id": participant.id}
        db.session.add(StoredObject(path=path + ".zst", seal="legacy", size_bytes=1, **owners))
        db.session.commit()


def run(**options: Any) -> dict[str, Outcome]:
    results = reseal(db.engine, object_store(), get_settings(), **options)
    return {r.key: r.outcome for r in results if "/keys/" not in r.key}


def contents_of(factory: Factory, participant: Participant, path: str) -> bytes:
    """As whoever reads gets it."""
    return factory.store(participant.study).read(path)[0]


def assert_ours(factory: Factory, participant: Participant, path: str, contents: bytes = CONTENTS) -> None:
    """The compressed key under our seal alone, and a row in step with it."""
    assert factory.store(participant.study).read(path, "ours")[0] == contents
    with pytest.raises(ObjectMissing):
        object_store().read(path)
    row = db.session.get_one(StoredObject, path + ".zst", populate_existing=True)
    size = sum(map(len, object_store().read(path + ".zst")[0]))
    assert (row.seal, row.size_bytes, row.size_stored_bytes) == ("ours", len(contents), size)
    assert row.sha1 is not None
    assert row.participant_id == participant.id


def test_both_kinds_of_legacy_objects_get_our_seal_and_their_rows_follow(
    app: Flask, factory: Factory, participant: Participant
):
    """STORE-2, STORE-4, STORE-7: a second run finds nothing to do, and asks no object for that."""
    plain, legacy = put_plain(participant, "gps/1.csv"), put_legacy(participant, "gps/2.csv")
    empty = put_plain(participant, "gps/3.csv", b"")
    ours = queue(factory, participant, "accel/1700002800000.csv", HEADER)
    assert run(is_dry_run=True) == {
        plain: Outcome.WOULD_RESEAL,
        f"{legacy}.zst": Outcome.WOULD_RESEAL,
        empty: Outcome.WOULD_RESEAL,
        f"{ours}.zst": Outcome.OURS,
    }
    assert set(run().values()) == {Outcome.RESEALED, Outcome.OURS}
    for path in (plain, legacy):
        assert_ours(factory, participant, path)
    assert_ours(factory, participant, empty, b"")
    assert set(run().values()) == {Outcome.OURS}


def test_a_sweep_goes_on_behind_a_key_and_keeps_to_its_study(app: Flask, factory: Factory, participant: Participant):
    """OPS-60: resumable by key."""
    first, second = put_plain(participant, "gps/1.csv"), put_plain(participant, "gps/2.csv")
    other = factory.participant()
    theirs = put_plain(other, "gps/1.csv")
    ours, *_ = [p for p in prefixes_of(participant.study.object_id) if not p.startswith(("CHUNKED", "PROBLEM"))]
    assert run(prefix=ours, after=first) == {second: Outcome.RESEALED}
    for path in (first, theirs):
        object_store().read(path)
    assert len(prefixes_of("s")) == 3


@pytest.mark.parametrize("put", [put_plain, put_legacy])
def test_killed_between_any_two_steps_nothing_is_lost_and_the_next_run_ends_it(
    app: Flask, factory: Factory, participant: Participant, put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    """STORE-2, STORE-4: after each write, read, commit and deletion."""
    number, was_killed = 0, True
    while was_killed:
        number += 1
        path = put(participant, f"gps/{number:03}.csv")
        try:
            with monkeypatch.context() as patch:
                kill_at(patch, number)
                run(prefix=path)
            was_killed = False
        except Killed:
            assert contents_of(factory, participant, path) == CONTENTS
        run(prefix=path)
        assert_ours(factory, participant, path)
    assert number > (7 if put is put_plain else 5)


def kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """The process dies after its n-th read, write, deletion or commit."""
    calls = 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            is_the_last = calls == step
            try:
                result = original(*arguments, **more)
            except ObjectMissing:
                if is_the_last:
                    raise Killed from None
                raise
            if is_the_last:
                raise Killed
            return result

        return call

    store = type(object_store())
    for owner, name in (
        (Session, "commit"),
        (store, "read"),
        (store, "create"),
        (store, "replace"),
        (store, "delete"),
    ):
        patch.setattr(owner, name, dying(getattr(owner, name)))


def test_what_does_not_open_is_reported_and_left_as_it_is(app: Flask, factory: Factory, participant: Participant):
    """STORE-4: a damaged object, another study's key, legacy bytes where the row says ours."""
    damaged = put_legacy(participant, "gps/1.csv")
    sealed, etag = object_store().read(damaged + ".zst")
    bytes_of = bytearray(b"".join(sealed))
    bytes_of[20] ^= 1
    object_store().replace(damaged + ".zst", bytes(bytes_of), etag)
    swapped = put_plain(participant, "gps/2.csv")
    db.session.get_one(StoredObject, swapped + ".zst").seal = "ours"
    db.session.commit()
    moved = path_of(participant, "gps/3.csv")
    factory.store(participant.study).create(path_of(participant, "gps/4.csv"), b"x")
    object_store().create(moved, b"".join(object_store().read(path_of(participant, "gps/4.csv.zst"))[0]))
    before = {key: b"".join(object_store().read(key)[0]) for key in object_store().keys("")}
    found = run()
    assert [found[key] for key in (f"{damaged}.zst", swapped, moved)] == [Outcome.BROKEN] * 3
    assert {key: b"".join(object_store().read(key)[0]) for key in object_store().keys("")} == before


def test_two_copies_that_differ_are_reported_and_both_stay(app: Flask, factory: Factory, participant: Participant):
    """STORE-2: the compressed one is what everybody reads."""
    path = put_plain(participant, "gps/1.csv", b"older")
    factory.store(participant.study).create(path, b"newer")
    assert run()[path] is Outcome.DIFFERENT
    assert contents_of(factory, participant, path) == b"newer"
    object_store().read(path)


def test_what_is_too_large_for_memory_is_reported(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """OPS-60: memory is bounded; a small object may hold much."""
    monkeypatch.setattr(resealing, "MOST_BYTES", 1000)
    plain, packed = put_plain(participant, "gps/1.csv"), put_legacy(participant, "gps/2.csv", bytes(100_000))
    assert set(run().values()) == {Outcome.TOO_LARGE}
    assert contents_of(factory, participant, plain) == CONTENTS
    assert len(contents_of(factory, participant, packed)) == 100_000


def test_objects_of_no_study_and_without_a_row_are_not_made_look_right(
    app: Flask, factory: Factory, participant: Participant
):
    """STORE-7, OPS-20: what no row knows stays for the audit to find."""
    for key in ("A" * 24 + "/abc/gps/1.csv", "CHUNKED_DATA/" + "A" * 24 + "/abc/x.csv", "odd", "LOGS/x"):
        object_store().create(key, b"x" * 50)
    orphan = put_legacy(participant, "gps/1.csv", has_row=False)
    found = run()
    assert [found.get(key) for key in ("A" * 24 + "/abc/gps/1.csv", "odd", "LOGS/x", f"{orphan}.zst")] == [
        Outcome.UNKNOWN_STUDY,
        Outcome.UNKNOWN_STUDY,
        None,
        Outcome.RESEALED,
    ]
    assert b"".join(object_store().read("odd")[0]) == b"x" * 50
    assert db.session.get(StoredObject, orphan + ".zst") is None
    assert run()[f"{orphan}.zst"] is Outcome.OURS


def test_nothing_is_touched_while_its_participant_is_worked_on_or_purged(
    app: Flask, factory: Factory, participant: Participant
):
    """STORE-9, PROC-51: the claim of processing and purges is held; nothing of a purged participant comes back."""
    path = put_plain(participant, "gps/1.csv")
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    with claimed_participant(db.engine, Scope()) as claim:
        assert claim is not None
        assert run(prefix=path) == {path: Outcome.BUSY}
    participant.purge_asked_at = db.func.now()
    db.session.commit()
    assert run(prefix=path) == {path: Outcome.PURGING}
    object_store().read(path)


def test_another_writer_that_is_faster_wins(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """STORE-11: conditional writes; the object is left to whoever wrote it."""
    path = put_legacy(participant, "gps/1.csv")
    really = resealing.seal

    def meanwhile(*arguments: Any) -> Any:
        etag = object_store().read(path + ".zst")[1]
        factory.store(participant.study).replace(path, b"theirs", etag)
        return really(*arguments)

    monkeypatch.setattr(resealing, "seal", meanwhile)
    assert run() == {f"{path}.zst": Outcome.BUSY}
    assert contents_of(factory, participant, path) == b"theirs"


def test_a_deployment_that_must_be_able_to_go_back_is_left_alone(app: Flask, participant: Participant):
    """STORE-4, OPS-1 SEAL."""
    settings = get_settings().model_copy(update={"seal": "legacy"})
    with pytest.raises(ResealingRefused, match="SEAL"):
        list(reseal(db.engine, object_store(), settings))


def test_the_command_lists_what_it_could_not_do(app: Flask, participant: Participant):
    """STORE-2, STORE-4."""

    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["compress-store", *arguments, "--json"])

    study_id = participant.study.object_id
    path = put_plain(participant, "gps/1.csv")
    damaged = f"{study_id}/{participant.patient_id}/gps/2.csv.zst"
    object_store().create(damaged, b"damaged")
    assert json.loads(run("--dry-run").stdout)["counts"]["would_reseal"] == 1
    answer = json.loads(run("--study", study_id).stdout)
    assert (answer["counts"]["resealed"], answer["counts"]["broken"]) == (1, 1)
    assert [(line["path"], line["what"]) for line in answer["found"]] == [(damaged, "does not open")]
    assert json.loads(run("--after", path).stdout)["counts"]["objects"] == 2
    assert run("--study", "unknown").exit_code == 1


def test_a_reader_between_the_two_keys_finds_the_object(
    app: Flask, factory: Factory, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """STORE-2: compressed after the look under `.zst` and before that under the plain key."""
    path = put_plain(participant, "gps/1.csv")
    store = type(object_store())
    really = store.read

    def read(self: Any, key: str) -> Any:
        try:
            return really(self, key)
        except ObjectMissing:
            monkeypatch.setattr(store, "read", really)
            run()
            raise

    monkeypatch.setattr(store, "read", read)
    assert contents_of(factory, participant, path) == CONTENTS


def test_whose_an_object_is_can_be_read_from_its_key():
    """STORE-9."""
    for key in ("s/abc/gps/1.csv", "CHUNKED_DATA/s/abc/gps/1.csv", "PROBLEM_UPLOADS/s/abc/x", "s/keys/abc_private"):
        assert patient_of(key) == "abc"
    assert patient_of("s/x") == patient_of("CHUNKED_DATA/s/x") == ""
