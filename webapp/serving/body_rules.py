"""Rules of the worker for bodies: how long they may be, and whether the sender may send a large one (OPS-4)."""

import random
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from cachetools import TTLCache
from flask import Flask
from flask_login import current_user
from gunicorn.http.message import Request
from werkzeug.http import parse_options_header

from core.config import Settings
from core.database import db
from core.phones.authentication import is_known_phone
from webapp.data_api.credentials import are_credentials_right, recent_failures
from webapp.form_bodies import fields_at_the_start
from webapp.serving.lanes import Lane, lane_of, path_of, takes_api_key
from webapp.serving.limits import MOST_BYTES, most_body_bytes

KNOWN_SECONDS, MOST_KNOWN = 60, 10_000
WRONG_WITHOUT_DELAY, MOST_DELAY_SECONDS = 10, 20.0
_SESSION = re.compile(r"(?:^|;) *(?:__Host-)?session=([^;]{1,2000})")
_ACCESS_KEY = re.compile(rb"access_key\"?=?(?:\r\n\r\n)?([A-Za-z0-9+/%]{64,192})")


class BodyRules:
    """The rules of one application, for `WholeRequestWorker`."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._known: TTLCache[Any, bool] = TTLCache(MOST_KNOWN, KNOWN_SECONDS)
        self._lock = Lock()
        self.spool_folder: Path = settings.var_dir / "spool"
        self.spool_folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def most_body_bytes(self, path: str) -> int:
        """The greatest length of a body at this path, in bytes."""
        return most_body_bytes(path, self._settings)

    def needs_known_sender(self, path: str) -> bool:
        """Whether bodies at this path may be so large that their sender is checked before they are read whole."""
        return self.most_body_bytes(path) > MOST_BYTES

    def may_send(self, request: Request, first: bytes) -> bool:
        """Whether the body may be read.

        It begins with the id of a known phone or right API credentials, or its sender is signed in to the portal.

        Writes nothing (CLAR-10). Raises SQLAlchemyError if the database fails.
        """
        if lane_of(path_of(request)) is Lane.PORTAL:
            return self._is_signed_in(request)
        fields = fields_at_the_start(first, *_content_type(request.headers))
        is_phone = lane_of(path_of(request)) is Lane.PHONES
        asked = (is_phone, fields.get("patient_id" if is_phone else "access_key"), fields.get("secret_key"))
        with self._lock:
            if asked in self._known:
                return True
        with self._app.app_context():
            is_known = is_known_phone(db.session(), fields) if is_phone else are_credentials_right(fields)
        if is_known:
            with self._lock:
                self._known[asked] = True
        return is_known

    def _is_signed_in(self, request: Request) -> bool:
        """Whether the request has the cookie of a session that lasts."""
        cookie = next((value for name, value in request.headers if name == "COOKIE"), "")
        scheme = "https" if "__Host-" in cookie else "http"  # the cookie's name depends on it (CLAR-6)
        with self._app.test_request_context(base_url=f"{scheme}://localhost", headers={"Cookie": cookie}):
            return bool(current_user.is_authenticated)

    def delay_seconds(self, request: Request, first: bytes, client: Any) -> float:
        """How many seconds a data API request waits, without a thread, before it is served.

        Not 0 only if its address recently sent many wrong credentials and these credentials were not recently right.
        Delaying, not refusing, spares programs that share the address (CLAR-11).
        """
        if not takes_api_key(path_of(request)):
            return 0.0
        address = forwarded_address(request.headers, client, self._settings.trusted_proxy_hops or 0)
        times = recent_failures.times(address)
        if times <= WRONG_WITHOUT_DELAY:
            return 0.0
        fields = fields_at_the_start(first + b"&", *_content_type(request.headers))
        with self._lock:
            was_right = (False, fields.get("access_key"), fields.get("secret_key")) in self._known
        # Random, so that delayed requests do not all continue at once.
        return 0.0 if was_right else min(MOST_DELAY_SECONDS, times / 3) * random.uniform(0.5, 1.0)

    def owner_of(self, request: Request, first: bytes, client: Any) -> Hashable:
        """The owner in whose turn a download runs: its API key, the portal's session, or else the client's address."""
        if not takes_api_key(path_of(request)):
            cookies = next((value for name, value in request.headers if name == "COOKIE"), "")
            if session := _SESSION.search(cookies):
                return session[1]
        for name, value in request.headers:
            if name == "X-ACCESS-KEY-ID":
                return str(value)[:64].encode()
        key = _ACCESS_KEY.search(first)
        return key[1] if key else client[0] if isinstance(client, tuple) else client


def forwarded_address(headers: Sequence[tuple[str, str]], client: Any, hops: int) -> str:
    """The client's address as the outermost of `hops` trusted proxies saw it; else the peer's own (CLAR-4)."""
    peer = str(client[0] if isinstance(client, tuple) else client)
    if not hops:
        return peer
    told = ",".join(value for name, value in headers if name == "X-FORWARDED-FOR").split(",")
    return told[-hops].strip() or peer if len(told) >= hops else peer


def _content_type(headers: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The media type, and the multipart boundary or an empty text."""
    value = next((value for name, value in headers if name == "CONTENT-TYPE"), "")
    media_type, parameters = parse_options_header(value)
    return media_type, parameters.get("boundary", "")
