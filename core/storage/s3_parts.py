"""Large objects in S3: writes in parts, so that an error repeats a part only; resumes reads that broke off."""

import io
import logging
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from core.storage.errors import StoreUnavailable
from core.storage.time_budget import is_limited, require

log = logging.getLogger(__name__)
PART_BYTES = 8 << 20  # S3 takes no smaller ones than 5 MiB but the last, and 10,000 at most
PIECE_BYTES = 1 << 20
SMALL_PIECE_BYTES = 64 << 10  # where time is limited it is looked at after each
READ_TRIES = 3
BREAKS = (BotoCoreError, HTTPError, OSError)
NO_UPLOADS = {"NoSuchUpload", "NotImplemented"}  # what stores say that have none, or know no parts


class Body(io.BytesIO):
    """A request body that stops when the time budget is used up. Copies a part, but not a whole object."""

    def __init__(self, data: bytes | memoryview, least_seconds: float) -> None:
        super().__init__(data)
        self.least_seconds = least_seconds

    def read(self, size: int | None = -1, /) -> bytes:
        require(self.least_seconds)
        return super().read(size)


def write_in_parts(
    client: Any, bucket: str, key: str, data: bytes, condition: dict[str, str], try_seconds: float
) -> str:
    """Writes an object part by part and gives its ETag; the condition is looked at when all are there.

    `try_seconds` is what one try of a request may take at the longest. Whatever goes wrong, the parts are given up,
    in the background where somebody waits; those of a process that was killed stay until the bucket's lifecycle rule
    or a purge removes them.
    """
    place = {"Bucket": bucket, "Key": key}
    place["UploadId"] = client.create_multipart_upload(**place)["UploadId"]
    try:
        parts = []
        for number, start in enumerate(range(0, len(data), PART_BYTES), 1):
            part = memoryview(data)[start : start + PART_BYTES]
            answer = client.upload_part(**place, PartNumber=number, Body=Body(part, try_seconds))
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        done = client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, **condition)
    except BaseException:
        if is_limited():
            Thread(target=_give_up, args=(client, place)).start()  # which has no limit of its own
        else:
            _give_up(client, place)
        raise
    etag: str = done["ETag"]
    return etag


def _give_up(client: Any, place: dict[str, str]) -> None:
    try:
        client.abort_multipart_upload(**place)
    except (*BREAKS, ClientError) as error:
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
        if code != "NoSuchUpload":
            log.warning("parts of an object that was not written stay: %s: %s", place["Key"], code or error)


def read_to_the_end(client: Any, bucket: str, key: str, answer: dict[str, Any], try_seconds: float) -> Iterator[bytes]:
    """The contents in pieces, of this answer to `get_object`, and of further ones where its connection breaks.

    Raises StoreUnavailable where it breaks three times at the same place, and what `get_object` raises: never is
    what came taken for the whole.
    """
    size, etag, given, breaks = answer["ContentLength"], answer["ETag"], 0, 0
    while True:
        with closing(answer["Body"]) as body:
            try:
                while given < size:
                    require(try_seconds)
                    piece = body.read(SMALL_PIECE_BYTES if is_limited() else PIECE_BYTES)
                    if not piece:
                        break
                    given, breaks = given + len(piece), 0
                    yield piece
            except BREAKS as error:
                log.info("a read broke after %s of %s bytes: %s: %s", given, size, key, type(error).__name__)
        if given >= size:
            return
        breaks += 1
        if breaks == READ_TRIES:
            raise StoreUnavailable(f"{key}: broke off after {given} of {size} bytes, {breaks} times")
        answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={given}-", IfMatch=etag)
        if not answer.get("ContentRange", "").startswith(f"bytes {given}-"):
            raise StoreUnavailable(f"{key}: broke off after {given} of {size} bytes, and the store reads no ranges")


def unfinished(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Key and upload id of what was begun under the prefix, and whose parts were neither joined nor given up."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    try:
        for page in pages:
            yield from ((upload["Key"], upload["UploadId"]) for upload in page.get("Uploads", ()))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in NO_UPLOADS:
            raise
