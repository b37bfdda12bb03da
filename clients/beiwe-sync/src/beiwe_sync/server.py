"""Requests to the server: studies, the manifest in pages, and files in ranges, with patience for busy servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

TRIES = 8
LONGEST_WAIT_SECONDS = 60.0
PIECE_BYTES = 1 << 16
SILENCE_SECONDS = 90.0
TRY_AGAIN = (429, 502, 503, 504)
REFUSED = (400, 401, 403)
LOCAL = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """The server refuses, and would refuse again: a wrong key, an unknown study. The message says what it told."""


class Unreachable(Exception):
    """The server did not answer, or was busy, after all tries."""


class FileChanged(Exception):
    """The file is no longer the one that the manifest lists."""


class FileBroken(Exception):
    """The server cannot give this file; the message says why."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of the manifest. `size` in bytes and `hash` (hexadecimal) are None where the server knows none."""

    name: str
    url: str
    size: int | None
    hash_algorithm: str
    hash: str | None
    etag: str | None


@dataclass
class Server:
    """A server and a key to it. Only https, but for this machine itself: the key would be readable on the way."""

    address: str
    access_key: str
    secret_key: str
    connections: int = 4
    tries: int = TRIES
    pool: urllib3.PoolManager = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise Refused(f"{self.address} is not the address of a server, such as https://beiwe.example.org")
        if parts.scheme == "http" and parts.hostname not in LOCAL:
            raise Refused("http would send the key in clear: use https")
        timeout = urllib3.Timeout(connect=20, read=SILENCE_SECONDS)
        self.pool = urllib3.PoolManager(maxsize=self.connections + 1, block=True, timeout=timeout, retries=False)

    def studies(self) -> dict[str, str]:
        """Names of the studies that the key may read, by id."""
        body = urlencode({"access_key": self.access_key, "secret_key": self.secret_key})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._ask("POST", urljoin(self.address, "/get-studies/v1"), body=body, headers=headers)
        found: dict[str, str] = json.loads(answer.data)
        return found

    def files(self, query: list[tuple[str, str]]) -> Iterator[RemoteFile]:
        """The files of a query (study_id, data_streams, participant_ids, time_start, time_end), page by page."""
        cursor = ""
        while True:
            asked = [*query, *([("cursor", cursor)] if cursor else [])]
            address = f"{urljoin(self.address, '/get-data/v3/manifest')}?{urlencode(asked)}"
            page = json.loads(self._ask("GET", address, headers=self._key()).data)
            for file in page["files"]:
                yield RemoteFile(**{name: file[name] for name in RemoteFile.__dataclass_fields__})
            cursor = page["next_cursor"]
            if not cursor:
                return

    def contents(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """The file's bytes from this place on, as long as it is the listed one.

        Raises FileChanged, FileBroken, NothingBehind, Refused; and the errors of urllib3 and OSError when the
        connection breaks, so that the caller goes on behind the bytes that it has.
        """
        headers = self._key()
        if file.etag:
            headers["If-Match"] = file.etag
        if start:
            headers["Range"] = f"bytes={start}-"
        answer = self.pool.request(
            "GET", urljoin(self.address, file.url), headers=headers, preload_content=False, redirect=False
        )
        try:
            if answer.status == 412 or (file.etag and answer.headers.get("ETag") not in (None, file.etag)):
                raise FileChanged(file.name)
            if answer.status in TRY_AGAIN:
                raise Busy(_seconds(answer), _told(answer))
            if answer.status in REFUSED:
                raise Refused(_told(answer))
            if answer.status == 416 and start:
                raise NothingBehind(file.name)
            if answer.status != (206 if start else 200):
                raise FileBroken(_told(answer))
            yield from answer.stream(PIECE_BYTES)
        finally:
            # A connection with an unread answer cannot be used again.
            answer.close()
            answer.release_conn()

    def _key(self) -> dict[str, str]:
        return {"X-Access-Key-Id": self.access_key, "X-Access-Key-Secret": self.secret_key}

    def _ask(self, method: str, address: str, **more: Any) -> urllib3.BaseHTTPResponse:
        """A short answer, asked for again while the server is busy. Raises Refused, Unreachable."""
        for tried in range(1, self.tries + 1):
            wait = waiting_seconds(tried)
            try:
                answer = self.pool.request(method, address, redirect=False, **more)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                told = str(error)
            else:
                if answer.status == 200:
                    return answer
                told = _told(answer)
                if answer.status not in TRY_AGAIN:
                    raise Refused(told)
                wait = max(wait, _seconds(answer))
            if tried < self.tries:
                time.sleep(wait)
        raise Unreachable(f"no answer after {self.tries} tries: {told}")


class NothingBehind(Exception):
    """The file has no bytes behind those that were received earlier."""


class Busy(Exception):
    """The server asks for patience: seconds until the next try, and what it said."""

    def __init__(self, seconds: float, told: str) -> None:
        super().__init__(told)
        self.seconds = seconds


def waiting_seconds(tried: int) -> float:
    """How long to wait after this many tries: 0.5, 1, 2, … seconds, at most a minute."""
    return min(LONGEST_WAIT_SECONDS, 2.0 ** (tried - 2))


def _seconds(answer: urllib3.BaseHTTPResponse) -> float:
    text = str(answer.headers.get("Retry-After", ""))
    seconds = float(text) if text.isascii() and text.isdecimal() else 0.0
    return min(LONGEST_WAIT_SECONDS, seconds)


def _told(answer: urllib3.BaseHTTPResponse) -> str:
    """What the server said, shortened: its sentences, or the beginning of its text."""
    text = (answer.data if answer.status != 200 else b"")[:2_000].decode(errors="replace").strip()
    try:
        errors = json.loads(text)["errors"]
        text = " ".join(errors) if isinstance(errors, list) else str(errors)
    except (ValueError, KeyError, TypeError):
        pass
    return f"{text[:300] or 'no reason given'} (status {answer.status})"
