"""Runs one claimed task: data from the store, the tree in its process, measures, output and report (FOREST-23)."""

import io
import logging
import os
import shutil
import tempfile
import time
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from core.config import Settings
from core.crypto.seal import SealBroken
from core.embedded.locks import take_lock
from core.forest.job import Answer, Job, NoData, TreeFailed
from core.forest.results import save_rows
from core.forest.running import Cancelled, run_tree
from core.forest.sources import has_data_after, lay_out, query_of, write_exports
from core.forest.states import folder_of, forest_store, save_state, state_before
from core.forest.tasks import extend_claim, retry_or_fail
from core.forest.trees import Tree, library_version
from core.models import ForestTask, Participant, StoredObject, Study, TaskState
from core.storage import ObjectExists, ObjectStore, StoreUnavailable

log = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
EXTEND_EVERY_S = 20.0
FRESH_FOLDER_S = 60
MOST_OUTPUT_BYTES = 256 << 20
REPORT = "task_report.txt"


@dataclass(frozen=True)
class Outcome:
    """How a task ended, for the run's artifact."""

    task: str
    tree: str
    state: str
    days: int | None
    peak_memory_bytes: int | None
    reason: str | None


def run_task(engine: sa.Engine, store: ObjectStore, settings: Settings, task_id: int) -> Outcome:
    """Runs a task that `claim_next` returned, and commits how it ended. Leaves no file behind.

    Failures of the machine (store, disk, killed) queue the task again, three tries in all; others end it with a reason.
    """
    watch = _Watch(engine, task_id)
    with Session(engine, expire_on_commit=False) as session:
        task = session.get_one(ForestTask, task_id)
        try:
            with _folder(settings.var_dir / "forest") as folder:
                _run(session, store, settings, task, folder, watch)
        except Cancelled:
            session.rollback()
        except TreeFailed as error:
            _end(session, task, error)
        except (StoreUnavailable, OSError) as error:
            reason = str(error) if isinstance(error, StoreUnavailable) else f"The disk failed: {error.strerror}."
            _end(session, task, TreeFailed(reason, traceback.format_exc(), is_of_the_machine=True))
        except (OperationalError, InterfaceError, PoolTimeout):
            session.rollback()
            raise  # the claim ends by itself, and the task is taken up again
        except SealBroken as error:
            _end(session, task, TreeFailed(f"A stored file is damaged: {error}", traceback.format_exc()))
        except Exception as error:
            log.exception("forest task %s", task_id)
            _end(session, task, TreeFailed(f"It failed: {type(error).__name__}.", traceback.format_exc()))
        session.expire_all()
        task = session.get_one(ForestTask, task_id)
        return Outcome(
            str(task.external_id), task.tree, task.state, task.days_written, task.peak_memory_bytes, task.reason
        )


