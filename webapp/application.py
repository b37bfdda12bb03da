"""Putting the application together: the phones' endpoints, the data API, the portal, the management commands."""

from flask import Flask
from flask_migrate import Migrate
from htmx_flask import Htmx
from werkzeug.middleware.proxy_fix import ProxyFix

from core.config import REPOSITORY, Settings
from core.database import db
from webapp.bodies import CheckContentLength, init_bodies
from webapp.commands import LazyCommands
from webapp.configuration import configure
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


def complete_application(app: Flask, settings: Settings | None = None) -> Flask:
    """Adds configuration, blueprints, commands and hooks to a new application, and returns it.

    Ends the process with one line when the environment's settings are invalid.
    """
    settings = configure(app, settings)
    app.extensions["beiwe_body_rules"] = BodyRules(app, settings)
    # Phones are never redirected: both forms of a path are answered directly (PHONE-2).
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    _add_middleware(app, settings)
    init_request_log(app)  # first, so that answers of the hooks below carry a request id too
    init_bodies(app)
    init_downtime(app)
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


def _add_middleware(app: Flask, settings: Settings) -> None:
    app.wsgi_app = CheckContentLength(OneLeadingSlash(app.wsgi_app))  # type: ignore[method-assign]
    if hops := settings.trusted_proxy_hops:  # proxies keep the Host header (PHONE-3, CLAR-4)
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
