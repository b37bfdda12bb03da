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
# These commands need files only. Importing models would double their start-up time.
FILES_ONLY = frozenset({"chunks", "device", "schedules"})


class LazyCommands(AppGroup):
    """The commands of an application.

    While it is still empty, `configure` gives it the database, for a command that is not in `FILES_ONLY`, and
    `complete` all of it, for commands that are not ours.
    """

    def __init__(
        self, configure: Callable[[], object] | None = None, complete: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self._configure, self._complete = configure, complete

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in FILES_ONLY:
            prepare = self._configure if cmd_name in COMMANDS else self._complete
            self._configure = self._complete = None
            if prepare is not None:
                prepare()
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command
