"""`forest tree` runs one tree on a folder, without database or server; `forest run` on a participant's stored data."""

import json
import shutil
import tempfile
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import available_timezones

import click
from flask.cli import with_appcontext

from webapp.commands.output import CommandGroup, as_json, fail, show

forest_commands = CommandGroup("forest", help="Run Forest's analyses.")

_FOLDER = click.Path(file_okay=False, path_type=Path)
DAY = click.DateTime(["%Y-%m-%d"])
DEFAULT_MEMORY_MIB = 8192
TREES = ("jasmine", "oak", "sycamore", "willow")


@forest_commands.command("tree")
@click.argument("name", type=click.Choice(TREES))
@click.argument("input_dir", type=_FOLDER)
@click.option("--zone", required=True, help="The study's time zone, such as America/New_York.")
@click.option("--start", required=True, type=DAY, help="The first day, in that zone.")
@click.option("--end", required=True, type=DAY, help="The last day.")
@click.option(
    "--settings", "settings_file", type=click.Path(dir_okay=False, path_type=Path), help="Study settings export."
)
@click.option("--patient", "patient_id", help="Needed if the folder holds more than one participant.")
@click.option("--out", "out_dir", required=True, type=_FOLDER, metavar="DIR", help="Gets daily.json.")
@click.option("--memory-mib", type=click.IntRange(256), default=DEFAULT_MEMORY_MIB, show_default=True)
@click.option("--timeout", type=click.IntRange(1), default=3600, show_default=True, help="Seconds.")
@click.option("--corrected", "is_corrected", is_flag=True, help="As tasks: right on days with a change of clocks.")
def tree_command(
    name: str,
    input_dir: Path,
    zone: str,
    start: datetime,
    end: datetime,
    settings_file: Path | None,
    patient_id: str | None,
    out_dir: Path,
    memory_mib: int,
    timeout: int,
    is_corrected: bool,
) -> None:
    """Run one tree on chunks below INPUT_DIR, laid out as <patient id>/<stream>/<hour>.csv.

    Writes daily.json: a row for each day, with the field names of our daily summaries. Chunks that cannot be read are
    named on standard error and left out.
    """
    from core.forest.job import Job, TreeFailed
    from core.forest.running import run_tree
    from core.forest.trees import Tree

    if zone not in available_timezones():
        fail(f"{zone}: not a time zone")
    _check_range(start.date(), end.date())
    for given in (input_dir, settings_file):
        if given is not None and not given.exists():
            fail(f"{given}: there is no such file or folder")
    patient = patient_id or _only_participant(input_dir)
    folder = Path(tempfile.mkdtemp(prefix="forest-"))
    try:
        job = Job(
            tree=Tree(name),
            patient_id=patient,
            zone=zone,
            start=start.date(),
            end=end.date(),
            input_dir=input_dir.resolve(),
            folder=folder,
            memory_bytes=memory_mib << 20,
            settings_file=settings_file.resolve() if settings_file else None,
            is_corrected=is_corrected,
        )
        answer = run_tree(job, timeout)
    except TreeFailed as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for chunk in answer.left_out:
        click.echo(f"left out {chunk.name}: {chunk.reason}", err=True)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "daily.json").write_text(json.dumps(answer.rows, indent=1))


@forest_commands.command("run")
@click.option("--study", "object_id", required=True, metavar="ID")
@click.option("--tree", "name", required=True, type=click.Choice(TREES))
@click.option("--participant", "patient_id", required=True, metavar="ID")
@click.option("--start", required=True, type=DAY, help="The first day, in the study's zone.")
@click.option("--end", required=True, type=DAY, help="The last day.")
@as_json
@with_appcontext
def run_command(object_id: str, name: str, patient_id: str, start: datetime, end: datetime, is_json: bool) -> None:
    """Run one tree on a participant's stored data in this process, as a task of the study's Forest log."""
    from core.audit import COMMAND_LINE
    from core.database import db
    from core.forest.run import run_task
    from core.forest.tasks import ForestRefused, claim_next, create_tasks
    from webapp.commands.studies import the_study
    from webapp.stores import object_store, settings

    session, study = db.session(), the_study(object_id)
    if not study.has_forest:
        fail(f"Forest is not switched on in this study; `study update {object_id} --forest` does")
    _check_range(start.date(), end.date())
    try:
        (task,) = create_tasks(session, study, [patient_id], [name], start.date(), end.date(), actor=COMMAND_LINE)
    except ForestRefused as refused:
        fail(str(refused))
    session.commit()
    claimed = claim_next(db.engine, datetime.now(UTC), only=task.id)
    if claimed is None:
        show({"task": str(task.external_id), "state": "queued"}, is_json=is_json)
        fail("another task of this participant and tree runs; this one waits for it")
    outcome = run_task(db.engine, object_store(), settings(), claimed)
    show(asdict(outcome), is_json=is_json)
    if outcome.state != "success":
        fail(outcome.reason or outcome.state)


def _check_range(start: date, end: date) -> None:
    if start > end:
        fail("--end is before --start")


def _only_participant(input_dir: Path) -> str:
    names = sorted(path.name for path in input_dir.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) != 1:
        fail(f"{input_dir}: holds {len(names)} participants; name one with --patient")
    return names[0]