def _run(
    session: Session, store: ObjectStore, settings: Settings, task: ForestTask, folder: Path, watch: "_Watch"
) -> None:
    study, participant = session.get_one(Study, task.study_id), session.get_one(Participant, task.participant_id)
    sealed, tree = forest_store(store, study, settings), Tree(task.tree)
    task.zone, task.library_version = study.zone.key, library_version()
    session.commit()
    query = query_of(tree, task.start_on, task.end_on, study.zone)
    input_dir = folder / "input"
    input_dir.mkdir()
    laid_out = lay_out(session, sealed, study, participant, query, input_dir, watch.tell_files)
    if laid_out.files == 0:
        raise NoData
    exports = write_exports(session, study, participant, folder) if tree is Tree.SYCAMORE else (None, None)
    state = state_before(session, sealed, participant.id, task.start_on, folder) if tree is Tree.JASMINE else None
    # A night's last day is over; if its newest hour grows later, the next night computes the day again.
    has_later_data = task.is_nightly or has_data_after(session, participant, task.end_on, study.zone)
    session.rollback()
    if not watch.extend("running"):
        raise Cancelled
    session.refresh(task)
    task.data_ready_at = datetime.now(UTC)
    task.input_files, task.input_bytes = laid_out.files, laid_out.size_bytes
    session.commit()
    job = Job(
        tree=tree,
        patient_id=participant.patient_id,
        zone=study.zone.key,
        start=task.start_on,
        end=task.end_on,
        input_dir=input_dir,
        folder=folder,
        memory_bytes=settings.forest_memory_mib << 20,
        settings_file=exports[0],
        interventions_file=exports[1],
        state_file=state,
        is_corrected=True,
        has_later_data=has_later_data,
    )
    try:
        answer = run_tree(job, settings.forest_timeout_minutes * 60, is_cancelled=watch.is_cancelled)
    except NoData:
        raise
    except TreeFailed as error:
        if error.is_of_the_machine:
            raise
        _claim_the_end(session, task)
        _store_output(session, store, settings, task, job, None, error, [])
        raise
    left_out = [*laid_out.missing, *answer.left_out]
    notes = [*answer.notes, *(f"{one.name}: {one.reason}" for one in left_out)]
    _claim_the_end(session, task)
    gone = _store_output(session, store, settings, task, job, answer, None, notes)
    days = [date.fromisoformat(day) for day in task.days] if task.days else job.days
    task.days_written = save_rows(session, task, answer.rows, days)
    task.peak_memory_bytes = answer.peak_memory_bytes
    task.state, task.ended_at, task.claimed_until, task.progress = TaskState.SUCCESS.value, _now(), None, None
    task.reason = f"{len(left_out)} files were left out; the report names them." if left_out else None
    session.commit()
    for path in gone:
        store.delete(path + ".zst")


def _claim_the_end(session: Session, task: ForestTask) -> None:
    """Locks participant and task; raises Cancelled where the task was cancelled or a purge was asked for meanwhile."""
    participant = session.get_one(Participant, task.participant_id)
    session.refresh(participant, with_for_update={"read": True, "key_share": True})
    session.refresh(task, with_for_update=True)
    if task.state != TaskState.RUNNING or participant.purge_asked_at is not None:
        raise Cancelled


def _end(session: Session, task: ForestTask, error: TreeFailed) -> None:
    """Commits a failure, unless the task was cancelled or taken over meanwhile."""
    session.rollback()
    session.refresh(task, with_for_update=True)
    if task.state != TaskState.RUNNING:
        session.rollback()
        return
    if error.is_of_the_machine:
        retry_or_fail(task, str(error), _now())
    else:
        task.state, task.ended_at, task.claimed_until, task.progress = TaskState.ERROR.value, _now(), None, None
        task.reason = str(error)
    task.trace = error.trace
    if error.peak_memory_bytes is not None:  # also of a tree that ran out of memory: fewer run at once from then on
        task.peak_memory_bytes = error.peak_memory_bytes
    session.commit()


def _store_output(
    session: Session,
    store: ObjectStore,
    settings: Settings,
    task: ForestTask,
    job: Job,
    answer: Answer | None,
    error: TreeFailed | None,
    notes: list[str],
) -> list[str]:
    """Stores the zip and jasmine's state; returns paths to delete after the commit. After an error it commits."""
    session.refresh(task)
    study, participant = session.get_one(Study, task.study_id), session.get_one(Participant, task.participant_id)
    sealed, place = forest_store(store, study, settings), folder_of(study, participant)
    task.report = report_of(task, participant.patient_id, answer, error, notes)
    contents = zipped(job.output_dir, task.report)
    path = f"{place}/{task.tree}_{task.external_id}_{_now():%Y-%m-%dT%H-%M-%S}_{task.tries}_output.zip"
    try:
        written = sealed.create(path, contents)
    except ObjectExists:
        raise StoreUnavailable(f"{path} is there already") from None
    session.execute(sa.insert(StoredObject).values(written.row(study_id=study.id, participant_id=task.participant_id)))
    task.output_path, task.output_bytes = path, len(contents)
    gone = []
    if error is None and job.saved_state.exists():
        state_path = f"{place}/jasmine_state_{task.end_on}_{task.external_id}_{task.tries}.npz"
        today = datetime.now(study.zone).date()
        gone = save_state(session, sealed, task, state_path, job.saved_state, today)
    if error is not None:
        session.commit()
    return gone


