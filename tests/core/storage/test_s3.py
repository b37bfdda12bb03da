"""S3 over real HTTP: large objects in parts, and a store or network that fails halfway."""

import random
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from core.config import Settings, load_settings
from core.downloads import zip_stream
from core.participants import creating as participants
from core.processing import batch
from core.reprocessing import participant as reprocessing
from core.storage import ObjectChanged, ObjectExists, ObjectMissing, StoreUnavailable, open_store
from core.storage.s3 import FOR_PHONES, FOR_WORKERS, THREADS_EACH, Patience, S3Store
from core.storage.s3_parts import PART_BYTES
from core.storage.time_budget import TimeIsUp, store_time_limited_to
from tests.support.fakes.s3 import FailingS3, Fault, is_joining, is_part, is_read, is_write, running_s3

BUCKET = "participants"
LARGE = random.Random(1).randbytes(40 << 20)
PARTS = 5
IMPATIENT = Patience(connect_seconds=0.5, read_seconds=0.5, tries=3)


@pytest.fixture(scope="module")
def server() -> Iterator[FailingS3]:
    with running_s3(FailingS3()) as running:
        yield running


@pytest.fixture
def s3(server: FailingS3, monkeypatch: pytest.MonkeyPatch) -> FailingS3:
    """The endpoint with an empty bucket and no faults."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    server.settle()
    server.faults, server.honours_joining, server.knows_ranges = [], True, True
    client = boto3.client("s3", endpoint_url=server.address, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    empty = S3Store(client, BUCKET)
    empty.delete_versions(list(empty.versions("")))
    return server


@pytest.fixture
def store(s3: FailingS3) -> S3Store:
    return checked(s3, FOR_WORKERS)


def settings_of(s3: FailingS3, **more: Any) -> Settings:
    return load_settings(s3_bucket=BUCKET, s3_endpoint=s3.address, s3_access_key=None, s3_use_role=True, **more)


def checked(s3: FailingS3, patience: Patience) -> S3Store:
    """A store that knows what the endpoint can do, and an endpoint that counts from here on."""
    store = S3Store.from_settings(settings_of(s3), patience)
    store.check()
    s3.asked.clear()
    return store


def read(store: S3Store, key: str) -> bytes:
    return b"".join(store.read(key)[0])


def left_over(store: S3Store) -> list[str]:
    """Keys of parts that were neither joined nor given up."""
    return [v.key for v in store.versions("") if v.upload_id]


def nothing_is_left_over(store: S3Store) -> bool:
    """Now or soon: parts are given up in the background where somebody waits."""
    end = time.monotonic() + 10
    while left_over(store):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_large_object_is_written_in_parts_and_only_on_its_condition(s3: FailingS3, store: S3Store):
    """STORE-10, STORE-11."""
    etag = store.create("a/large", LARGE)
    assert s3.count("PUT", "partNumber") == PARTS
    assert max(size for method, _, size in s3.asked if method == "PUT") == PART_BYTES
    assert (read(store, "a/large"), store.read("a/large")[1]) == (LARGE, etag)
    with pytest.raises(ObjectExists):
        store.create("a/large", LARGE[::-1])
    assert s3.count("PUT", "partNumber") == PARTS  # refused before anything was sent
    newer = store.replace("a/large", LARGE[::-1], etag)
    with pytest.raises(ObjectChanged):
        store.replace("a/large", LARGE, etag)
    with pytest.raises((ObjectChanged, ObjectMissing)):
        store.replace("a/nothing", LARGE, etag)
    assert read(store, "a/large") == LARGE[::-1]
    assert store.replace("a/large", b"small", newer) == store.read("a/large")[1]
    assert left_over(store) == []


def test_of_two_who_create_the_same_large_object_one_does(s3: FailingS3, store: S3Store):
    """STORE-10: both have looked and found nothing there."""
    s3.faults = [Fault(is_part, times=2 * PARTS, hang=0.05)]

    def create(contents: bytes) -> bytes | None:
        try:
            store.create("a/large", contents)
        except ObjectExists:
            return None
        return contents

    with ThreadPoolExecutor(2) as threads:
        created = [c for c in threads.map(create, (LARGE, LARGE[::-1])) if c]
    assert created == [read(store, "a/large")]
    assert left_over(store) == []


def test_a_part_that_the_store_refuses_twice_is_sent_again_and_no_other(s3: FailingS3, store: S3Store):
    """STORE-8: 503 twice, then success."""
    s3.faults = [Fault(is_part, times=2, busy=True)]
    store.create("a/large", LARGE)
    assert read(store, "a/large") == LARGE
    assert s3.count("PUT", "partNumber") == PARTS + 2


def test_parts_of_an_object_that_cannot_be_written_are_given_up(s3: FailingS3, store: S3Store):
    """STORE-8: and what was there stays as it was."""
    etag = store.create("a/large", LARGE)
    s3.faults = [Fault(lambda r: is_part(r) and r.args["partNumber"] == "3", times=FOR_WORKERS.tries, busy=True)]
    with pytest.raises(StoreUnavailable, match="ServiceUnavailable"):
        store.replace("a/large", LARGE[::-1], etag)
    assert s3.faults[0].times == 0
    assert left_over(store) == []
    assert read(store, "a/large") == LARGE


def test_parts_that_cannot_even_be_given_up_are_a_line_in_the_log(
    s3: FailingS3, store: S3Store, caplog: pytest.LogCaptureFixture
):
    """STORE-8: the error is the one that came first."""
    s3.faults = [
        Fault(is_part, times=FOR_WORKERS.tries, busy=True),
        Fault(lambda r: r.method == "DELETE", times=FOR_WORKERS.tries, lost=True),
    ]
    with pytest.raises(StoreUnavailable, match="ServiceUnavailable"):
        store.create("a/large", LARGE)
    assert "stay: a/large" in caplog.text


def test_a_purge_finds_parts_that_a_killed_process_left(s3: FailingS3, store: S3Store):
    """STORE-9: they hold somebody's data, and are in no listing of objects."""
    for key in ("s/abc/1", "s/abcd/1"):
        begun = store.client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        store.client.upload_part(Bucket=BUCKET, Key=key, UploadId=begun, PartNumber=1, Body=b"data")
    store.create("s/abc/2", b"x")
    found = list(store.versions("s/abc/"))
    assert sorted((v.key, v.is_live) for v in found) == [("s/abc/1", False), ("s/abc/2", True)]
    store.delete_versions(found)
    store.delete_versions(found)
    assert [v.key for v in store.versions("s/")] == ["s/abcd/1"]


