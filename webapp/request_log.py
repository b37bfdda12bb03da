"""Gives each request an id, and writes its line in the log (OPS-33). The audit trail names the id too (PORTAL-290)."""

import logging
import re
import secrets
import time
from types import TracebackType
from typing import Any

from flask import Flask, Response, g, request

from core.audit.origin import NOWHERE, Origin, set_origin
from core.logs import REQUEST_ID
from webapp.stores import settings

log = logging.getLogger(__name__)
HEADER = "X-Request-ID"
TAKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
REFUSALS = (401, 403, 429)


def init_request_log(app: Flask) -> None:
    """Registers the hooks. Call it before other hooks are registered, so that every answer and log line has the id."""
    app.before_request(begin_request)
    app.after_request(end_request)
    app.log_exception = log_failure  # type: ignore[method-assign]


def begin_request() -> None:
    """Sets `g.started` (seconds, monotonic) and `g.request_id`: in production the proxy's if well-formed, else new.

    What is recorded during the request says that it came from here.
    """
    g.started = time.perf_counter()
    given = request.headers.get(HEADER, "") if settings().is_production else ""
    g.request_id = given if TAKEN.fullmatch(given) else secrets.token_hex(8)
    REQUEST_ID.set(g.request_id)
    set_origin(Origin(g.request_id, request.remote_addr, request.headers.get("User-Agent")))


def end_request(response: Response) -> Response:
    """Adds the id to the answer's headers. In production also logs the request and the time until the answer began."""
    response.headers[HEADER] = g.request_id
    if settings().is_production:
        duration_ms = round((time.perf_counter() - g.started) * 1000, 1)
        told = {"status": response.status_code, "address": _address(response.status_code), "duration_ms": duration_ms}
        log.info("request", extra=_request() | told)
    response.call_on_close(forget_request)  # a streamed answer still logs under its id
    return response


def forget_request() -> None:
    """Forgets the request's id and origin: the thread may do something else next."""
    REQUEST_ID.set(None)
    set_origin(NOWHERE)


def log_failure(
    exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
) -> None:
    """Logs a failed request. Replaces Flask's own log line, which contains the path as the client sent it."""
    log.error("request failed", exc_info=exc_info, extra=_request())


def _address(status: int) -> str | None:
    """The client's address where access was refused, for investigations; never a phone's."""
    return request.remote_addr if status in REFUSALS and request.blueprint != "phone" else None


def _request() -> dict[str, Any]:
    """Fields for the log line. Reads no column from the database, which may be what failed."""
    return {
        "account": vars(g.researcher).get("id") if g.get("researcher") else None,
        "method": request.method,
        "endpoint": request.endpoint,
        "study": vars(g.study).get("object_id") if g.get("study") else None,
        "participant": vars(g.participant).get("patient_id") if g.get("participant") else None,
    }
