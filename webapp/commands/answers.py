"""`answers read`: stored files of answers to submissions, with or without a Prefect server."""

from dataclasses import asdict
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from core.answers.backlog import participants_to_read, read_participant, record_all_wordings, sole_reader
from core.answers.keeping import keep_outcomes
from core.database import db
from core.storage import StoreUnavailable
from webapp.commands.output import CommandGroup, as_json, fail, show
from webapp.commands.studies import the_study
from webapp.stores import object_store, settings

answers_commands = CommandGroup("answers", help="Read, score and export answers of surveys.")


@answers_commands.command("read")
@click.option("--study", "object_id", help="Only this study.")
@as_json
@with_appcontext
def read_command(object_id: str | None, is_json: bool) -> None:
    """Read stored files of answers that were not read yet, such as those of an import, and count events.

    It can be stopped and run again; nobody is alerted of what it reads.
    """
    session = db.session()
    study_id = the_study(object_id).id if object_id else None
    with sole_reader(db.engine) as is_sole:
        if not is_sole:
            fail("another process is reading; it will read these, too")
        record_all_wordings(session, study_id)
        numbers = participants_to_read(session, study_id)
        session.commit()
        try:
            found = [read_participant(db.engine, object_store(), settings(), number) for number in numbers]
        except StoreUnavailable as error:
            fail(str(error))
    keep_outcomes(session, datetime.now(UTC))
    show([asdict(one) for one in found if one is not None], is_json=is_json)
