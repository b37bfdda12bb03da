"""What the worker asks before it reads a body: how much is wanted, and whether who sends may send it (OPS-4)."""

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
from webapp.data_api.credentials import are_credentials_right
from webapp.form_bodies import fields_at_the_start
from webapp.serving.lanes import Lane, lane_of
from webapp.serving.limits import MOST_BYTES, most_body_bytes

KNOWN_SECONDS, MOST_KNOWN = 60, 10_000
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
        is_phone = lane_of(request.path) is Lane.PHONES
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

    def owner_of(self, request: Request, first: bytes, client: Any) -> Hashable:
        """Whose turn a download is: the API key's that it names, else the address's."""
        key = _ACCESS_KEY.search(first)
        return key[1] if key else client[0] if isinstance(client, tuple) else client


def _content_type(headers: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The media type and the boundary between parts."""
    value = next((value for name, value in headers if name == "CONTENT-TYPE"), "")
    media_type, parameters = parse_options_header(value)
    return media_type, parameters.get("boundary", "")
