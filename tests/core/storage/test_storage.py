"""Object stores: the same promises from a folder and from S3 over real HTTP (STORE-2, STORE-7 to STORE-11)."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from core.config import Settings, load_settings
from core.crypto.seal import SealBroken, seal_legacy
from core.models import Study
from core.storage import (
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    ObjectStore,
    SealedStore,
    StoreUnavailable,
    open_store,
)
from core.storage.folder import FolderStore
from core.storage.s3 import FOR_PHONES, S3Store

BUCKET = "participants"
STUDY = Study(
    id=1,
    object_id="Qm4vT8sZ1nB6xK2wR9cJ5hLp",
    name="s",
    encryption_key="k" * 32,
    imported_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_settings(endpoint: str) -> Settings:
    return load_settings().model_copy(
        update={"s3_bucket": BUCKET, "s3_endpoint": endpoint, "s3_access_key": None, "s3_use_role": True}
    )


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "objects")
    endpoint = request.getfixturevalue("s3_endpoint")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    return open_store(s3_settings(endpoint))


def read(store: ObjectStore, key: str) -> bytes:
    return b"".join(store.read(key)[0])


def test_an_object_is_created_once_and_never_overwritten(store: ObjectStore):
    """STORE-10."""
    store.create("a/b/c", b"first")
    with pytest.raises(ObjectExists):
        store.create("a/b/c", b"second")
    assert read(store, "a/b/c") == b"first"


def test_of_many_writers_of_one_key_exactly_one_creates_it(store: ObjectStore):
    """STORE-10."""

    def create(number: int) -> bool:
        try:
            store.create("a/same", str(number).encode())
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(create, range(12))) == 1


def test_an_object_is_replaced_only_where_it_is_the_one_that_was_read(store: ObjectStore):
    """STORE-11."""
    etag = store.create("a/b", b"one")
    assert store.read("a/b")[1] == etag
    newer = store.replace("a/b", b"two", etag)
    with pytest.raises(ObjectChanged):
        store.replace("a/b", b"three", etag)
    assert read(store, "a/b") == b"two"
    assert store.replace("a/b", b"four", newer) == store.read("a/b")[1]


def test_a_missing_object_is_an_error_of_its_own(store: ObjectStore):
    """STORE-8."""
    with pytest.raises(ObjectMissing):
        store.read("a/nothing")
    with pytest.raises(ObjectMissing):
        store.replace("a/nothing", b"x", '"0"')
    store.delete("a/nothing")


def test_keys_come_in_order_and_from_a_given_one_on(store: ObjectStore):
    """OPS-60: sweeps go by key range."""
    for key in ("s/b/1", "s/a/2", "s/a/1", "s/a-c", "t/x", "s/.hidden"):
        store.create(key, b"")
    assert list(store.keys("s/")) == ["s/.hidden", "s/a-c", "s/a/1", "s/a/2", "s/b/1"]
    assert list(store.keys("s/a", after="s/a/1")) == ["s/a/2"]
    assert list(store.keys("nothing/")) == []


def test_a_store_that_keeps_its_promises_passes_its_check(store: ObjectStore):
    """STORE-11."""
    store.check()


def test_a_store_that_ignores_conditions_is_refused_with_the_reason(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch):
    """STORE-11."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.meta.events.register("before-sign.s3.PutObject", _drop_conditions)
    with pytest.raises(StoreUnavailable, match="ignores conditional writes"):
        S3Store(client, BUCKET).check()


def _drop_conditions(request: object, **_: object) -> None:
    for header in ("If-None-Match", "If-Match"):
        del request.headers[header]  # type: ignore[attr-defined]


