"""Addresses of static files that contain a hash of the content, so that browsers may cache them for a year."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for


def init_assets(app: Flask) -> None:
    """Adds `asset()` to templates, and long caching to static files that are requested with a version."""
    app.jinja_env.globals["asset"] = asset
    app.after_request(_keep_versions)


def asset(name: str) -> str:
    """The address of a file below `static/`, with a hash of its content as version; without one if it is missing."""
    version = _hash_of(Path(current_app.static_folder or "") / name)
    return url_for("static", filename=name, v=version)


@cache
def _hash_of(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else None


def _keep_versions(response: Response) -> Response:
    if request.endpoint == "static" and "v" in request.args and response.status_code == 200:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