def report_of(
    task: ForestTask, patient_id: str, answer: Answer | None, error: TreeFailed | None, notes: list[str]
) -> str:
    """The report in the output: what ran, on what, with which sizes, times and errors (FOREST-23)."""
    lines = [
        f"participant      {patient_id}",
        f"tree             {task.tree}",
        f"library          beiwe-forest {task.library_version or 'not installed'}",
        f"days             {task.start_on} to {task.end_on}, time zone {task.zone}",
        f"task             {task.external_id}, try {task.tries}",
        f"started          {_told(task.started_at)}",
        f"data fetched     {_told(task.data_ready_at)}",
        f"tree ended       {_told(_now())}",
        f"input            {task.input_files or 0:,} files, {task.input_bytes or 0:,} bytes",
        "parameters       daily frequency; see the documentation of Forest for the library's defaults",
    ]
    if answer is not None:
        lines.append(f"result           {len(answer.rows)} days, highest memory {answer.peak_memory_bytes >> 20:,} MiB")
    if error is not None:
        lines += [f"error            {error}", "", error.trace or ""]
    if notes:
        lines += ["", "Notes", *notes]
    return "\n".join(lines) + "\n"


def zipped(folder: Path, report: str) -> bytes:
    """The output folder and the report as a zip. Raises TreeFailed for an output of more than 256 MiB."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []
    if sum(path.stat().st_size for path in files) > MOST_OUTPUT_BYTES:
        raise TreeFailed("The tree wrote more than 256 MiB.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(REPORT, report)
        for path in files:
            archive.write(path, str(path.relative_to(folder)))
    return buffer.getvalue()


class _Watch:
    """Asks at intervals whether a task was cancelled, and extends its claim."""

    def __init__(self, engine: sa.Engine, task_id: int) -> None:
        self.engine, self.task_id = engine, task_id
        self.looked_at = self.extended_at = time.monotonic()

    def extend(self, progress: str | None = None) -> bool:
        self.extended_at = self.looked_at = time.monotonic()
        return extend_claim(self.engine, self.task_id, _now(), progress)

    def tell_files(self, files: int) -> None:
        """Tells how many files were fetched. Raises Cancelled."""
        if time.monotonic() - self.looked_at > LOOK_EVERY_S and not self.extend(f"fetching data: {files:,} files"):
            raise Cancelled

    def is_cancelled(self) -> bool:
        now = time.monotonic()
        if now - self.looked_at < LOOK_EVERY_S:
            return False
        if now - self.extended_at > EXTEND_EVERY_S:
            return not self.extend()
        self.looked_at = now
        query = sa.select(ForestTask.state).where(ForestTask.id == self.task_id)
        with self.engine.connect() as connection:
            return connection.scalar(query) != TaskState.RUNNING.value


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """A folder of this run's own, removed at the end; also removes folders of runs that were killed."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_orphans(parent)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    lock = None
    try:
        lock = take_lock(folder / ".lock", wait=False)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_orphans(parent: Path) -> int:
    """Removes folders whose run has ended, however it did; returns how many. The kernel's locks tell."""
    removed = 0
    for folder in parent.glob("run-*"):
        try:
            if time.time() - folder.stat().st_mtime < FRESH_FOLDER_S and not (folder / ".lock").exists():
                continue  # just being made
            lock = take_lock(folder / ".lock", wait=False)
        except OSError:
            continue
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            removed += 1
    return removed


def _now() -> datetime:
    return datetime.now(UTC)


def _told(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "–"
