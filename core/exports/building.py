"""Builds exports, one at a time (CLAR-74).

The builder holds a lock of the database, which ends with the process: a row that says `running` while nobody holds
the lock is of a process that died. The file goes to the store in parts while it is built, and counts only when the row
says `done`; what others left is deleted before the next one begins.
"""

import errno
import logging
import os
import re
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import SiteLimit
from core.config import Settings
from core.exports.choice import ExportChoice
from core.exports.contents import contents_of, count_files
from core.exports.files import PartWriter, export_prefix
from core.exports.refusals import ExportImpossible
from core.exports.selecting import participants_of
from core.exports.standing import DIED, HIDDEN, PURGED_MEANWHILE, clear_up
from core.limits import limit_session
from core.models import Export, ExportParticipant, ExportState, Participant, Study
from core.private_files import make_private_folder
from core.storage import ObjectStore, SealedStore, StoreUnavailable

log = logging.getLogger(__name__)
NO_ROOM = "The server's disk is full. Tell the operator, and run it again later."
NO_STORE = "The object store did not answer, or is full. Run it again later."
WENT_WRONG = "It failed. The server's log says why; run it again, or tell the operator the number {number}."
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OS_ERROR = re.compile(r"\(os error ([0-9]+)\)")  # in polars' messages
SECONDS_BETWEEN_MOVES = 1.0


class _Cancelled(Exception):
    """The row says so: somebody cancelled or deleted the export."""


@dataclass(frozen=True)
class BuiltExport:
    """What came of one export: its number, study, kind, state, and the size of its file in bytes, if there is one."""

    number: int
    study: str
    kind: str
    form: str
    state: ExportState
    size_bytes: int | None
    seconds: float


def build_next(engine: sa.Engine, store: ObjectStore, settings: Settings) -> BuiltExport | None:
    """Builds the export that was queued first; None if none is. Call it under `sole_builder`.

    An export that fails says why in its row, and the others go on. Raises the database's errors, and StoreUnavailable
    where leftovers cannot be deleted.
    """
    began = time.monotonic()
    with Session(engine, expire_on_commit=False) as session:
        _fail_what_died(session)
    clear_up(engine, store)
    shutil.rmtree(_folder(settings), ignore_errors=True)
    with Session(engine, expire_on_commit=False) as session:
        export = _claim(session)
        if export is None:
            return None
        study = session.get_one(Study, export.study_id)
        session.commit()
        log.info("export %s of study %s: begun", export.id, study.object_id)
        reason: str | None = None
        try:
            if study.hidden_at is not None:
                raise ExportImpossible(HIDDEN)  # PERM-92
            _build(engine, store, settings, study, export)
        except _Cancelled:
            pass
        except Exception as error:  # any error: the row says so, and others are built
            reason = _reason(error, export)
            log.warning("export %s of study %s failed", export.id, study.object_id, exc_info=error)
        finally:
            shutil.rmtree(_folder(settings), ignore_errors=True)
        if reason is not None:
            mine = sa.update(Export).where(Export.id == export.id, Export.state == ExportState.RUNNING.value)
            session.execute(mine.values(state=ExportState.FAILED.value, reason=reason, ended_at=datetime.now(UTC)))
            session.commit()
        session.refresh(export)
        built = BuiltExport(
            number=export.id,
            study=study.object_id,
            kind=export.kind,
            form=export.form,
            state=ExportState(export.state),
            size_bytes=export.size_bytes,
            seconds=round(time.monotonic() - began, 1),
        )
        session.commit()
    return built


def _build(engine: sa.Engine, store: ObjectStore, settings: Settings, study: Study, export: Export) -> None:
    """Writes the file and marks the export as done. Raises whatever stops it; the row is then still `running`."""
    choice = ExportChoice.model_validate(export.choice)
    sealed = SealedStore(store, study, settings)
    folder = _folder(settings)
    make_private_folder(folder)
    with Session(engine, expire_on_commit=False) as session:
        limit_session(session, _limits(export))
        participants = participants_of(session, study.id, choice)
        session.commit()
    with Session(engine) as session:  # written before anything is read: a purge then finds the export
        rows = [{"export_id": export.id, "participant_id": number} for number, _ in participants]
        if rows:
            session.execute(sa.insert(ExportParticipant), rows)
        total = count_files(session, export, choice, participants)
        session.execute(sa.update(Export).where(Export.id == export.id).values(files_total=total, has_objects=True))
        session.commit()
    progress = _Progress(engine, export.id)
    writer = PartWriter(engine, sealed, study.id, export_prefix(study.object_id, export))
    with Session(engine, expire_on_commit=False) as session:
        limit_session(session, _limits(export))
        pieces = contents_of(session, sealed, study, export, choice, participants, folder, progress.file)
        with closing(pieces):  # its threads end, and its connection goes back, also where this stops
            for piece in pieces:
                writer.write(piece)
                progress.bytes(len(piece))
    digest = writer.end()
    _finish(engine, settings, export, writer, digest, progress.files)


