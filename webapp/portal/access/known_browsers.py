"""Known browsers: a signed cookie lists who has signed in with this browser. It gives no access (PORTAL-23)."""

import secrets
from typing import Any

from flask import Response, current_app, g, request
from itsdangerous import BadSignature, URLSafeSerializer

from core.accounts.failed_sign_ins import address_source, browser_source
from core.models import Researcher
from webapp.portal.access.sessions import cookie_name, is_cookie_secure

A_YEAR_S = 365 * 24 * 3600
MOST_PEOPLE = 5
NAME = "known"


def source_of(username: str) -> str:
    """The source of a sign-in attempt for that name: this browser if the person has signed in with it before, else the
    client's address.
    """
    known = _read()
    if username in known.get("people", ()):
        return browser_source(str(known["browser"]))
    return address_source(request.remote_addr)


def remember_browser(researcher: Researcher) -> None:
    """Adds the researcher to the browser's cookie; `set_cookie` sends it with the answer to this request."""
    known = _read()
    people = [name for name in known.get("people", ()) if name != researcher.username]
    g.known_browser = {
        "browser": known.get("browser") or secrets.token_urlsafe(12),
        "people": [*people, researcher.username][-MOST_PEOPLE:],
    }


def set_cookie(response: Response) -> Response:
    """Sets the cookie if `remember_browser` changed it, and returns the response."""
    if known := g.get("known_browser"):
        response.set_cookie(
            cookie_name(NAME),
            _serializer().dumps(known),
            max_age=A_YEAR_S,
            secure=is_cookie_secure(),
            httponly=True,
            samesite="Lax",
        )
    return response


def _read() -> dict[str, Any]:
    try:
        known = _serializer().loads(request.cookies.get(cookie_name(NAME), ""))
    except BadSignature:
        return {}
    return known if isinstance(known, dict) else {}


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="known browser")
