"""The Flask application: the phones' endpoints, the data API, the portal, and the management commands."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import Flask
from flask.cli import FlaskGroup

if TYPE_CHECKING:
    from core.config import Settings

TEMPLATES = str(Path(__file__).parents[1] / "templates")


def create_app(settings: "Settings | None" = None) -> Flask:
    """Builds and returns the application. Ends the process with one line when the settings are invalid.

    While `flask` or `beiwe` looks up a command, the returned application is empty: it gets what the command needs, so
    that commands start fast. Commands over files need nothing, most need the database, none of ours a page.
    """
    app = Flask("webapp", template_folder=TEMPLATES)
    if settings is None and _is_command_looked_for():
        from webapp.commands import LazyCommands

        app.cli = LazyCommands(lambda: _with_database(app), lambda: _complete(app, None))
        return app
    return _complete(app, settings)


def _is_command_looked_for() -> bool:
    """Whether click is still at the command group. A running command, such as Flask's `run`, has its own context."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def _with_database(app: Flask) -> None:
    from webapp.configuration import configure

    configure(app)


def _complete(app: Flask, settings: "Settings | None") -> Flask:
    from webapp.application import complete_application

    return complete_application(app, settings)
