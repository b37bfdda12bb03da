"""Management commands: `flask --app webapp …`. JSON with `--json`; bad input is one line and exit status 1."""

from flask import Flask


def register_commands(app: Flask) -> None:
    """Adds every command to the application."""
    from webapp.commands.accounts import admin_commands, api_key_commands
    from webapp.commands.chunks import chunks_commands
    from webapp.commands.data import audit_data_command, reprocess_study_command
    from webapp.commands.device import device_commands
    from webapp.commands.downtime import downtime_commands
    from webapp.commands.participants import participant_commands
    from webapp.commands.processing import process_uploads_command
    from webapp.commands.rebuilding import rebuild_schedules_command
    from webapp.commands.schedules import schedules_commands
    from webapp.commands.store import audit_store_command, compress_store_command, upload_commands
    from webapp.commands.studies import study_commands

    for command in (
        admin_commands, api_key_commands, study_commands, participant_commands, process_uploads_command,
        upload_commands, audit_store_command, compress_store_command, downtime_commands, device_commands,
        chunks_commands, schedules_commands, reprocess_study_command, audit_data_command,
        rebuild_schedules_command,
    ):  # fmt: skip
        app.cli.add_command(command)
