"""Putting the application together: the phones' endpoints, the data API, the portal, the management commands."""

import sys
from datetime import timedelta

from flask import Flask
from flask_migrate import Migrate
from htmx_flask import Htmx
from werkzeug.middleware.proxy_fix import ProxyFix

import core.models  # noqa: F401  the tables must be known to migrations
from core.config import REPOSITORY, ConfigurationError, Settings, get_settings
from core.database import URL, db, engine_options
from core.logs import set_up_logging
from webapp.bodies import CheckContentLength, init_bodies
from webapp.commands import LazyCommands
from webapp.data_api import data_api
from webapp.data_api.description import api_description
from webapp.database_errors import init_database_errors
from webapp.downtime import init_downtime
from webapp.form_bodies import BoundedRequest
from webapp.health import health
from webapp.metrics import init_metrics
from webapp.paths import OneLeadingSlash
from webapp.phone import phone_api, phone_pages
from webapp.portal import init_portal
from webapp.request_log import init_request_log
from webapp.security import insist_on_host_and_tls, set_security_headers, set_transport_security
from webapp.serving.body_rules import BodyRules
from webapp.serving.lanes import threads_of_a_process

# Fields of a phone's multipart body are small; Werkzeug writes a file part above half a megabyte to disk (PHONE-10).
MOST_FORM_MEMORY_BYTES = 8 << 20


def complete_application(app: Flask, settings: Settings | None = None) -> Flask:
    """Adds configuration, blueprints, commands and hooks to a new application, and returns it.

    Ends the process with one line when the environment's settings are invalid.
    """
    settings = settings or _settings_or_exit()
    set_up_logging(is_production=settings.is_production)
    _configure(app, settings)
    _add_middleware(app, settings)
    init_request_log(app)  # first, so that answers of the hooks below carry a request id too
    init_bodies(app)
    init_downtime(app)
    db.init_app(app)
    Migrate(app, db, directory=str(REPOSITORY / "migrations"))
    Htmx(app)
    app.request_class = BoundedRequest  # after Htmx, which sets its own

    app.register_blueprint(phone_api)
    app.register_blueprint(phone_pages)
    app.register_blueprint(data_api)
    app.register_blueprint(api_description)
    app.register_blueprint(health)
    init_metrics(app)
    init_portal(app)
    init_database_errors(app)
    app.cli = LazyCommands()
    app.after_request(set_security_headers)
    if settings.is_production:
        app.before_request(insist_on_host_and_tls)
        app.after_request(set_transport_security)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    """Sets Flask's and Flask-SQLAlchemy's configuration, and how URLs are matched."""
    app.extensions["beiwe_settings"] = settings
    app.extensions["beiwe_body_rules"] = BodyRules(app, settings)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=URL,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings, threads_of_a_process(settings.web_threads)),
        MAX_CONTENT_LENGTH=settings.upload_max_bytes,
        MAX_FORM_MEMORY_SIZE=MOST_FORM_MEMORY_BYTES,
        PERMANENT_SESSION_LIFETIME=timedelta(minutes=settings.session_idle_minutes),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.is_production,
    )
    # Phones are never redirected: both forms of a path are answered directly (PHONE-2).
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False


def _add_middleware(app: Flask, settings: Settings) -> None:
    app.wsgi_app = CheckContentLength(OneLeadingSlash(app.wsgi_app))  # type: ignore[method-assign]
    if hops := settings.trusted_proxy_hops:  # proxies keep the Host header (PHONE-3, CLAR-4)
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def _settings_or_exit() -> Settings:
    """The settings from the environment. Ends the process with one line when they are invalid."""
    try:
        return get_settings()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
