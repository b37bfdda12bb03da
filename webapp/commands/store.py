"""`audit-store`, `compress-store` and `upload find`: compare store and database, reseal objects, find an upload."""

from collections import Counter
from typing import Any

import click
from flask.cli import with_appcontext

from core.audit import COMMAND_LINE, record
from core.database import db
from core.models.audit_record import Action
from core.phones.orphans import QUEUED, requeued
from core.phones.whereabouts import whereabouts
from core.storage import StoreUnavailable
from core.storage.audit import Mismatch, sweep
from webapp.commands.output import CommandGroup, OneLineCommand, as_json, fail, show
from webapp.commands.studies import the_study
from webapp.stores import object_store, settings

MOST_LISTED = 10_000
TELL_EVERY = 100_000
upload_commands = CommandGroup("upload", help="Uploads.")


@upload_commands.command("find")
@click.argument("name")
@as_json
def find(name: str, is_json: bool) -> None:
    """Show what happened to an upload. NAME is the file name that the phone gave it, or its path in the store."""
    steps = whereabouts(db.session(), name)
    if not steps:
        fail(f"{name}: nothing is known of an upload with that name")
    shown = [{"at": s.at and s.at.isoformat(timespec="seconds"), "what": s.what, "where": s.where} for s in steps]
    show(shown, is_json=is_json)


@click.command("audit-store", cls=OneLineCommand)
@click.option("--study", "object_id", help="Only this study's raw uploads, keys and outputs.")
@click.option("--after", default="", help="Continue after this key, where an earlier audit ended.")
@click.option("--requeue", is_flag=True, help="Accept and queue raw uploads that have no row.")
@as_json
@with_appcontext
def audit_store_command(object_id: str | None, after: str, requeue: bool, is_json: bool) -> None:
    """Compare the object store with the database and list the differences. Deletes nothing."""
    study = the_study(object_id) if object_id else None
    prefix = f"{study.object_id}/" if study else ""
    if requeue:
        record(db.session(), COMMAND_LINE, Action.STORE_REQUEUE, study=study)
        db.session.commit()
    counts: Counter[str] = Counter(objects_and_rows=0, **{m.name.lower(): 0 for m in Mismatch})
    found: list[dict[str, Any]] = []
    try:
        for seen in sweep(db.session(), object_store(), prefix, after):
            counts["objects_and_rows"] += 1
            if counts["objects_and_rows"] % TELL_EVERY == 0:
                click.echo(f"{counts['objects_and_rows']:,} looked at, now at {seen.path}", err=True)
            if seen.mismatch is None:
                continue
            counts[seen.mismatch.name.lower()] += 1
            line = {"path": seen.path, "mismatch": seen.mismatch.value}
            if requeue and seen.mismatch is Mismatch.OBJECT_WITHOUT_ROW:
                line["done"] = requeued(db.session(), object_store(), settings(), seen.path)
                counts["requeued"] += line["done"] == QUEUED
            if len(found) < MOST_LISTED:
                found.append(line)
    except StoreUnavailable as error:
        fail(str(error))
    if is_json:
        show({"counts": dict(counts), "found": found}, is_json=True)
    else:
        show(found, is_json=False)
        show(dict(counts), is_json=False)


@click.command("compress-store", cls=OneLineCommand)
@click.option("--study", "object_id", help="Only this study's objects.")
@click.option("--after", default="", help="Continue after this key, where an earlier run ended.")
@click.option("--dry-run", is_flag=True, help="Report what would be done, and change nothing.")
@as_json
@with_appcontext
def compress_store_command(object_id: str | None, after: str, dry_run: bool, is_json: bool) -> None:
    """Compress objects of the existing platform and encrypt them in our format. Lists those that could not be changed.

    An object that could not be changed stays as it was.
    """
    from core.storage.resealing import TROUBLES, Outcome, ResealingRefused, prefixes_of, reseal  # numpy takes its time

    study = the_study(object_id) if object_id else None
    prefixes = prefixes_of(study.object_id) if study else [""]
    if not dry_run:
        record(db.session(), COMMAND_LINE, Action.STORE_COMPRESS, study=study)
    db.session.commit()
    counts: Counter[str] = Counter(objects=0, **{outcome.name.lower(): 0 for outcome in Outcome})
    found: list[dict[str, Any]] = []
    try:
        for prefix in prefixes:
            for done in reseal(db.engine, object_store(), settings(), prefix, after, is_dry_run=dry_run):
                counts["objects"] += 1
                counts[done.outcome.name.lower()] += 1
                if counts["objects"] % TELL_EVERY == 0:
                    click.echo(f"{counts['objects']:,} looked at, now at {done.key}", err=True)
                if done.outcome in TROUBLES and len(found) < MOST_LISTED:
                    found.append({"path": done.key, "what": done.outcome.value, "reason": done.reason})
    except (StoreUnavailable, ResealingRefused) as error:
        fail(str(error))
    if is_json:
        show({"counts": dict(counts), "found": found}, is_json=True)
    else:
        show(found, is_json=False)
        show(dict(counts), is_json=False)
