"""`rebuild-schedules`: updates scheduled events, with or without a Prefect server (NOTIF-7)."""

from dataclasses import asdict
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from core.database import db
from core.surveys.rebuilding import rebuild_study, sole_rebuilder, studies_to_rebuild
from webapp.commands.output import OneLineCommand, as_json, fail, show
from webapp.commands.studies import the_study


@click.command("rebuild-schedules", cls=OneLineCommand)
@click.option("--study", "object_id", help="Only this study.")
@as_json
@with_appcontext
def rebuild_schedules_command(object_id: str | None, is_json: bool) -> None:
    """Update all scheduled events to the current surveys, intervention dates, time zones and states."""
    numbers = [the_study(object_id).id] if object_id else studies_to_rebuild(db.session(), only_asked=False)
    db.session.commit()
    with sole_rebuilder(db.engine) as is_sole:
        if not is_sole:
            fail("another process is rebuilding; try again in a minute")
        done = [rebuild_study(db.engine, number, datetime.now(UTC)) for number in numbers]
    show([asdict(one) for one in done], is_json=is_json)
