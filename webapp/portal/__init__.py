"""The portal: pages for researchers. One module per section; `doors` decides who comes in."""

from flask import Flask

from webapp.portal import (  # noqa: F401  routes
    account,
    adding,
    batches,
    downtime,
    participant,
    participants,
    server_address,
    signing_in,
    studies,
)
from webapp.portal.assets import init_assets
from webapp.portal.doors import csrf, portal, require_doors
from webapp.portal.errors import init_error_pages
from webapp.portal.limits import limiter
from webapp.portal.sessions import PortalSessions, login_manager
from webapp.portal.wording import FILTERS


def init_portal(app: Flask) -> None:
    """Adds the portal's pages and sign-in. Raises where a page names no door."""
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None, RATELIMIT_HEADERS_ENABLED=True)
    if app.config["SESSION_COOKIE_SECURE"]:
        app.config["SESSION_COOKIE_NAME"] = "__Host-session"  # browsers take it from this very host alone (CLAR-6)
    app.session_interface = PortalSessions()
    login_manager.init_app(app)
    csrf.init_app(app)
    limiter.init_app(app)
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    init_assets(app)
    app.register_blueprint(portal)
    require_doors(app)
    init_error_pages(app)
