"""A client that is signed in as a researcher without a password, because hashing one takes a tenth of a second."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.accounts.sessions import SessionLimits, begin_session
from core.database import db
from core.models import PortalSession, Researcher
from tests.support.factories import RESEARCHER_PASSWORD

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor:
    """Requests of one session; without a researcher, of somebody who is not signed in."""

    def __init__(self, app: Flask, researcher: Researcher | None = None, started: float | None = None) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        self._tokens: dict[tuple[str | None, str | None], str] = {}
        self.client.environ_base["HTTP_ACCEPT"] = "text/html"
        if researcher:
            now = datetime.now(UTC) if started is None else datetime.fromtimestamp(started, UTC)
            limits = SessionLimits(idle=timedelta(minutes=30), most=timedelta(hours=12))
            with app.app_context():
                merged = db.session.get_one(Researcher, researcher.id)
                token = begin_session(db.session(), merged, now, limits)
                db.session.execute(db.update(PortalSession).values(seen_at=datetime.now(UTC)))
                db.session.commit()
            with self.client.session_transaction() as session:
                session["_user_id"] = token
                session.permanent = True

    def open(self, path: str, **options: Any) -> TestResponse:
        """One request in a context of its own, as in life: nothing in `g` is shared with the test or other visitors."""
        with self.app.app_context():
            return self.client.open(path, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.open(path, **options)

    def post(
        self, path: str, *, has_token: bool = True, headers: dict[str, str] | None = None, **fields: str
    ) -> TestResponse:
        """Posts a form, with this session's token unless told otherwise."""
        if has_token:
            fields["csrf_token"] = self.token()
        return self.open(path, method="POST", data=fields, headers=headers)

    def send(self, method: str, path: str, **fields: str) -> TestResponse:
        """Sends a request of any method: forms by POST, other bodies as the portal's scripts send them."""
        if method == "GET":
            return self.get(path)
        if method == "POST":
            return self.post(path, **fields)
        return self.open(path, method=method, headers={"X-CSRFToken": self.token()}, data="no JSON")

    def swap(self, path: str) -> TestResponse:
        """Asks as HTMX does for a part of a page."""
        return self.get(path, headers={"HX-Request": "true", "HX-Request-Type": "partial"})

    def sign_in(self, username: str, password: str = RESEARCHER_PASSWORD, **fields: str) -> TestResponse:
        """Sends the sign-in form."""
        return self.post("/validate_login", has_token=False, username=username, password=password, **fields)

    def token(self) -> str:
        """The token in the account's page, read once in a session; empty where nobody is signed in."""
        mark = self._session_mark()
        if mark not in self._tokens:
            found = TOKEN.search(self.get("/manage_credentials").text)
            if not found:
                return ""
            mark = self._session_mark()
            self._tokens[mark] = found.group(1)
        return self._tokens[mark]

    def _session_mark(self) -> tuple[str | None, str | None]:
        """Tokens stay right while these two values of the session do."""
        with self.client.session_transaction() as session:
            return session.get("csrf_token"), session.get("_user_id")

    @property
    def is_signed_in(self) -> bool:
        return self.get("/manage_credentials").status_code == 200
