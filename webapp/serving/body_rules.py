"""What the worker asks before it reads a body: how much is wanted, and whether who sends may send it (OPS-4)."""

import random
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from cachetools import TTLCache
from flask import Flask
from gunicorn.http.message import Request
from werkzeug.http import parse_options_header

from core.config import Settings
from core.database import db
from core.phones.authentication import is_known_phone
from webapp.data_api.credentials import are_credentials_right, wrong_lately
from webapp.form_bodies import fields_at_the_start
from webapp.serving.lanes import Lane, lane_of, path_of
from webapp.serving.limits import MOST_BYTES, most_body_bytes

KNOWN_SECONDS, MOST_KNOWN = 60, 10_000
WRONG_WITHOUT_DELAY, MOST_DELAY_SECONDS = 10, 20.0
_ACCESS_KEY = re.compile(rb"access_key\"?=?(?:\r\n\r\n)?([A-Za-z0-9+/%]{64,192})")


class BodyRules:
    """The rules of one application, for the worker of `webapp.serving`."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._known: TTLCache[Any, bool] = TTLCache(MOST_KNOWN, KNOWN_SECONDS)
        self._lock = Lock()
        self.spool_folder: Path = settings.var_dir / "spool"
        self.spool_folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def most_body_bytes(self, path: str) -> int:
        """The longest body that a path takes."""
        return most_body_bytes(path, self._settings)

    def needs_look(self, path: str) -> bool:
        """Whether bodies may become so large that the sender is looked at before they are read whole."""
        return self.most_body_bytes(path) > MOST_BYTES

    def may_send(self, request: Request, first: bytes) -> bool:
        """Whether the beginning of a body names a sender who is known; only reads (CLAR-10). Raises what fails."""
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

    def delay_seconds(self, request: Request, first: bytes, client: Any) -> float:
        """How long a program's request waits, without a thread, before it is looked at: not at all, unless its address
        had many wrong credentials lately and this request's key was not right lately. Nobody is refused (CLAR-11).
        """
        if lane_of(path_of(request)) not in (Lane.PROGRAMS, Lane.DOWNLOADS):
            return 0.0
        times = wrong_lately.times(forwarded_address(request.headers, client, self._settings.trusted_proxy_hops or 0))
        if times <= WRONG_WITHOUT_DELAY:
            return 0.0
        fields = fields_at_the_start(first + b"&", *_content_type(request.headers))
        with self._lock:
            was_right = (False, fields.get("access_key"), fields.get("secret_key")) in self._known
        # Spread out, so that they do not come back all at once.
        return 0.0 if was_right else min(MOST_DELAY_SECONDS, times / 3) * random.uniform(0.5, 1.0)

    def owner_of(self, request: Request, first: bytes, client: Any) -> Hashable:
        """Whose turn a download is: the API key's that it names, else the address's."""
        key = _ACCESS_KEY.search(first)
        return key[1] if key else client[0] if isinstance(client, tuple) else client


def forwarded_address(headers: Sequence[tuple[str, str]], client: Any, hops: int) -> str:
    """The address that the outermost of so many proxies was asked from (CLAR-4)."""
    peer = str(client[0] if isinstance(client, tuple) else client)
    if not hops:
        return peer
    told = ",".join(value for name, value in headers if name == "X-FORWARDED-FOR").split(",")
    return told[-hops].strip() or peer if len(told) >= hops else peer


def _content_type(headers: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The media type and the boundary between parts."""
    value = next((value for name, value in headers if name == "CONTENT-TYPE"), "")
    media_type, parameters = parse_options_header(value)
    return media_type, parameters.get("boundary", "")
