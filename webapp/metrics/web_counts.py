"""Counts of the web processes, in memory or in files that all processes share (`ops/shared_counts.py`).

Counting costs a few additions, so it does not slow down phones' requests.
"""

import time

import sqlalchemy as sa
from flask import Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import event

OWN_COUNTS = CollectorRegistry()
UPLOAD = "phone.upload"
# Android waits 15 s for an answer (PHONE-13).
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
ANSWERS_BY_STATUS = {
    401: "not admitted",
    403: "not admitted",
    413: "too large",
    429: "too many",
    500: "failed",
    503: "not stored",
}

phone_requests = Counter("beiwe_phone_requests", "Requests of phones.", ["endpoint", "status"], registry=OWN_COUNTS)
uploads_answered = Counter(
    "beiwe_uploads", "Uploads, by what the phone was told.", ["answer", "status"], registry=OWN_COUNTS
)
upload_bytes = Counter(
    "beiwe_upload_bytes", "Bytes of the requests that uploads came in.", ["answer"], registry=OWN_COUNTS
)
upload_seconds = Histogram(
    "beiwe_upload_seconds", "Seconds from an upload's first byte to its answer.", buckets=SECONDS, registry=OWN_COUNTS
)
pool_size = Gauge(
    "beiwe_database_pool_size",
    "Database connections that a process keeps.",
    registry=OWN_COUNTS,
    multiprocess_mode="liveall",
)
pool_checked_out = Gauge(
    "beiwe_database_pool_checked_out",
    "Database connections of a process that are in use.",
    registry=OWN_COUNTS,
    multiprocess_mode="liveall",
)


def count_phone_request(response: Response) -> Response:
    """Counts an answer to a phone and returns it. Requests of other blueprints are not counted."""
    if request.blueprint == "phone":
        status = str(response.status_code)
        phone_requests.labels((request.endpoint or "").removeprefix("phone."), status).inc()
        if request.endpoint == UPLOAD:
            answer = kind_of(response)
            uploads_answered.labels(answer, status).inc()
            upload_bytes.labels(answer).inc(request.content_length or 0)
            upload_seconds.observe(time.perf_counter() - g.started)
    return response


def kind_of(response: Response) -> str:
    """The label of an upload: its outcome, or a text for its status if it ended before it had an outcome."""
    outcome: str | None = g.pop("upload_outcome", None)
    return outcome or ANSWERS_BY_STATUS.get(response.status_code, "other")


def watch_pool(engine: sa.Engine) -> None:
    """Updates the gauges of the engine's connection pool at every checkout and check-in."""

    def checked_out(*, is_coming_back: bool) -> None:
        if isinstance(engine.pool, sa.QueuePool):  # at check-in the pool still counts the returning connection
            pool_checked_out.set(max(0, engine.pool.checkedout() - is_coming_back))

    if isinstance(engine.pool, sa.QueuePool):
        pool_size.set(engine.pool.size())
    event.listen(engine, "checkout", lambda *_: checked_out(is_coming_back=False))
    event.listen(engine, "checkin", lambda *_: checked_out(is_coming_back=True))
