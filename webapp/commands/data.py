"""`reprocess-study` makes chunks anew from raw files; `audit-data` lists implausible data (OPS-20)."""

from collections import defaultdict
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from core.audit import COMMAND_LINE, record
from core.database import db
from core.models.audit_record import Action
from core.storage import StoreUnavailable
from webapp.commands.output import OneLineCommand, as_json, fail, show
from webapp.commands.studies import the_study
from webapp.stores import object_store, settings

MOST_LISTED = 10_000


class IsoTime(click.ParamType[datetime]):
    """An ISO 8601 time, converted to an aware datetime; UTC if it names no zone."""

    name = "ISO time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is not a time like 2024-05-01T10:00", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@click.command("reprocess-study", cls=OneLineCommand)
@click.argument("object_id")
@click.option("--participant", "patient_id", help="Only this participant.")
@click.option("--stream", help="Only this stream.")
@click.option("--start", type=IsoTime(), help="Only hours from this one on; UTC if no zone is given.")
@click.option("--end", type=IsoTime(), help="Only hours before this one.")
@click.option("--dry-run", is_flag=True, help="Report what would change, and change nothing.")
@click.option("--drop-rows-without-source", "drops_rows", is_flag=True, help="Remove rows that no raw file contains.")
@as_json
@with_appcontext
def reprocess_study_command(
    object_id: str,
    patient_id: str | None,
    stream: str | None,
    start: datetime | None,
    end: datetime | None,
    dry_run: bool,
    drops_rows: bool,
    is_json: bool,
) -> None:
    """Make the chunks of study OBJECT_ID anew from raw files. Resumes where an earlier run stopped."""
    from core.reprocessing.jobs import (
        JobRefused,
        Order,
        end_job,
        findings,
        open_job,
        participants_left,
        totals,
    )
    from core.reprocessing.participant import reprocess_participant  # numpy takes its time to load

    session = db.session()
    try:
        job = open_job(
            session, Order(object_id, patient_id, stream, start, end, dry_run, drops_rows), actor=COMMAND_LINE
        )
        left = participants_left(session, job)
        for number, (participant_id, name) in enumerate(left.items(), start=1):
            is_free = reprocess_participant(db.engine, object_store(), settings(), job, participant_id)
            click.echo(f"{number} of {len(left)}: {name} {'done' if is_free else 'is being worked on'}", err=True)
    except (JobRefused, StoreUnavailable) as error:
        fail(str(error))
    is_finished = end_job(session, job)
    streams, found = totals(session, job), findings(session, job, MOST_LISTED)
    if is_json:
        show({"job": job.id, "is_finished": is_finished, "streams": streams, "findings": found}, is_json=True)
        return
    show(found, is_json=False)
    show(streams, is_json=False)
    show({"job": job.id, "is_finished": is_finished}, is_json=False)


@click.command("audit-data", cls=OneLineCommand)
@click.option("--study", "object_id", help="Only this study.")
@click.option("--after", default="", help="Continue after this patient id.")
@click.option("--fix", is_flag=True, help="Remove rows with impossible times; objects are never removed.")
@as_json
@with_appcontext
def audit_data_command(object_id: str | None, after: str, fix: bool, is_json: bool) -> None:
    """List implausible data: impossible times, empty uploads, files set aside, rows without objects."""
    from core.operations.data_audit import Oddities, audit_participants, audit_queue  # numpy takes its time to load

    study = the_study(object_id) if object_id else None
    study_id = study.id if study else None
    if fix:
        record(db.session(), COMMAND_LINE, Action.DATA_FIX, study=study)
    db.session.commit()
    by_study: defaultdict[str, Oddities] = defaultdict(Oddities)
    for one in audit_participants(db.engine, datetime.now(UTC), study_id, after, fixes=fix):
        by_study[one.study_id].add(one.oddities)
    queue = audit_queue(db.session(), study_id)
    for of_study in queue:
        oldest = of_study["oldest_waiting"]
        of_study["oldest_waiting"] = oldest and oldest.isoformat(timespec="seconds")
    counts = [{"study": study, **by_study[study].counts()} for study in sorted(by_study)]
    found = [finding for study in sorted(by_study) for finding in by_study[study].findings()]
    if is_json:
        show({"counts": counts, "queue": queue, "found": found}, is_json=True)
        return
    for lines in (found, counts, queue):
        show(lines, is_json=False)
