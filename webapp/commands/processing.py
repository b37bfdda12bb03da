"""`process-uploads`: runs processing once, in this process, with or without a Prefect server (OPS-23)."""

import click
from flask.cli import with_appcontext

from core.audit import COMMAND_LINE
from core.database import db
from core.models import Study
from core.models.participant import participant_with_study
from core.models.study import study_by_object_id
from core.storage.errors import StoreError
from core.studies.processing import retry_failed_of
from webapp.commands.output import OneLineCommand, as_json, fail, show
from webapp.stores import object_store, settings


@click.command("process-uploads", cls=OneLineCommand)
@click.option("--study", "object_id", help="Only this study's uploads.")
@click.option("--participant", "patient_id", help="Only this participant's uploads.")
@click.option("--retry-failed", is_flag=True, help="First put files that were set aside back into the queue.")
@as_json
@with_appcontext
def process_uploads_command(object_id: str | None, patient_id: str | None, retry_failed: bool, is_json: bool) -> None:
    """Turn all waiting uploads into chunks."""
    from core.processing.report import StoreLooksWrong  # numpy takes its time to load
    from core.processing.run import Scope, process_everything

    study: Study | None = study_by_object_id(db.session(), object_id) if object_id else None
    if object_id and study is None:
        fail(f"{object_id}: there is no study with that id")
    participant = participant_with_study(db.session(), patient_id) if patient_id else None
    if patient_id and participant is None:
        fail(f"{patient_id}: there is no participant with that id")
    scope = Scope(study.id if study else None, participant.id if participant else None)
    if retry_failed:
        retry_failed_of(db.session(), study, participant, actor=COMMAND_LINE)
    db.session.commit()
    try:
        report = process_everything(db.engine, object_store(), settings(), scope)
    except (StoreError, StoreLooksWrong) as error:
        fail(str(error))
    show(report.counts(), is_json=is_json)
