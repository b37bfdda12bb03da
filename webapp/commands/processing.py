"""`process-uploads`: the processing once, in this process, with or without a Prefect server (OPS-23)."""

import click
from flask.cli import with_appcontext

from core.database import db
from core.models import Study
from core.models.participant import participant_with_study
from core.models.study import study_by_object_id
from webapp.commands.output import as_json, fail, show
from webapp.stores import object_store, settings


@click.command("process-uploads")
@click.option("--study", "object_id", help="Only this study's uploads.")
@click.option("--participant", "patient_id", help="Only this participant's uploads.")
@as_json
@with_appcontext
def process_uploads_command(object_id: str | None, patient_id: str | None, is_json: bool) -> None:
    """Turn waiting uploads into chunks, until nothing waits."""
    from core.processing.run import Scope, process_everything  # numpy and polars take their time to load

    scope = Scope()
    if object_id:
        study: Study | None = study_by_object_id(db.session(), object_id)
        if study is None:
            fail(f"{object_id}: there is no study with that id")
        scope = Scope(study_id=study.id)
    if patient_id:
        participant = participant_with_study(db.session(), patient_id)
        if participant is None:
            fail(f"{patient_id}: there is no participant with that id")
        scope = Scope(study_id=scope.study_id, participant_id=participant.id)
    db.session.commit()
    report = process_everything(db.engine, object_store(), settings(), scope)
    show(report.counts(), is_json=is_json)
