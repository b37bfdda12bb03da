"""Objects in S3 or an S3-compatible store."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.config import Settings
from core.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreUnavailable
from core.storage.store import ObjectVersion

PIECE_BYTES = 1 << 20
MISSING = {"NoSuchKey", "404", "NotFound"}
CONDITION_FAILED = {"PreconditionFailed", "412"}
# A phone waits 15 s for its answer (PHONE-13), so everything here ends within 12 s (STORE-8).
RETRIES = {"total_max_attempts": 3, "mode": "standard"}
CONNECT_SECONDS, READ_SECONDS = 1, 2


class S3Store:
    """An ObjectStore in one bucket, with conditional writes (`If-None-Match`, `If-Match`)."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    @classmethod
    def from_settings(cls, settings: Settings, pool_size: int = 32) -> "S3Store":
        config = Config(
            connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=RETRIES, max_pool_connections=pool_size,
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        )  # fmt: skip
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
        return cls(client, settings.s3_bucket)

    def read(self, key: str) -> tuple[Iterator[bytes], str]:
        with _translated(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)

        def pieces() -> Iterator[bytes]:
            with _translated(key):
                yield from answer["Body"].iter_chunks(PIECE_BYTES)

        return pieces(), answer["ETag"]

    def create(self, key: str, data: bytes) -> str:
        with _translated(key, condition=ObjectExists):
            etag: str = self.client.put_object(Bucket=self.bucket, Key=key, Body=data, IfNoneMatch="*")["ETag"]
        return etag

    def replace(self, key: str, data: bytes, etag: str) -> str:
        with _translated(key, condition=ObjectChanged):
            new: str = self.client.put_object(Bucket=self.bucket, Key=key, Body=data, IfMatch=etag)["ETag"]
        return new

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
        with _translated(prefix):
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                kept = [ObjectVersion(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", ())]
                marks = [ObjectVersion(m["Key"], m["VersionId"], False) for m in page.get("DeleteMarkers", ())]
                yield from kept + marks

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> None:
        if not versions:
            return
        named = [{"Key": v.key, **({"VersionId": v.version_id} if v.version_id else {})} for v in versions]
        with _translated(versions[0].key):
            answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": named, "Quiet": True})
        for failed in answer.get("Errors", ()):
            raise StoreUnavailable(f"{failed.get('Key')}: {failed.get('Code')}")

    def probe(self) -> None:
        try:
            with _translated("the bucket"):
                self.client.head_bucket(Bucket=self.bucket)
        except ObjectMissing:
            raise StoreUnavailable("the bucket is not there") from None

    def check(self) -> None:
        """Tries a conditional write: a store that ignores the condition would let two workers overwrite each other."""
        key = f"LOGS/check-{secrets.token_hex(8)}"
        etag = self.create(key, b"1")
        try:
            writes: list[Callable[[], str]] = [
                lambda: self.create(key, b"2"),
                lambda: self.replace(key, b"2", '"0"'),
            ]
            for write in writes:
                try:
                    write()
                except (ObjectExists, ObjectChanged):
                    continue
                raise StoreUnavailable(
                    f"the store behind bucket {self.bucket} ignores conditional writes (If-None-Match, If-Match), "
                    "without which chunks could be lost; use one that supports them"
                )
            self.replace(key, b"3", etag)
        finally:
            self.delete(key)


@contextmanager
def _translated(key: str, condition: type[Exception] = ObjectChanged) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in MISSING:
            raise ObjectMissing(key) from None
        if code in CONDITION_FAILED:
            raise condition(key) from None
        raise StoreUnavailable(f"{key}: {code}") from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"{key}: {type(error).__name__}") from error
