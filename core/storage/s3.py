"""Objects in S3 or an S3-compatible store."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from core.config import Settings
from core.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreError, StoreUnavailable
from core.storage.s3_advice import advice
from core.storage.s3_parts import Body, read_to_the_end, unfinished, write_in_parts
from core.storage.store import ObjectVersion
from core.storage.time_budget import require, spending

log = logging.getLogger(__name__)
LARGE_BYTES = 16 << 20
MISSING = {"NoSuchKey", "404", "NotFound"}
CONDITION_FAILED = {"PreconditionFailed", "412"}
IS_NEW = {"IfNoneMatch": "*"}
# Each request, download or task uses so many threads besides the one that it runs in.
THREADS_EACH = 4 + 1
PROBES = 1
CONTINUE_SECONDS = 1  # botocore asks whether to send a body, and after so long without an answer sends it


@dataclass(frozen=True)
class Patience:
    """Time-outs in seconds, for a connection and for an answer or its next piece, and tries per request."""

    connect_seconds: float
    read_seconds: float
    tries: int

    @property
    def try_seconds(self) -> float:
        """The longest time of one try, in seconds, if data flows."""
        return self.connect_seconds + CONTINUE_SECONDS + self.read_seconds


# A phone waits 15 s for its answer (PHONE-13); nobody waits for a worker's, and large buckets may be slow (STORE-8).
FOR_PHONES = Patience(connect_seconds=1, read_seconds=2, tries=3)
FOR_WORKERS = Patience(connect_seconds=3, read_seconds=10, tries=4)


def connections_wanted(settings: Settings) -> int:
    """Connections that a process may need at once: a web server's threads, or the tasks of a run."""
    return max(settings.web_threads, settings.processing_tasks) * THREADS_EACH + PROBES


