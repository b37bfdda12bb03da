"""Health endpoints without credentials: is the process up, can it serve, does processing run (OPS-31, OPS-32)."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, current_app
from flask.typing import ResponseReturnValue

from core.database import db
from core.models import ProcessingStatus
from webapp.readiness import Readiness
from webapp.stores import settings

health = Blueprint("health", __name__)
MOST_SILENT = timedelta(minutes=20)


@health.get("/healthz")
def healthz() -> Response:
    """200 if the process answers. Checks nothing else."""
    return Response("ok", content_type="text/plain; charset=utf-8")


@health.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 if database, store and migrations are `ok`; else 503 with a short reason for each that is not. JSON."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    readiness: Readiness = app.extensions.setdefault("beiwe_readiness", Readiness(app, settings()))
    report = readiness.report()
    return asdict(report), 200 if report.is_ready else 503


@health.get("/background_processing_status")
def background_processing_status() -> Response:
    """200 if a processing run ended within the last 20 minutes, else 500. Empty body."""
    last_run = db.session.scalar(db.select(ProcessingStatus.last_run_at))
    is_fresh = last_run is not None and datetime.now(UTC) - last_run < MOST_SILENT
    return Response(status=200 if is_fresh else 500)
