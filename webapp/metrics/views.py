"""`/metrics`: served only if a token or networks are configured, and only to requests from these (OPS-32)."""

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
    """Adds the endpoint and the hooks that count requests and connections. Call it after `db.init_app`."""
    app.register_blueprint(metrics_views)
    app.after_request(count_phone_request)
    with app.app_context():
        watch_pool(db.engine)


@metrics_views.get("/metrics")
def metrics() -> Response:
    """All figures in Prometheus' text format. 404 if nothing is configured, 401 or 403 without the right to read."""
    configured = settings()
    if not (configured.metrics_token or configured.networks_of_metrics):
        abort(404)
    if not (has_token(configured) or is_in_network(configured)):
        if configured.metrics_token:
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return Response(status=403)
    return Response(all_figures(configured.web_counts_dir), content_type=CONTENT_TYPE_LATEST)


def has_token(configured: Settings) -> bool:
    """Whether the request carries the configured token."""
    if not configured.metrics_token:
        return False
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = configured.metrics_token.get_secret_value()
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), wanted.encode())


def is_in_network(configured: Settings) -> bool:
    """Whether the client's address is in a configured network. A proxy's own address does not count."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in configured.networks_of_metrics)


def all_figures(folder: Path) -> bytes:
    """All figures in Prometheus' text format. With several web processes: their sums, from the files in this folder."""
    registry = CollectorRegistry()
    registry.register(WorkFigures())
    if values.ValueClass is values.MutexValue:
        registry.register(OWN_COUNTS)
        return generate_latest(registry)
    registry.register(MultiProcessCollector(None, str(folder)))
    with _merging_forbidden(folder):
        return generate_latest(registry)


@contextmanager
def _merging_forbidden(folder: Path) -> Iterator[None]:
    """Holds a shared lock: if files of ended processes were merged while read, counts would be lost or doubled."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
