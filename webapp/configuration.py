"""What commands and pages need of an application: its settings, its log, and the database."""

import sys
from datetime import timedelta

from flask import Flask

import core.models  # noqa: F401  the tables must be known
from core.config import ConfigurationError, Settings, get_settings
from core.database import URL, db, engine_options
from core.logs import set_up_logging
from webapp.serving.lanes import threads_of_a_process

# Fields of a phone's multipart body are small; Werkzeug writes a file part above half a megabyte to disk (PHONE-10).
MOST_FORM_MEMORY_BYTES = 8 << 20


def configure(app: Flask, settings: Settings | None = None) -> Settings:
    """Sets up logging, Flask's configuration and the database, and returns the settings.

    Ends the process with one line when the environment's settings are invalid.
    """
    settings = settings or _settings_or_exit()
    set_up_logging(is_production=settings.is_production)
    app.extensions["beiwe_settings"] = settings
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
    db.init_app(app)
    return settings


def _settings_or_exit() -> Settings:
    """The settings from the environment. Ends the process with one line when they are invalid."""
    try:
        return get_settings()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