def test_a_store_that_hangs_up_or_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch):
    """STORE-8: tried three times, and known within seconds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                calls.append(connection.recv(10))
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        store = open_store(s3_settings(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(StoreUnavailable):
            store.create("a/b", b"x")
        assert len(calls) == 3
        listener.shutdown(socket.SHUT_RDWR)
    with pytest.raises(StoreUnavailable):
        store.read("a/b")


def test_a_folder_that_was_unmounted_is_unavailable_not_empty(tmp_path: Path):
    """PROC-52."""
    store = FolderStore(tmp_path / "objects")
    store.create("a/b", b"x")
    (tmp_path / "objects").rename(tmp_path / "gone")
    started_anew = lambda: FolderStore(tmp_path / "objects")  # noqa: E731
    for attempt in (lambda: store.read("a/b"), lambda: store.create("a/c", b"x"), store.check, started_anew):
        with pytest.raises(StoreUnavailable):
            attempt()
    (tmp_path / "objects").mkdir()  # the mount point without its disk
    with pytest.raises(StoreUnavailable):
        started_anew()


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", ".drafts/x", "a/\0", ""])
def test_no_key_leaves_the_folder(tmp_path: Path, key: str):
    """PHONE-69, STORE-8."""
    with pytest.raises(ValueError, match="not a key"):
        FolderStore(tmp_path / "objects").create(key, b"x")


@pytest.fixture
def sealed(store: ObjectStore) -> SealedStore:
    return SealedStore(store, STUDY, load_settings())


PATH = f"{STUDY.object_id}/ab3kz9qw/gps/1.csv"


def test_what_is_stored_is_sealed_and_comes_back_with_what_its_row_needs(sealed: SealedStore):
    """STORE-2, STORE-7."""
    stored = sealed.create(PATH, b"text" * 1000)
    assert (stored.path, stored.size_bytes, stored.seal) == (PATH + ".zst", 4000, "ours")
    raw = read(sealed.store, PATH + ".zst")
    assert len(raw) == stored.size_stored_bytes
    assert b"text" not in raw
    contents, etag = sealed.read(PATH, "ours")
    assert contents == b"text" * 1000
    assert sealed.replace(PATH, b"other", etag).size_bytes == 5


def test_the_compressed_key_comes_before_the_plain_one(sealed: SealedStore):
    """STORE-2."""
    plain = bytes(16) + b""
    sealed.store.create(PATH, plain)
    assert sealed.read(PATH) == (b"", None)
    sealed.create(PATH, b"newer")
    assert sealed.read(PATH)[0] == b"newer"
    with pytest.raises(ObjectMissing):
        sealed.read(PATH.replace("1.csv", "2.csv"))


def test_legacy_bytes_where_the_row_says_ours_are_a_broken_seal(sealed: SealedStore):
    """STORE-4."""
    sealed.store.create(PATH + ".zst", seal_legacy(b"swapped", STUDY.storage_key, 2))
    assert sealed.read(PATH, "legacy")[0] == b"swapped"
    with pytest.raises(SealBroken):
        sealed.read(PATH, "ours")


def test_an_object_moved_to_another_key_fails_loudly(sealed: SealedStore):
    """STORE-4."""
    sealed.create(PATH, b"contents")
    sealed.store.create(PATH.replace("gps", "accel") + ".zst", read(sealed.store, PATH + ".zst"))
    with pytest.raises(SealBroken):
        sealed.read(PATH.replace("gps", "accel"))


def test_a_setting_writes_the_legacy_seal(store: ObjectStore):
    """STORE-4, OPS-1 SEAL."""
    legacy = SealedStore(store, STUDY, load_settings().model_copy(update={"seal": "legacy"}))
    assert legacy.create(PATH, b"contents").seal == "legacy"
    assert legacy.read(PATH, "legacy")[0] == b"contents"


@pytest.mark.parametrize(
    "path", ["A" * 24 + "/x", f"CHUNKED_DATA/{'A' * 24}/x", "LOGS/x", PATH + ".zst", PATH.replace("/gps", "//gps")]
)
def test_paths_of_other_studies_and_odd_ones_are_refused(sealed: SealedStore, path: str):
    """STORE-8."""
    with pytest.raises(ValueError, match="not a path"):
        sealed.create(path, b"x")


def test_all_tries_together_end_before_a_phone_stops_waiting():
    """PHONE-13, STORE-8: three tries within 12 s. What pauses between them may add is cut off there."""
    assert FOR_PHONES.tries * FOR_PHONES.try_seconds <= 12