class S3Store:
    """An ObjectStore in one bucket, with conditional writes (`If-None-Match`, `If-Match`).

    `keeps_at_completion` are the conditions that the store looks at when the parts of an object are joined, known
    after `check`: an object is only written in parts where its condition counts.
    """

    def __init__(self, client: Any, bucket: str, patience: Patience = FOR_PHONES) -> None:
        self.client = client
        self.bucket = bucket
        self.patience = patience
        self.keeps_at_completion: frozenset[str] = frozenset()
        client.meta.events.register("before-send.s3", self._try_only_in_time)
        client.meta.events.register_first("needs-retry.s3", self._try_only_in_time)

    @classmethod
    def from_settings(cls, settings: Settings, patience: Patience = FOR_PHONES) -> "S3Store":
        config = Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"total_max_attempts": patience.tries, "mode": "standard"},
            max_pool_connections=connections_wanted(settings),
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        keys = {}
        if not settings.s3_use_role and settings.s3_access_key and settings.s3_secret_key:
            keys = {
                "aws_access_key_id": settings.s3_access_key.get_secret_value(),
                "aws_secret_access_key": settings.s3_secret_key.get_secret_value(),
            }
        client = boto3.client(
            "s3", endpoint_url=settings.s3_endpoint, region_name=settings.s3_region_name, config=config, **keys
        )
        assert settings.s3_bucket
        return cls(client, settings.s3_bucket, patience)

    def read(self, key: str) -> tuple[Iterator[bytes], str]:
        with _translated(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)

        def pieces() -> Iterator[bytes]:
            with _translated(key, condition=StoreUnavailable):  # replaced meanwhile: half of each is no object
                yield from read_to_the_end(self.client, self.bucket, key, answer, self.patience.try_seconds)

        return pieces(), answer["ETag"]

    def create(self, key: str, data: bytes) -> str:
        if len(data) >= LARGE_BYTES and self._is_there(key):  # not known otherwise before all of it is sent
            raise ObjectExists(key)
        with _translated(key, condition=ObjectExists):
            return self._write(key, data, IS_NEW)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        with _translated(key, condition=ObjectChanged):
            return self._write(key, data, {"IfMatch": etag})

    def _write(self, key: str, data: bytes, condition: dict[str, str]) -> str:
        """Writes a large object in parts, so that a slow connection repeats a part only, and each is answered soon."""
        if len(data) >= LARGE_BYTES and self.keeps_at_completion.issuperset(condition):
            return write_in_parts(self.client, self.bucket, key, data, condition, self.patience.try_seconds)
        body = Body(data, self.patience.try_seconds)
        etag: str = self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition)["ETag"]
        return etag

    def _is_there(self, key: str) -> bool:
        try:
            with _translated(key):
                self.client.head_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return False
        return True

    def delete(self, key: str) -> None:
        with _translated(key):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        with _translated(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, **({"StartAfter": after} if after else {})
            )
            for page in pages:
                yield from (item["Key"] for item in page.get("Contents", ()))

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """Includes parts of unfinished uploads: what a killed process had sent is participants' data too."""
        with _translated(prefix):
            for key, upload_id in unfinished(self.client, self.bucket, prefix):
                yield ObjectVersion(key, None, is_live=False, upload_id=upload_id)
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                kept = [ObjectVersion(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", ())]
                marks = [ObjectVersion(m["Key"], m["VersionId"], False) for m in page.get("DeleteMarkers", ())]
                yield from kept + marks

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> None:
        for v in versions:
            if v.upload_id:
                self._give_up(v.key, v.upload_id)
        named = [
            {"Key": v.key, **({"VersionId": v.version_id} if v.version_id else {})} for v in versions if not v.upload_id
        ]
        if not named:
            return
        with _translated(versions[0].key):
            answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": named, "Quiet": True})
        for failed in answer.get("Errors", ()):
            raise StoreUnavailable(f"{failed.get('Key')}: {failed.get('Code')}")

    def _give_up(self, key: str, upload_id: str) -> None:
        with _translated(key), suppress(self.client.exceptions.NoSuchUpload):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def probe(self) -> None:
        with _advising():
            try:
                with _translated("the bucket"):
                    self.client.head_bucket(Bucket=self.bucket)
            except ObjectMissing:
                raise StoreUnavailable("the bucket is not there") from None

    def check(self) -> None:
        """Tries conditional writes: a store that ignores the condition would let two workers overwrite each other.

        Raises StoreUnavailable in one line that names the setting to look at, where the store's refusal tells it.
        """
        with _advising():
            self._check()

    def _check(self) -> None:
        key = f"LOGS/check-{secrets.token_hex(8)}"
        etag = self.create(key, b"1")
        unmet = (IS_NEW, {"IfMatch": '"0"'})
        try:
            if not all(self._refuses(key, condition, in_parts=False) for condition in unmet):
                raise StoreUnavailable(
                    f"the store behind bucket {self.bucket} ignores conditional writes (If-None-Match, If-Match), "
                    "without which chunks could be lost; use one that supports them"
                )
            self.replace(key, b"3", etag)
            kept = [condition for condition in unmet if self._refuses(key, condition, in_parts=True)]
        finally:
            with suppress(StoreError):  # what went wrong before says more
                self.delete(key)
        self.keeps_at_completion = frozenset().union(*kept)
        if len(kept) < len(unmet):
            log.warning(
                "the store behind bucket %s ignores conditions when parts are joined: large objects are sent whole",
                self.bucket,
            )

    def _refuses(self, key: str, unmet: dict[str, str], *, in_parts: bool) -> bool:
        """Whether the store refuses to write over this object on a condition that is not met."""
        try:
            with _translated(key):
                if in_parts:
                    write_in_parts(self.client, self.bucket, key, b"2", unmet, self.patience.try_seconds)
                else:
                    self._write(key, b"2", unmet)
        except ObjectChanged:
            return True
        except StoreUnavailable:
            if not in_parts:
                raise
            log.warning("parts of an object cannot be joined", exc_info=True)
        return False

    def _try_only_in_time(
        self, response: tuple[Any, Any] | None = None, caught_exception: Exception | None = None, **event: Any
    ) -> None:
        """Before a request is sent, and before one that failed is tried again. Raises TimeIsUp."""
        has_failed = caught_exception is not None or (response is not None and response[0].status_code >= 500)
        if "request" in event or has_failed:
            require(self.patience.try_seconds)


@contextmanager
def _advising() -> Iterator[None]:
    """Adds the name of the setting to the error if a setting caused the refusal."""
    try:
        yield
    except (StoreError, KeyError) as error:
        cause = error if isinstance(error, KeyError) else error.__cause__ or error.__context__
        line = advice(cause) if cause is not None else None
        if line is None:
            raise
        raise StoreUnavailable(line) from error


@contextmanager
def _translated(key: str, condition: type[StoreError] = ObjectChanged) -> Iterator[None]:
    try:
        with spending():
            yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in MISSING:
            raise ObjectMissing(key) from None
        if code in CONDITION_FAILED:
            raise condition(key) from None
        raise StoreUnavailable(f"{key}: {code} ({error.operation_name})") from error
    except (BotoCoreError, ResponseParserError, HTTPError, OSError) as error:
        raise StoreUnavailable(f"{key}: {type(error).__name__}") from error
