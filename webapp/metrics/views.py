"""`/metrics`: off unless a token or a network is configured, and open to these alone (OPS-32)."""

import fcntl
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from core.config import Settings
from core.database import db
from webapp.metrics.web_counts import OWN_COUNTS, count_phone_request, watch_pool
from webapp.metrics.work_figures import WorkFigures
from webapp.stores import settings

metrics_views = Blueprint("metrics", __name__)


def init_metrics(app: Flask) -> None:
    """Adds the endpoint, and counts what this application does from now on; needs its database."""
    app.register_blueprint(metrics_views)
    app.after_request(count_phone_request)
    with app.app_context():
        watch_pool(db.engine)


@metrics_views.get("/metrics")
def metrics() -> Response:
    """All figures as text; 404 where nothing is configured, 401 or 403 without the right to read them."""
    configured = settings()
    if not (configured.metrics_token or configured.networks_of_metrics):
        abort(404)
    if not (has_token(configured) or is_in_network(configured)):
        if configured.metrics_token:
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return Response(status=403)
    return Response(all_figures(configured.web_counts_dir), content_type=CONTENT_TYPE_LATEST)


def has_token(configured: Settings) -> bool:
    """Whether the request carries the token."""
    if not configured.metrics_token:
        return False
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = configured.metrics_token.get_secret_value()
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), wanted.encode())


def is_in_network(configured: Settings) -> bool:
    """Whether the request comes from a configured network: from the proxy's client, not from the proxy."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in configured.networks_of_metrics)


def all_figures(folder: Path) -> bytes:
    """The text. Where several processes serve, of all of them together, from the files under this folder."""
    registry = CollectorRegistry()
    registry.register(WorkFigures())
    if values.ValueClass is values.MutexValue:
        registry.register(OWN_COUNTS)
        return generate_latest(registry)
    registry.register(MultiProcessCollector(None, str(folder)))
    with _files_kept_as_they_are(folder):
        return generate_latest(registry)


@contextmanager
def _files_kept_as_they_are(folder: Path) -> Iterator[None]:
    """While files are read, none of an ended process moves to another: its counts would be missed, or read twice."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
