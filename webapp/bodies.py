"""Checks on the body of every request: it is complete, its length is known, and it is within the limit of its path.

`webapp.serving` passes a request on only when its body is complete. Under other servers, such as Flask's own, Werkzeug
compares the bytes read with `Content-Length` and raises ClientDisconnected (400) when some are missing.
"""

from collections.abc import Iterable
from typing import Any

from flask import Flask, abort, request

from webapp.serving.arriving import NotTaken
from webapp.serving.limits import most_body_bytes
from webapp.stores import settings

RETRY_AFTER_SECONDS = 60


class CheckContentLength:
    """WSGI middleware that makes Werkzeug compare each body with its `Content-Length` (PHONE-18).

    It removes gunicorn's `wsgi.input_terminated`, which would switch this comparison off.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.pop("wsgi.input_terminated", None)
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer


def init_bodies(app: Flask) -> None:
    """Applies `limit_body` before every request."""
    app.before_request(limit_body)


def limit_body() -> None:
    """Sets the length limit of the path (OPS-4). Raises 411 for a chunked body, 503 where the disk is full.

    A chunked body has no length: a broken connection would look like its end.
    """
    if "Transfer-Encoding" in request.headers:
        abort(411)
    request.max_content_length = request.max_form_memory_size = most_body_bytes(request.path, settings())
    if not_taken() is NotTaken.NO_ROOM and request.blueprint != "phone":
        abort(503, "The server is busy.", retry_after=RETRY_AFTER_SECONDS)


def not_taken() -> NotTaken | None:
    """Why the server stopped reading this request's body; None if it read all of it."""
    reason: NotTaken | None = getattr(request.environ.get("wsgi.input"), "not_taken", None)
    return reason
