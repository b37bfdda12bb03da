"""The Flask application: the phones' door, the data door, the portal, and the management commands."""

import sys
from typing import TYPE_CHECKING

from flask import Flask

if TYPE_CHECKING:
    from core.config import Settings

# Commands over files alone. Loading models and pages for them would double the time they take to start.
PURE_COMMANDS = ("device", "chunks", "schedules")
OPTIONS_WITH_VALUES = ("--app", "-A", "--env-file", "-e")


def create_app(settings: "Settings | None" = None) -> Flask:
    """The application; for a command over files alone, one with nothing but these. Ends the process on bad settings."""
    if settings is None and asked_command(sys.argv) in PURE_COMMANDS:
        from webapp.commands.chunks import chunks_commands
        from webapp.commands.device import device_commands
        from webapp.commands.schedules import schedules_commands

        app = Flask("webapp")
        for command in (chunks_commands, device_commands, schedules_commands):
            app.cli.add_command(command)
        return app
    from webapp.application import make_application

    return make_application(settings)


def asked_command(arguments: list[str]) -> str | None:
    """The command in a call of `flask`, or None."""
    following = iter(arguments[1:])
    for argument in following:
        if argument in OPTIONS_WITH_VALUES:
            next(following, None)
        elif not argument.startswith("-"):
            return argument
    return None
