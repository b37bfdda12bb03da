"""What holds for the body of every request: it is whole, of a known length, and no longer than its path takes.

Behind `webapp.serving` the body has arrived whole before a request gets here. Elsewhere, as with Flask's own server,
Werkzeug compares what it reads with `Content-Length` and raises ClientDisconnected (400) for less.
"""

from collections.abc import Iterable
from typing import Any

from flask import Flask, abort, request

from webapp.serving.arriving import NotTaken
from webapp.serving.limits import most_body_bytes
from webapp.stores import settings

RETRY_AFTER_SECONDS = 60


class LengthsCount:
    """WSGI middleware: a body that says how long it is ends there, and nowhere before (PHONE-18).

    Gunicorn's `wsgi.input_terminated` would keep Werkzeug from comparing.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.pop("wsgi.input_terminated", None)
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer


def init_bodies(app: Flask) -> None:
    """Puts the limits before every request."""
    app.before_request(limit_body)


def limit_body() -> None:
    """411 without a length: where such a body broke off cannot be told from its end. The limits are those of OPS-4."""
    if "Transfer-Encoding" in request.headers:
        abort(411)
    request.max_content_length = request.max_form_memory_size = most_body_bytes(request.path, settings())
    if not_taken() is NotTaken.NO_ROOM and request.blueprint != "phone":
        abort(503, "The server is busy.", retry_after=RETRY_AFTER_SECONDS)


def not_taken() -> NotTaken | None:
    """Why the server stopped reading the body of this request; None where it has all of it."""
    reason: NotTaken | None = getattr(request.environ.get("wsgi.input"), "not_taken", None)
    return reason
