"""`study`: creating and changing studies, and who works in them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import IntegrityError

from core.access import STORED_ROLES, Role
from core.accounts.changing import set_role
from core.audit import COMMAND_LINE
from core.database import db
from core.models import Study
from core.models.researcher import researcher_by_username
from core.models.study import study_by_object_id
from core.studies import StudyRefused, create_study
from core.studies.changing import (
    hide_study,
    parsed_end_date,
    reopen_study,
    set_easy_enrollment,
    set_end_date,
    set_timezone,
    stop_study,
    unhide_study,
)
from webapp.commands.output import CommandGroup, as_json, fail, show
from webapp.flow_runs import REBUILD_SCHEDULES, start_run

study_commands = CommandGroup("study", help="Studies.")
NO_ROLE = "none"


@study_commands.command("create")
@click.option("--name", required=True)
@click.option("--settings", type=click.Path(path_type=Path), help="JSON object of app settings.")
@click.option("--encryption-key", help="32 characters; made by the server when left out.")
@click.option("--timezone", default="America/New_York", show_default=True)
@as_json
def create(name: str, settings: Path | None, encryption_key: str | None, timezone: str, is_json: bool) -> None:
    """Create a study."""
    try:
        study = create_study(
            db.session(),
            name,
            timezone_name=timezone,
            encryption_key=encryption_key,
            app_settings=_settings_in(settings),
            actor=COMMAND_LINE,
        )
        db.session.commit()
    except StudyRefused as error:
        fail(str(error))
    except IntegrityError:
        db.session.rollback()
        fail(f"there is a study named {name} already")
    show({"object_id": study.object_id, "name": study.name}, is_json=is_json)


@study_commands.command("update")
@click.argument("object_id")
@click.option("--end-date", help="YYYY-MM-DD, the last day that counts; `none` removes it.")
@click.option("--stop/--start", "is_stopped", default=None)
@click.option("--hide/--show", "is_hidden", default=None)
@click.option("--easy-enrollment/--no-easy-enrollment", "has_easy_enrollment", default=None)
@click.option("--timezone")
@as_json
def update(
    object_id: str,
    end_date: str | None,
    is_stopped: bool | None,
    is_hidden: bool | None,
    has_easy_enrollment: bool | None,
    timezone: str | None,
    is_json: bool,
) -> None:
    """Change a study."""
    session, now, study = db.session(), datetime.now(UTC), the_study(object_id)
    waits = False
    try:
        if end_date is not None:
            waits |= set_end_date(
                session, study, None if end_date == "none" else parsed_end_date(end_date), now, actor=COMMAND_LINE
            )
        if timezone is not None:
            waits |= set_timezone(session, study, timezone, now, actor=COMMAND_LINE)
    except StudyRefused as error:
        fail(str(error))
    if is_stopped is not None:
        waits |= (stop_study if is_stopped else reopen_study)(session, study, now, actor=COMMAND_LINE)
    if is_hidden is not None:
        waits |= (hide_study if is_hidden else unhide_study)(session, study, now, actor=COMMAND_LINE)
    if has_easy_enrollment is not None:
        set_easy_enrollment(session, study, has_easy_enrollment, actor=COMMAND_LINE)
    session.commit()
    if waits and not start_run(REBUILD_SCHEDULES, only_asked=True):
        click.echo("Scheduled events follow within minutes of a Prefect worker, or by `rebuild-schedules`.", err=True)
    show({"object_id": study.object_id, "name": study.name}, is_json=is_json)


@study_commands.command("grant")
@click.argument("object_id")
@click.option("--username", required=True)
@click.option("--role", required=True, type=click.Choice([*(role.value for role in STORED_ROLES), NO_ROLE]))
@as_json
def grant(object_id: str, username: str, role: str, is_json: bool) -> None:
    """Give a researcher a role in a study, or take it."""
    study, researcher = the_study(object_id), researcher_by_username(db.session(), username)
    if researcher is None:
        fail(f"there is no account named {username}")
    set_role(db.session(), study, researcher, None if role == NO_ROLE else Role(role), actor=COMMAND_LINE)
    db.session.commit()
    show({"object_id": object_id, "username": username, "role": role}, is_json=is_json)


def the_study(object_id: str) -> Study:
    """The study of that id; ends the command when there is none."""
    study = study_by_object_id(db.session(), object_id)
    if study is None:
        fail(f"{object_id}: there is no study with that id")
    return study


def _settings_in(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        parsed = json.loads(path.read_text())
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        fail(f"{path}: a JSON object of app settings is expected")
    # A settings file of a study holds them under this name (SURVEY-50).
    settings: dict[str, Any] = parsed.get("device_settings", parsed)
    return settings