def test_an_answer_that_gets_lost_when_parts_are_joined_leaves_a_whole_object(s3: FailingS3, store: S3Store):
    """STORE-8: S3 gives the second try the answer of the first."""
    s3.faults = [Fault(is_joining, lost=True)]
    store.create("a/large", LARGE)
    assert (read(store, "a/large"), left_over(store)) == (LARGE, [])


def test_a_store_that_ignores_conditions_when_parts_are_joined_gets_objects_whole(
    s3: FailingS3, caplog: pytest.LogCaptureFixture
):
    """STORE-10, STORE-11: known from its check, said once; an object that was replaced meanwhile is never lost."""
    s3.honours_joining = False
    store = checked(s3, FOR_WORKERS)
    assert "large objects are sent whole" in caplog.text
    etag = store.create("a/large", LARGE)
    newer = store.replace("a/large", LARGE[::-1], etag)
    with pytest.raises(ObjectChanged):
        store.replace("a/large", LARGE, etag)
    assert store.read("a/large")[1] == newer
    assert s3.count("PUT", "partNumber") == 0


def test_a_store_whose_check_was_not_made_gets_objects_whole(s3: FailingS3):
    """STORE-11: nothing is taken for granted."""
    store = S3Store.from_settings(settings_of(s3))
    s3.asked.clear()
    store.create("a/large", LARGE)
    assert (s3.count("POST"), s3.count("PUT")) == (0, 1)


def test_a_read_that_breaks_halfway_goes_on_from_there(s3: FailingS3, store: S3Store):
    """STORE-8: hanging up, twice, and cutting off with an orderly end."""
    store.create("a/large", LARGE)
    s3.faults = [Fault(is_read, times=2, cut=0.5)]
    s3.asked.clear()
    assert read(store, "a/large") == LARGE
    assert s3.count("GET") == 3


def test_a_read_that_keeps_breaking_is_never_taken_for_the_whole(s3: FailingS3, store: S3Store):
    """STORE-8."""
    store.create("a/b", b"contents")
    s3.faults = [Fault(is_read, times=9, cut=0)]
    with pytest.raises(StoreUnavailable, match="0 of 8 bytes, 3 times"):
        read(store, "a/b")


def test_an_object_that_is_replaced_while_it_is_read_is_not_half_old_half_new(s3: FailingS3, store: S3Store):
    """STORE-8, STORE-11."""
    etag = store.create("a/large", LARGE)
    s3.faults = [Fault(is_read, cut=0.5)]
    pieces, _ = store.read("a/large")
    next(pieces)
    store.replace("a/large", LARGE[::-1], etag)
    with pytest.raises(StoreUnavailable):
        list(pieces)