def _finish(
    engine: sa.Engine, settings: Settings, export: Export, writer: PartWriter, digest: bytes, files: int
) -> None:
    now = datetime.now(UTC)
    with Session(engine) as session:
        # Locked, so that a purge is asked for either before this look or after the row says `done`.
        of_export = sa.select(ExportParticipant.participant_id).where(ExportParticipant.export_id == export.id)
        people = sa.select(Participant.purge_asked_at).where(Participant.id.in_(of_export)).order_by(Participant.id)
        if any(session.scalars(people.with_for_update(read=True))):
            raise ExportImpossible(PURGED_MEANWHILE)
        done = {
            "state": ExportState.DONE.value,
            "files_done": files,
            "bytes_done": writer.size_bytes,
            "size_bytes": writer.size_bytes,
            "part_bytes": writer.part_bytes,
            "sha256": digest,
            "moved_at": now,
            "ended_at": now,
            "expires_at": now + timedelta(days=settings.exports_kept_days),
        }
        mine = sa.update(Export).where(Export.id == export.id, Export.state == ExportState.RUNNING.value)
        if session.scalar(mine.values(done).returning(Export.id)) is None:
            raise _Cancelled
        session.commit()


class _Progress:
    """Writes at most once a second how far the export is, and learns whether it was cancelled."""

    def __init__(self, engine: sa.Engine, number: int) -> None:
        self.engine, self.number = engine, number
        self.files = self.size_bytes = 0
        self._moved = time.monotonic()

    def file(self, _file: object = None) -> None:
        """One more file. Raises _Cancelled."""
        self.files += 1
        self._move()

    def bytes(self, count: int) -> None:
        """So many more bytes. Raises _Cancelled."""
        self.size_bytes += count
        self._move()

    def _move(self) -> None:
        if time.monotonic() < self._moved + SECONDS_BETWEEN_MOVES:
            return
        self._moved = time.monotonic()
        moved = {"files_done": self.files, "bytes_done": self.size_bytes, "moved_at": datetime.now(UTC)}
        mine = sa.update(Export).where(Export.id == self.number, Export.state == ExportState.RUNNING.value)
        with Session(self.engine) as session:
            if session.scalar(mine.values(moved).returning(Export.id)) is None:
                raise _Cancelled
            session.commit()


def _claim(session: Session) -> Export | None:
    """Marks the oldest queued export as running, with a new place in the store; commits."""
    now = datetime.now(UTC)
    oldest = sa.select(Export.id).where(Export.state == ExportState.QUEUED.value).order_by(Export.id).limit(1)
    claimed = (
        sa.update(Export)
        .where(Export.id == oldest.with_for_update(skip_locked=True).scalar_subquery())
        .values(state=ExportState.RUNNING.value, started_at=now, moved_at=now, ended_at=None, object_name=uuid4())
        .values(size_bytes=None, sha256=None, part_bytes=None, files_done=0, bytes_done=0, reason=None)
        .returning(Export)
    )
    export = session.scalars(claimed).one_or_none()
    if export is not None:
        session.execute(sa.delete(ExportParticipant).where(ExportParticipant.export_id == export.id))
    session.commit()
    return export


def _fail_what_died(session: Session) -> None:
    """This process holds the lock, so every row that says `running` is of one that died."""
    failed = {"state": ExportState.FAILED.value, "reason": DIED, "ended_at": datetime.now(UTC)}
    session.execute(sa.update(Export).where(Export.state == ExportState.RUNNING.value).values(failed))
    session.commit()


def _limits(export: Export) -> dict[int, SiteLimit]:
    """The limit with which the export was asked for (PERM-95)."""
    if export.site_limit is None:
        return {}
    return {export.study_id: SiteLimit(export.site_limit["field"], tuple(export.site_limit["values"]))}


def _folder(settings: Settings) -> Path:
    """Where this machine's builder keeps large tables. There is one builder, so all that is in it may go."""
    return settings.var_dir / "exports"


def _reason(error: Exception, export: Export) -> str:
    """Why it failed, in words that everybody may read."""
    if isinstance(error, ExportImpossible):
        return str(error)
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, pl.exceptions.PolarsError) and (named := _OS_ERROR.search(str(error))):
        number = int(named[1])
    if number in FULL:
        return NO_ROOM
    if isinstance(error, StoreUnavailable):
        return NO_ROOM if os.strerror(errno.ENOSPC) in str(error) else NO_STORE
    return WENT_WRONG.format(number=export.id)
