"""Management commands: `beiwe …`, the same as `flask --app webapp …`.

They print JSON with `--json`. Bad input gives one line on standard error and exit status 1. The module of a command is
imported when the command is looked up.
"""

from collections.abc import Callable
from importlib import import_module

import click
from flask.cli import AppGroup

# Where each command is: module below this package, and the command in it.
COMMANDS = {
    "admin": ("accounts", "admin_commands"),
    "api-key": ("accounts", "api_key_commands"),
    "audit-data": ("data", "audit_data_command"),
    "audit-store": ("store", "audit_store_command"),
    "answers": ("answers", "answers_commands"),
    "chunks": ("chunks", "chunks_commands"),
    "compress-store": ("store", "compress_store_command"),
    "device": ("device", "device_commands"),
    "forest": ("forest", "forest_commands"),
    "downtime": ("downtime", "downtime_commands"),
    "notifications": ("notifications", "notifications_commands"),
    "participant": ("participants", "participant_commands"),
    "process-uploads": ("processing", "process_uploads_command"),
    "rebuild-schedules": ("rebuilding", "rebuild_schedules_command"),
    "reprocess-study": ("data", "reprocess_study_command"),
    "schedules": ("schedules", "schedules_commands"),
    "scores": ("scores", "scores_commands"),
    "surveys": ("surveys", "surveys_commands"),
    "study": ("studies", "study_commands"),
    "upload": ("store", "upload_commands"),
}
# These commands need files only. Importing models and pages would double their start-up time.
FILES_ONLY = frozenset({"chunks", "device", "schedules"})


class LazyCommands(AppGroup):
    """The commands of an application. `complete` is called once, before the first command not in `FILES_ONLY`."""

    def __init__(self, complete: Callable[[], object] | None = None) -> None:
        super().__init__()
        self._complete = complete

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in FILES_ONLY and self._complete is not None:
            complete, self._complete = self._complete, None
            complete()
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command