def test_a_store_that_gives_the_whole_for_a_range_is_not_believed(s3: FailingS3, store: S3Store):
    """STORE-8."""
    s3.knows_ranges = False
    store.create("a/large", LARGE)
    s3.faults = [Fault(is_read, cut=0.5)]
    with pytest.raises(StoreUnavailable, match="reads no ranges"):
        read(store, "a/large")


@pytest.mark.parametrize("patience", [FOR_PHONES, FOR_WORKERS])
def test_tries_and_time_outs_are_those_of_who_asks(s3: FailingS3, patience: Patience):
    """STORE-8."""
    store = open_store(settings_of(s3), is_for_workers=patience is FOR_WORKERS)
    assert isinstance(store, S3Store)
    config = store.client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (patience.connect_seconds, patience.read_seconds)
    assert config.retries["total_max_attempts"] == patience.tries


def test_a_connection_is_kept_for_every_thread_that_may_ask_at_once(s3: FailingS3):
    """OPS-60: of a web server's process, and of a run of processing."""
    assert max(batch.THREADS, reprocessing.THREADS, participants.THREADS, zip_stream.FETCHERS) + 1 == THREADS_EACH
    for values in ({"web_threads": 30}, {"processing_tasks": 30}):
        store = S3Store.from_settings(settings_of(s3, **values))
        assert store.client.meta.config.max_pool_connections >= 30 * THREADS_EACH


@pytest.mark.parametrize("asks", ["small", "large", "read"])
def test_all_that_a_request_asks_of_a_store_that_hangs_ends_in_its_time(s3: FailingS3, asks: str):
    """STORE-8, PHONE-13: whatever hangs, and however often something is tried."""
    store = checked(s3, IMPATIENT)
    store.create("a/b", b"contents")
    s3.faults = [Fault(is_read if asks == "read" else is_write, times=99, hang=2)]
    began = time.monotonic()
    with store_time_limited_to(3):
        for key in ("a/1", "a/2", "a/3"):
            with pytest.raises(StoreUnavailable):
                _ = read(store, "a/b") if asks == "read" else store.create(key, LARGE if asks == "large" else b"x")
    assert time.monotonic() - began < 3
    s3.faults = []
    assert nothing_is_left_over(store)


def test_a_store_that_answers_but_too_slowly_is_given_up_as_well(s3: FailingS3):
    """STORE-8, PHONE-13: each part is in time, all of them are not. Its parts are given up, which nobody waits for."""
    store = checked(s3, IMPATIENT)
    s3.faults = [Fault(is_part, times=99, hang=0.4), Fault(lambda r: r.method == "DELETE", hang=0.4)]
    began = time.monotonic()
    with store_time_limited_to(3), pytest.raises(TimeIsUp):
        store.create("a/large", LARGE)
    assert time.monotonic() - began < 3
    assert 1 < s3.count("PUT", "partNumber") < PARTS
    assert nothing_is_left_over(store)


def test_only_the_time_of_the_store_counts(s3: FailingS3):
    """STORE-8: a large file that took long to decrypt is not refused by a store that is well."""
    store = checked(s3, IMPATIENT)
    with store_time_limited_to(IMPATIENT.try_seconds + 0.5):
        for n in range(3):
            time.sleep(0.4)
            store.create(f"a/{n}", b"x")


def test_a_large_object_is_not_copied_to_be_sent(s3: FailingS3):
    """OPS-60: a part at a time is. The endpoint is not asked, only known to be idle: its memory would be counted."""
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
        config=Config(request_checksum_calculation="when_required"),
    )
    client.meta.events.register("before-send.s3", _swallow)
    store = S3Store(client, BUCKET)
    peaks = []
    for store.keeps_at_completion in (frozenset(), frozenset({"IfMatch"})):
        tries = []
        for _ in range(5):  # threads of other tests may allocate meanwhile
            tracemalloc.start()
            store.replace("a/large", LARGE, '"1"')
            tries.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        peaks.append(min(tries))
    whole, in_parts = peaks
    assert whole < 4 << 20
    assert in_parts < PART_BYTES + (4 << 20)


def _swallow(request: Any, **_: Any) -> AWSResponse:
    """An answer to whatever is asked, as from a store."""
    while hasattr(request.body, "read") and request.body.read(16 << 10):
        pass
    body = b"<r><UploadId>1</UploadId><ETag>&quot;2&quot;</ETag></r>"
    answer = AWSResponse(request.url, 200, {"ETag": '"2"'}, None)
    answer._content = body
    return answer
