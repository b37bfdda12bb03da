"""`answers read`, `answers export`: stored files of answers to submissions, and answers to files."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from core.answers.backlog import participants_to_read, read_participant, record_all_wordings, sole_reader
from core.answers.keeping import keep_outcomes
from core.database import db
from core.models import Survey
from core.storage import StoreUnavailable
from webapp.commands.output import CommandGroup, as_json, fail, show
from webapp.commands.studies import the_study
from webapp.stores import object_store, settings

# Of core.answers.exporting, which is imported when it is used: its libraries are large.
FORMS = ("csv", "xlsx", "parquet", "sav", "dta")
LAYOUTS = ("wide", "long")

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


@answers_commands.command("export")
@click.argument("object_id")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--form", type=click.Choice(FORMS), help="By default what FILE ends with.")
@click.option("--layout", type=click.Choice(LAYOUTS), default=LAYOUTS[0], help="A row a submission or an answer.")
@click.option("--texts", is_flag=True, help="With typed answers, which are sealed in the database.")
@click.option("--test", "with_test", is_flag=True, help="With participants of the study team.")
@as_json
@with_appcontext
def export(
    object_id: str, file: Path, form: str | None, layout: str, texts: bool, with_test: bool, is_json: bool
) -> None:
    """Write the answers of survey OBJECT_ID to FILE, and a codebook beside it.

    Wide: a row for each submission; long: a row for each answer.
    """
    from core.answers.exporting import ExportRefused, Form, Layout, export_answers
    from core.answers.exporting.rows import Wanted

    session = db.session()
    survey = session.scalar(sa.select(Survey).where(Survey.object_id == object_id))
    if survey is None:
        fail(f"{object_id}: there is no survey with that id")
    ending = form or file.suffix.removeprefix(".").lower()
    if ending not in FORMS:
        fail(f"{file}: give --form, or a name that ends with one of {', '.join(FORMS)}")
    if not file.parent.is_dir():
        fail(f"{file.parent}: there is no such folder")
    wanted = Wanted(survey.id, with_texts=texts, with_test=with_test)
    try:
        done = export_answers(session, survey, wanted, Form(ending), Layout(layout), file)
    except (ExportRefused, OSError) as error:
        fail(str(error))
    row = {"file": str(done.path), "codebook": str(done.codebook), "rows": done.rows, "columns": done.columns}
    show(row, is_json=is_json)
